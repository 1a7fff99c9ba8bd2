import { afterAll, beforeAll, expect, it } from "vitest";
import { buildahImage, dockerImage, dockerizerImage, skopeoImage } from "./harness/builder-images.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import type { Credentials, RegistryWithUsers } from "./harness/registries.ts";
import { mountsOf, runBuild, variablesOf } from "./harness/run-build.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";

const PUBLISHER: Credentials = { username: "publisher", password: "made-up:publisher" };
const OPTED_IN = "opted-in";
/** Without the label. */
const PLAIN = "plain";
const DOCKERIZER = "docker.io/polyaxon/polyaxon-dockerizer:1.3.2";
const DOCKER = "docker.io/library/docker:28-cli";
const SKOPEO = "quay.io/skopeo/stable:v1.9.3";
const BUILDAH = "quay.io/buildah/stable:v1.28.2";
const OTHER = "registry.example.com/tools/publish:v1";

await describeLevel("node", "from one private registry to another", () => {
  let cluster: NodeCluster;
  let origin: RegistryWithUsers;
  let target: RegistryWithUsers;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await startNodeCluster();
    const { kubectl, node } = cluster;
    origin = cluster.passwordRegistry;
    target = await cluster.addPasswordRegistry("target", 14);
    await target.setUser(PUBLISHER);
    webhook = await startWebhook(cluster, {
      registries: [
        { name: "origin", address: origin.host, auth: { type: "BasicAuth", ...REGISTRY_USER } },
        { name: "target", address: target.host, auth: { type: "BasicAuth", ...PUBLISHER } },
      ],
      isPod: true,
    });
    await origin.push("team-a/app:v1", REGISTRY_USER);
    const crane = await dockerizerImage(cluster);
    await node.preload(DOCKERIZER, crane);
    await node.preload(OTHER, crane);
    await node.preload(DOCKER, await dockerImage(cluster));
    await node.preload(SKOPEO, await skopeoImage(cluster));
    await node.preload(BUILDAH, await buildahImage(cluster));
    await createNamespace(kubectl, OPTED_IN, { "pullpass.dev/inject": "enabled" });
    await createNamespace(kubectl, PLAIN);
  });
  afterAll(async () => {
    await webhook.stop();
    await cluster.stop();
  });

  const isPushed = async (repository: string) =>
    (await target.accessLog(repository)).some(
      ({ method, path, status }) => method === "PUT" && path.endsWith("/manifests/v1") && status === 201,
    );
  const craneCopy = (name: string) => [
    "copy",
    `${origin.host}/team-a/app:v1`,
    `${target.host}/crane/${name}:v1`,
  ];
  const skopeoCopy = (name: string) => [
    "copy",
    `docker://${origin.host}/team-a/app:v1`,
    `docker://${target.host}/skopeo/${name}:v1`,
  ];

  it.each([
    ["root", {}, "/root/.docker", {}],
    [
      "somebody",
      { securityContext: { runAsUser: 1000 } },
      "/pullpass/docker",
      { DOCKER_CONFIG: "/pullpass/docker" },
    ],
    [
      "somebody-at-home",
      { securityContext: { runAsUser: 1000 }, env: [{ name: "HOME", value: "/home/dev" }] },
      "/home/dev/.docker",
      { HOME: "/home/dev" },
    ],
  ])("the dockerizer pushes as %s", async (name, container, mountPath, variables) => {
    const { pod, phase, log } = await runBuild(
      cluster.kubectl,
      { name, namespace: OPTED_IN },
      { image: DOCKERIZER, args: craneCopy(name), ...container },
    );
    expect(log).toContain("pushed");
    expect(phase).toBe("Succeeded");
    expect(mountsOf(pod)).toContainEqual({ name: "pullpass-build", mountPath });
    expect(variablesOf(pod)).toEqual(variables);
    expect(await isPushed(`crane/${name}`)).toBe(true);
  });

  it("skopeo pushes, although its image says that credentials are elsewhere", async () => {
    const { pod, phase, log } = await runBuild(
      cluster.kubectl,
      { name: "skopeo", namespace: OPTED_IN },
      { image: SKOPEO, args: skopeoCopy("app") },
    );
    expect({ phase, log }).toMatchObject({ phase: "Succeeded" });
    expect(variablesOf(pod)).toEqual({ REGISTRY_AUTH_FILE: "/pullpass/docker/config.json" });
    expect(await isPushed("skopeo/app")).toBe(true);
  });

  it("buildah pulls a base and pushes what it built, where a shell's script names it", async () => {
    const script = [
      `echo 'FROM ${origin.host}/team-a/app:v1' > Dockerfile && echo 'COPY Dockerfile /' >> Dockerfile`,
      `buildah --storage-driver=vfs bud -f Dockerfile -t ${target.host}/buildah/app:v1 .`,
      `buildah --storage-driver=vfs push ${target.host}/buildah/app:v1`,
    ];
    const { pod, phase, log } = await runBuild(
      cluster.kubectl,
      { name: "buildah", namespace: OPTED_IN },
      {
        ...{
          image: BUILDAH,
          command: ["sh", "-c", `set -e\n${script.join("\n")}`],
          workingDir: "/workspace",
        },
        securityContext: { privileged: true },
        volumeMounts: [{ name: "storage", mountPath: "/var/lib/containers" }],
      },
      { volumes: [{ name: "storage", emptyDir: {} }] },
    );
    expect({ phase, log }).toMatchObject({ phase: "Succeeded" });
    expect(variablesOf(pod)).toEqual({ REGISTRY_AUTH_FILE: "/pullpass/docker/config.json" });
    expect(await isPushed("buildah/app")).toBe(true);
  });

  it("docker's image pushes, and writes beside config.json, but not to it", async () => {
    const script = [
      // One stream keeps the order: the kubelet may merge two of them the other way round.
      "exec 2>&1",
      "for name in buildx contexts manifests; do echo written > /pullpass/docker/$name/file || exit; done",
      `docker ${craneCopy("docker").join(" ")} || exit`,
      "echo written > /pullpass/docker/config.json || echo refused",
    ];
    const { phase, log } = await runBuild(
      cluster.kubectl,
      { name: "docker", namespace: OPTED_IN },
      { image: DOCKER, command: ["sh", "-c", script.join("\n")], securityContext: { runAsUser: 1000 } },
    );
    expect(log).toMatch(/config\.json: Read-only file system\nrefused\n$/);
    expect(phase).toBe("Succeeded");
    expect(await isPushed("crane/docker")).toBe(true);
  });

  it("any image pushes whose container an annotation names, and no other container sees the credentials", async () => {
    const annotations = { "pullpass.dev/build-containers": "build" };
    const bystander = { name: "bystander", image: OTHER, args: ["version"] };
    const { pod, phase } = await runBuild(
      cluster.kubectl,
      { name: "named", namespace: OPTED_IN, annotations },
      { image: OTHER, args: craneCopy("named") },
      { initContainers: [bystander] },
    );
    expect(phase).toBe("Succeeded");
    expect(variablesOf(pod)).toEqual({ DOCKER_CONFIG: "/pullpass/docker" });
    expect(JSON.stringify(pod.spec.initContainers)).not.toContain("pullpass");
    expect(await isPushed("crane/named")).toBe(true);
  });

  it.each([
    ["the dockerizer", "dockerizer", DOCKERIZER, craneCopy],
    ["skopeo", "skopeo", SKOPEO, skopeoCopy],
  ])("%s is refused in a namespace without the label", async (_title, name, image, copy) => {
    const { pod, phase, log } = await runBuild(
      cluster.kubectl,
      { name, namespace: PLAIN },
      { image, args: copy("refused") },
    );
    expect(phase).toBe("Failed");
    expect(log).toMatch(/unauthorized|authentication required/i);
    expect(JSON.stringify(pod.spec)).not.toContain("pullpass");
  });
});
