import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Transport } from "../../src/kube/transport.ts";
import { auditedRequests, auditedWrites } from "./harness/audit.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { installPullpass, type Installation } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { copiesIn, waitForCopies } from "./harness/read-copies.ts";
import { leaderOf, type Replica } from "./harness/run-replica.ts";
import { swapMount } from "../swap-mount.ts";
import { waitUntil } from "../wait-until.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };
/** As `docker login` leaves it on a machine with credential helpers. */
const DOCKER_CONFIG = {
  auths: {
    "file.example.com": { auth: base64("file:made-up-file") },
    "other.example.com": { auth: base64("other:made-up-other") },
  },
  credsStore: "desktop",
  credHelpers: { "gcr.io": "gcloud" },
};

/** One Secret of each type that a source may have; each holds the password that it is given. */
const SECRETS: Readonly<Record<string, (host: string, password: string) => object>> = {
  dockerconfigjson: (host, password) => ({
    type: "kubernetes.io/dockerconfigjson",
    stringData: {
      ".dockerconfigjson": JSON.stringify({
        auths: { [host]: { username: "user", password } },
        credHelpers: { "gcr.io": "gcloud" },
      }),
    },
  }),
  dockercfg: (host, password) => ({
    type: "kubernetes.io/dockercfg",
    stringData: {
      ".dockercfg": JSON.stringify({ [`https://${host}`]: { auth: base64(`user:${password}`) } }),
    },
  }),
  "basic-auth": (_host, password) => ({
    type: "kubernetes.io/basic-auth",
    stringData: { username: "user", password: `${password}\n` },
  }),
  opaque: (host, password) => ({
    type: "Opaque",
    stringData: {
      "config.json": JSON.stringify({ auths: { [host]: { auth: base64(`user:${password}`) } } }),
    },
  }),
};

/** In which a write that should not be would come. */
const QUIET_MS = 300;

await describeLevel("control-plane", "the credentials of a registry", () => {
  let cluster: Cluster;
  let client: Transport;
  let installation: Installation;
  let replica: Replica;

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
    installation = await installPullpass(cluster, { registries: [] });
    replica = await installation.startReplica({ env: { HUB_PASSWORD: "made-up-env" } });
    await leaderOf(replica);
    await createNamespace(cluster.kubectl, "sources");
    await createNamespace(cluster.kubectl, "app", OPTED_IN);
  });
  afterAll(async () => {
    await replica.stop();
  });

  const secret = (namespace: string, name: string, content: object, metadata: object = {}) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace, ...metadata },
    ...content,
  });
  const basicAuth = (password: string) =>
    secret("pullpass", "rotated", SECRETS["basic-auth"]?.("", password) ?? {});
  const registry = (name: string, auth: object, more: object = {}) => ({
    name,
    address: `${name}.example.com`,
    auth,
    use: ["pull"],
    ...more,
  });
  const rotated = {
    registries: [registry("rotated", { type: "Secret", name: "rotated" })],
  };
  const copyWith = (password: string) => ({
    "pullpass-rotated": { "rotated.example.com": `user:${password}` },
  });
  const describeEvents = (name: string) =>
    cluster.kubectl.run(["events", `--for=secret/${name}`, "--namespace=pullpass"]);

  it("come from wherever they may stand, and no credential helper from anywhere", async () => {
    for (const [type, content] of Object.entries(SECRETS)) {
      const labels = { "app.kubernetes.io/instance": "made-by-argo", team: "platform" };
      const namespace = type === "opaque" ? "sources" : "pullpass";
      await cluster.kubectl.create(
        secret(namespace, type, content(`${type}.example.com`, `made-up-${type}`), { labels }),
      );
    }
    const { directory } = installation;
    await writeFile(join(directory, "config.json"), JSON.stringify(DOCKER_CONFIG));
    await writeFile(join(directory, "password"), "made-up:p@ss\n");
    await installation.configure({
      registries: [
        registry("basic", { type: "BasicAuth", username: "user", passwordFrom: { file: "password" } }),
        registry("env", { type: "BasicAuth", username: "user", passwordFrom: { env: "HUB_PASSWORD" } }),
        registry("token", { type: "Token", token: "made-up-token" }, { address: "europe.gcr.io/project" }),
        registry("file", { type: "DockerConfig", file: "config.json" }, { use: ["pull", "build"] }),
        registry("hub", { type: "Token", username: "us", token: "made-up-hub" }, { address: "docker.io" }),
        ...Object.keys(SECRETS).map((type) =>
          registry(type, {
            type: "Secret",
            name: type,
            ...(type === "opaque" && { namespace: "sources" }),
          }),
        ),
      ],
      privateRegistries: [
        "polyaxon:made-up:with@signs@uri.example.com",
        { host: "dictionary.example.com", user: "_json_key", password: '{"made": "up"}' },
      ],
    });
    const copies = await waitForCopies(client, "app", {
      "pullpass-basic": { "basic.example.com": "user:made-up:p@ss" },
      "pullpass-env": { "env.example.com": "user:made-up-env" },
      "pullpass-token": { "europe.gcr.io/project": "oauth2accesstoken:made-up-token" },
      "pullpass-file": { "file.example.com": "file:made-up-file" },
      "pullpass-hub": {
        "docker.io": "us:made-up-hub",
        "https://index.docker.io/v1/": "us:made-up-hub",
      },
      "pullpass-dockerconfigjson": { "dockerconfigjson.example.com": "user:made-up-dockerconfigjson" },
      "pullpass-dockercfg": { "dockercfg.example.com": "user:made-up-dockercfg" },
      "pullpass-basic-auth": { "basic-auth.example.com": "user:made-up-basic-auth" },
      "pullpass-opaque": { "opaque.example.com": "user:made-up-opaque" },
      "pullpass-uri-example-com": { "uri.example.com": "polyaxon:made-up:with@signs" },
      "pullpass-dictionary-example-com": { "dictionary.example.com": '_json_key:{"made": "up"}' },
      // Merged, of those that builds may use.
      "pullpass.build": {
        "file.example.com": "file:made-up-file",
        "uri.example.com": "polyaxon:made-up:with@signs",
        "dictionary.example.com": '_json_key:{"made": "up"}',
      },
    });
    for (const { data = {}, metadata } of Object.values(copies)) {
      const text = Buffer.from(data[".dockerconfigjson"] ?? "", "base64").toString("utf8");
      expect(Object.keys(JSON.parse(text) as object)).toEqual(["auths"]);
      expect(metadata.labels).toEqual({ "app.kubernetes.io/managed-by": "pullpass" });
    }
    expect(await replica.metric("pullpass_copies")).toBe(12);
  });

  it("go from the namespaces with the registry, when the configuration names it no more", async () => {
    await installation.configure({ registries: [registry("kept-by-admin", {}, { auth: undefined })] });
    await waitForCopies(client, "app", {});
    await installation.configure(rotated);
  });

  it("that stand in a Secret that is not there yet come with it; until then an event says so", async () => {
    await waitUntil("the event", async () =>
      /Warning +CredentialsUnreadable .*Secret pullpass\/rotated does not exist/.test(
        (await describeEvents("rotated")).stdout,
      ),
    );
    expect(await replica.metric('pullpass_source_unreadable{registry="rotated"}')).toBe(1);
    await cluster.kubectl.create(basicAuth("made-up-1"));
    await waitForCopies(client, "app", copyWith("made-up-1"));
    expect(await replica.metric('pullpass_source_unreadable{registry="rotated"}')).toBeUndefined();
    expect(await replica.log()).toContainEqual(
      expect.objectContaining({ registry: "rotated", msg: "credentials can be read again" }),
    );
  });

  it("reach every copy in place when their Secret changes, by one write each", async () => {
    const namespaces = ["app", "second", "third"];
    for (const name of namespaces.slice(1)) await createNamespace(cluster.kubectl, name, OPTED_IN);
    const uids = async () =>
      Promise.all(
        namespaces.map(async (name) => {
          const { "pullpass-rotated": copy } = await waitForCopies(client, name, copyWith("made-up-1"));
          return copy?.metadata.uid;
        }),
      );
    const before = await uids();
    const writesBefore = (await auditedWrites(cluster)).length;
    await cluster.kubectl.apply(basicAuth("made-up-2"));
    for (const [index, name] of namespaces.entries()) {
      const { "pullpass-rotated": copy } = await waitForCopies(client, name, copyWith("made-up-2"));
      expect(copy?.metadata.uid).toBe(before[index]);
    }
    await sleep(QUIET_MS);
    const lines = (await replica.log()).filter(({ msg }) => msg.startsWith("registries or credentials"));
    expect(lines.at(-1)).toMatchObject({ registries: ["rotated"], namespaces: 3, written: 3, failed: 0 });
    expect((await auditedWrites(cluster)).slice(writesBefore).toSorted()).toEqual([
      "patch secrets app/pullpass-rotated",
      "patch secrets second/pullpass-rotated",
      "patch secrets third/pullpass-rotated",
    ]);
  });

  it("cause no write when their Secret changes in something else", async () => {
    const before = await auditedWrites(cluster);
    await cluster.kubectl.run(["label", "secret", "rotated", "--namespace=pullpass", "team=platform"]);
    await sleep(QUIET_MS);
    expect(await auditedWrites(cluster)).toEqual(before);
  });

  it.each([
    ["cannot be used", takePassword, "has no key password"],
    [
      "is deleted",
      () => cluster.kubectl.run(["delete", "secret", "rotated", "--namespace=pullpass"]),
      "does not exist",
    ],
  ])("stay in their copies when their Secret %s; an event says so", async (_title, breakIt, reason) => {
    const before = await copiesIn(client, "app");
    await breakIt();
    await waitUntil("the event", async () => (await describeEvents("rotated")).stdout.includes(reason));
    expect(await replica.metric('pullpass_source_unreadable{registry="rotated"}')).toBe(1);
    await sleep(QUIET_MS);
    expect(await copiesIn(client, "app")).toEqual(before);
    // Nothing is known to write there.
    await createNamespace(cluster.kubectl, `later-${String(reason.length)}`, OPTED_IN);
    await sleep(QUIET_MS);
    expect(await copiesIn(client, `later-${String(reason.length)}`)).toEqual({});
  });
  function takePassword(): Promise<unknown> {
    const patch = '--patch=[{"op":"remove","path":"/data/password"}]';
    const option = "--namespace=pullpass";
    return cluster.kubectl.run(["patch", "secret", "rotated", option, "--type=json", patch]);
  }

  it("reach every copy again when their Secret is created again, of another type", async () => {
    const content = SECRETS["dockerconfigjson"]?.("rotated.example.com", "made-up-3") ?? {};
    await cluster.kubectl.create(secret("pullpass", "rotated", content));
    for (const name of ["app", "second", "third"]) await waitForCopies(client, name, copyWith("made-up-3"));
  });

  it("reach every copy when kubelet swaps the file that they stand in", async () => {
    const mount = join(installation.directory, "mount");
    await mkdir(mount, { recursive: true });
    await swapMount(mount, "1", { password: "made-up-4\n" });
    const passwordFrom = { file: "mount/password" };
    await installation.configure({
      registries: [registry("rotated", { type: "BasicAuth", username: "user", passwordFrom })],
    });
    await waitForCopies(client, "app", copyWith("made-up-4"));
    await swapMount(mount, "2", { password: "made-up-5\n" });
    for (const name of ["app", "second", "third"]) await waitForCopies(client, name, copyWith("made-up-5"));
  });

  it("are those of the last good configuration while a new one has errors", async () => {
    const before = await copiesIn(client, "app");
    await installation.configure({ registries: [{ name: "rotated", adress: "typo.example.com" }] });
    await waitUntil("the error", async () =>
      (await replica.log()).some(({ msg }) => msg.startsWith("the configuration has errors")),
    );
    await sleep(QUIET_MS);
    expect(await copiesIn(client, "app")).toEqual(before);
    const auth = { type: "BasicAuth", username: "user", password: "made-up-6" };
    await installation.configure({ registries: [registry("rotated", auth)] });
    await waitForCopies(client, "app", copyWith("made-up-6"));
  });

  it("stay where they are though somebody made their Secret by copying a copy", async () => {
    const { "pullpass-rotated": copy } = await waitForCopies(client, "app", copyWith("made-up-6"));
    const labels = copy?.metadata.labels ?? {};
    const { type = "", data = {} } = copy ?? {};
    const original = secret("sources", "original", { type, data }, { labels });
    const before = await cluster.kubectl.create<object>(original);
    await sleep(QUIET_MS);
    await installation.configure({
      registries: [
        registry(
          "original",
          { type: "Secret", namespace: "sources", name: "original" },
          { address: "rotated.example.com" },
        ),
      ],
    });
    await waitForCopies(client, "app", { "pullpass-original": { "rotated.example.com": "user:made-up-6" } });
    await waitUntil("the event", async () =>
      /Warning +SourceHasOurLabel +Secret\/original +Secret original is the source of a registry's credentials, but has the label app.kubernetes.io\/managed-by=pullpass/.test(
        (await cluster.kubectl.run(["events", "--for=secret/original", "--namespace=sources"])).stdout,
      ),
    );
    await sleep(QUIET_MS);
    expect(await cluster.kubectl.json("get", "secret", "original", "--namespace=sources")).toEqual(before);
  });

  it("are in no line of the log, and in no event", async () => {
    expect(JSON.stringify(await replica.log())).not.toContain("made-up");
    const { stdout } = await cluster.kubectl.run(["events", "--all-namespaces"]);
    expect(stdout).not.toContain("made-up");
    const refused = (await auditedRequests(cluster)).filter(({ status }) => status === 401 || status === 403);
    expect(refused).toEqual([]);
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
