import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { kanikoImage, shellImage } from "./harness/builder-images.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import type { Credentials, RegistryWithUsers } from "./harness/registries.ts";
import { linesInPage, linesOf, mountsOf, runBuild, variablesOf } from "./harness/run-build.ts";
import { runCommand } from "./harness/run-command.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";

const PUBLISHER: Credentials = { username: "publisher", password: "made-up:publisher" };
const SHOP = "shop";
/** Without the label. */
const PLAIN = "plain";
const KANIKO = "gcr.io/kaniko-project/executor:v1.25.16";
const OURS = { name: "pullpass-build", mountPath: "/kaniko/.docker" };

interface BuildOptions {
  readonly namespace?: string;
  readonly image?: string;
  /** Default: one that the registry "target" covers. */
  readonly destination?: string;
  readonly args?: readonly string[];
  /** A volume at kaniko's directory. */
  readonly own?: object;
}

await describeLevel("node", "kaniko builds from a private image and pushes to another registry", () => {
  let cluster: NodeCluster;
  let bases: RegistryWithUsers;
  let target: RegistryWithUsers;
  /** Nobody told Pullpass of it. */
  let unknown: RegistryWithUsers;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await startNodeCluster();
    const { kubectl } = cluster;
    bases = cluster.passwordRegistry;
    target = await cluster.addPasswordRegistry("target", 14);
    unknown = await cluster.addPasswordRegistry("unknown", 15);
    await target.setUser(PUBLISHER);
    const connection = (name: string) => ({
      name,
      kind: "registry",
      schema: { url: `https://${target.host}/${name}` },
      secret: { name, mountPath: "/kaniko/.docker" },
    });
    webhook = await startWebhook(cluster, {
      registries: [
        { name: "bases", address: bases.host, auth: { type: "BasicAuth", ...REGISTRY_USER } },
        { name: "target", address: `${target.host}/apps`, auth: { type: "BasicAuth", ...PUBLISHER } },
      ],
      connections: [connection("docker-conf"), connection("typed-conf")],
      isPod: true,
    });
    await bases.push("team-a/base:v1", REGISTRY_USER, await shellImage());
    await cluster.node.preload(KANIKO, await kanikoImage(cluster));
    await cluster.node.preload(`${KANIKO}-slim`, await kanikoImage(cluster, "slim"));
    const base = `${bases.host}/team-a/base:v1`;
    const say = "while read -r line; do echo $line; done < /made; echo /kaniko* /var/run/secrets/*";
    const dockerfile = [
      `FROM ${base} AS build`,
      'RUN echo "made by kaniko" > /made',
      `FROM ${base}`,
      "COPY --from=build /made /made",
      'RUN test -s /made && echo "in two stages" >> /made',
      `ENTRYPOINT ["/bin/sh", "-c", "${say}"]`,
    ];
    await createNamespace(kubectl, SHOP, { "pullpass.dev/inject": "enabled" });
    await createNamespace(kubectl, PLAIN);
    for (const namespace of [SHOP, PLAIN]) {
      const metadata = { name: "context", namespace };
      await kubectl.create({
        ...{ apiVersion: "v1", kind: "ConfigMap", metadata },
        data: { Dockerfile: `${dockerfile.join("\n")}\n` },
      });
    }
  });
  afterAll(async () => {
    await webhook.stop();
    await cluster.stop();
  });

  const build = (name: string, options: BuildOptions = {}) => {
    const { namespace = SHOP, image = KANIKO, args = [], own } = options;
    const destination = options.destination ?? `${target.host}/apps/${name}:v1`;
    const mounts = [
      { name: "context", mountPath: "/workspace" },
      ...(own === undefined ? [] : [{ name: "own", mountPath: "/kaniko/.docker" }]),
    ];
    return runBuild(
      cluster.kubectl,
      { name, namespace },
      {
        image,
        args: ["--context=dir:///workspace", `--destination=${destination}`, ...args],
        volumeMounts: mounts,
      },
      {
        automountServiceAccountToken: false,
        volumes: [
          { name: "context", configMap: { name: "context" } },
          ...(own === undefined ? [] : [{ name: "own", ...own }]),
        ],
      },
    );
  };
  /** A `config.json` for both registries, as people write it by hand. */
  const dockerConfig = () => {
    const entry = ({ username, password }: Credentials) => ({
      auth: Buffer.from(`${username}:${password}`).toString("base64"),
    });
    return JSON.stringify({ auths: { [bases.host]: entry(REGISTRY_USER), [target.host]: entry(PUBLISHER) } });
  };
  const createSecret = (name: string, type: string, key: string) =>
    cluster.kubectl.apply({
      ...{ apiVersion: "v1", kind: "Secret", type, metadata: { name, namespace: SHOP } },
      stringData: { [key]: dockerConfig() },
    });

  it("with nothing but the label of its namespace", async () => {
    const { pod, phase, log, warnings } = await build("app");
    expect(log).toMatch(/Pushed \S+\/apps\/app@sha256:/);
    expect(linesOf(log)).toEqual(expect.arrayContaining([...(await linesInPage("kubectl logs app"))]));
    expect({ phase, warnings }).toEqual({ phase: "Succeeded", warnings: "" });
    expect(mountsOf(pod)).toContainEqual(OURS);
    const pulls = (await bases.accessLog("team-a/base")).filter(({ method }) => method === "GET");
    expect(new Set(pulls.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(pulls.map(({ userAgent }) => userAgent.split("/")[0]))).toEqual(
      new Set(["go-containerregistry"]),
    );
    expect(await target.accessLog("apps/app")).toContainEqual({
      ...{ method: "PUT", path: "/v2/apps/app/manifests/v1", status: 201 },
      userAgent: "kaniko/v1.25.16",
    });
  });

  it("and what it built runs, pulled with the credentials of the same namespace, and holds none", async () => {
    const { phase, log } = await runBuild(
      cluster.kubectl,
      { name: "run", namespace: SHOP },
      { image: `${target.host}/apps/app:v1` },
      { automountServiceAccountToken: false },
    );
    expect(log).toBe("made by kaniko\nin two stages\n/kaniko* /var/run/secrets/*\n");
    expect(phase).toBe("Succeeded");
  });

  it("not in a namespace without the label, where its log says why", async () => {
    const { pod, phase, log } = await build("refused", { namespace: PLAIN });
    expect(phase).toBe("Failed");
    expect(mountsOf(pod)).toEqual([{ name: "context", mountPath: "/workspace" }]);
    expect(log).toContain("UNAUTHORIZED: authentication required");
    expect(linesOf(log)).toEqual(await linesInPage("kubectl logs refused --namespace=plain"));
    const statuses = (await target.accessLog("apps/refused")).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([401]));
  });

  it("from a mirror, where its image is private as well", async () => {
    const repository = "mirrored/tools/kaniko-project/executor";
    const image = await bases.push(`${repository}:v1`, REGISTRY_USER, await kanikoImage(cluster));
    const { phase, log } = await build("mirrored", { image });
    expect(log).toContain("Pushed");
    expect(phase).toBe("Succeeded");
    expect(await bases.pullStatuses(repository)).toContain(200);
  });

  it("from its slim image, which does not say where credentials are", async () => {
    const { pod, phase, log } = await build("slim", { image: `${KANIKO}-slim` });
    expect(log).toContain("Pushed");
    expect(phase).toBe("Succeeded");
    expect(variablesOf(pod)).toEqual({ DOCKER_CONFIG: "/kaniko/.docker" });
  });

  it("from a directory that --kaniko-dir names, which it moves itself to", async () => {
    const { pod, phase, log } = await build("moved", { args: ["--kaniko-dir=/moved"] });
    expect(log).toContain("Pushed");
    expect(phase).toBe("Succeeded");
    const directory = "/var/run/secrets/pullpass.dev";
    expect(mountsOf(pod)).toContainEqual({ name: "pullpass-build", mountPath: directory });
    const { log: said } = await runBuild(
      cluster.kubectl,
      { name: "run-moved", namespace: SHOP },
      { image: `${target.host}/apps/moved:v1` },
      { automountServiceAccountToken: false },
    );
    expect(said).toContain("/kaniko* /var/run/secrets/*");
  });

  it.each([
    ["docker-conf", "Opaque", "config.json"],
    ["typed-conf", "kubernetes.io/dockerconfigjson", ".dockerconfigjson"],
  ])("through Polyaxon's connection %s, whose Secret of type %s has the key %s", async (name, type, key) => {
    await createSecret(name, type, key);
    const { pod, phase, log } = await build(name, { destination: `${target.host}/${name}/app:v1` });
    expect(log).toContain("Pushed");
    expect(phase).toBe("Succeeded");
    expect(mountsOf(pod)).toContainEqual(OURS);
    expect(JSON.stringify(pod.spec.volumes)).not.toContain("pullpass.build");
  });

  it("with credentials that its pod mounts itself, and nothing of ours", async () => {
    await createSecret("own", "Opaque", "config.json");
    const { pod, phase, log } = await build("own", { own: { secret: { secretName: "own" } } });
    expect(log).toContain("Pushed");
    expect(phase).toBe("Succeeded");
    expect(mountsOf(pod).map(({ name }) => name)).toEqual(["context", "own"]);
    expect(variablesOf(pod)).toEqual({});
  });

  it("but not to a registry without credentials, of which a warning tells at once, and `explain` before", async () => {
    const { host } = unknown;
    const { phase, log, warnings, manifest } = await build("elsewhere", {
      destination: `${host}/apps/app:v1`,
    });
    const warning = `container build: no credentials to push ${host}/apps/app`;
    expect(warnings).toBe(`Warning: ${warning}\n`);
    expect(phase).toBe("Failed");
    expect(log).toContain("UNAUTHORIZED");

    const podFile = join(cluster.network.directory, "elsewhere.json");
    await writeFile(podFile, manifest);
    const args = ["dist/main.js", "explain", `--config=${webhook.configFile}`, "--pod", podFile];
    const { stdout } = await runCommand(process.execPath, args);
    expect(stdout.split("\n").map((line) => line.trim().replaceAll(/ +/g, " "))).toEqual(
      expect.arrayContaining([
        "mounts Secret pullpass.build at /kaniko/.docker for bases, target",
        `pushes ${host}/apps/app without credentials`,
        `warning ${warning}`,
      ]),
    );
  });
});
