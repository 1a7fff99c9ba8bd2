import { afterAll, beforeAll, expect, it } from "vitest";
import { buildahImage, dockerImage, kanikoImage, tektonImage } from "./harness/builder-images.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { podWith, type PodObject } from "./harness/pods.ts";
import type { Credentials, RegistryWithUsers } from "./harness/registries.ts";
import { CommandError } from "./harness/run-command.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";

const CI_USER: Credentials = { username: "ci", password: "made-up:ci" };
/** Whom the target refuses: who pushes with these fails. */
const STRANGER: Credentials = { username: "stranger", password: "made-up:stranger" };
const DOCKER = "docker.io/library/docker:27";
const KANIKO = "gcr.io/kaniko-project/executor:debug";
const BUILDAH = "quay.io/buildah/stable:v1";
const TEKTON = "registry.example.com/tekton/entrypoint:v1";

/** What GitLab's runner starts in a build container: the first shell there is, which reads a stage's script from standard input. */
const GITLAB_COMMAND = [
  "sh",
  "-c",
  ["/usr/local/bin/bash", "/usr/bin/bash", "/bin/bash", "/bin/sh", "/busybox/sh"]
    .map((shell, index) => `${index === 0 ? "if" : "elif"} [ -x ${shell} ]; then\n\texec ${shell}`)
    .concat("fi\n")
    .join("\n"),
];

interface FinishedJob {
  /** As it was created, with what the webhook added. */
  readonly pod: PodObject;
  readonly isSuccess: boolean;
  readonly log: string;
}

await describeLevel("node", "CI jobs push as they did before their namespace opted in", () => {
  let cluster: NodeCluster;
  /** Pullpass has credentials for it. */
  let known: RegistryWithUsers;
  /** Only the jobs have credentials with which one can push here. */
  let target: RegistryWithUsers;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await startNodeCluster();
    known = cluster.passwordRegistry;
    target = await cluster.addPasswordRegistry("target", 14);
    await target.setUser(CI_USER);
    await target.push("bases/app:v1", CI_USER);
    await known.push("bases/app:v1", REGISTRY_USER);
    webhook = await startWebhook(cluster, {
      registries: [
        { name: "known", address: known.host, auth: { type: "BasicAuth", ...REGISTRY_USER } },
        { name: "target", address: target.host, auth: { type: "BasicAuth", ...STRANGER } },
      ],
      isPod: true,
    });
    const { node } = cluster;
    await node.preload(DOCKER, await dockerImage(cluster));
    await node.preload(KANIKO, await kanikoImage(cluster, "debug"));
    await node.preload(BUILDAH, await buildahImage(cluster));
    await node.preload(TEKTON, await tektonImage());
  });
  afterAll(async () => {
    await webhook.stop();
    await cluster.stop();
  });

  /** The registries are reached by the node's own network. */
  const create = (namespace: string, spec: object, annotations: object = {}) => {
    const others = { hostNetwork: true, restartPolicy: "Never", automountServiceAccountToken: false };
    return cluster.kubectl.create<PodObject>(
      podWith("", { generateName: "job-", namespace, annotations }, { ...others, ...spec }),
    );
  };
  const waitForPhase = ({ metadata }: PodObject, ...phases: readonly string[]) =>
    cluster.kubectl.waitFor<PodObject>(
      ["pod", metadata.name, `--namespace=${metadata.namespace ?? ""}`],
      ({ status }) => phases.includes(status?.phase ?? ""),
      { timeoutMs: 50_000 },
    );
  const kubectlAt = ({ metadata }: PodObject, args: readonly string[], input?: string) =>
    cluster.kubectl.run([`--namespace=${metadata.namespace ?? ""}`, ...args], input);

  const finish = async (pod: PodObject): Promise<FinishedJob> => {
    const { status } = await waitForPhase(pod, "Succeeded", "Failed");
    const { stdout: log } = await kubectlAt(pod, ["logs", pod.metadata.name]);
    return { pod, isSuccess: status?.phase === "Succeeded", log };
  };

  /** As GitLab's runner does it: waits until the container runs, and attaches to write the script. */
  const runGitlab = async (
    namespace: string,
    image: string,
    script: readonly string[],
    annotations?: object,
  ): Promise<FinishedJob> => {
    const build = { name: "build", image, command: GITLAB_COMMAND, stdin: true };
    const pod = await create(namespace, { containers: [build] }, annotations);
    await waitForPhase(pod, "Running");
    const input = `${[...script, "exit"].join("\n")}\n`;
    await kubectlAt(pod, ["attach", "--stdin", "--quiet", pod.metadata.name, "--container=build"], input);
    return finish(pod);
  };

  /** As Jenkins does it: the container waits, and every step is a process in it. */
  const runJenkins = async (
    namespace: string,
    container: object,
    script: readonly string[],
  ): Promise<FinishedJob> => {
    const pod = await create(namespace, { containers: [{ name: "tools", ...container }] });
    await waitForPhase(pod, "Running");
    const exec = ["exec", pod.metadata.name, "--container=tools", "--", "sh", "-c", script.join("\n")];
    try {
      const { stdout, stderr } = await kubectlAt(pod, exec);
      return { pod, isSuccess: true, log: `${stdout}${stderr}` };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return { pod, isSuccess: false, log: `${error.stdout}${error.stderr}` };
    } finally {
      await kubectlAt(pod, ["delete", "pod", pod.metadata.name, "--grace-period=0", "--force"]);
    }
  };

  const login = ({ host }: RegistryWithUsers, { username, password }: Credentials) =>
    `docker auth login --username=${username} --password=${password} ${host}`;
  const copy = ({ host }: RegistryWithUsers, repository: string) =>
    `docker copy ${host}/bases/app:v1 ${host}/${repository}:v1`;
  const dockerConfig = () => {
    const auth = Buffer.from(`${CI_USER.username}:${CI_USER.password}`).toString("base64");
    return JSON.stringify({ auths: { [target.host]: { auth } } });
  };
  const kanikoScript = (repository: string) => [
    `echo '${dockerConfig()}' > /kaniko/.docker/config.json || exit`,
    "echo 'FROM scratch' > /workspace/Dockerfile && echo 'COPY Dockerfile /' >> /workspace/Dockerfile || exit",
    `/kaniko/executor --context=dir:///workspace --destination=${target.host}/${repository}:v1 || exit`,
  ];
  const dockerScript = (repository: string) => [
    `${login(target, CI_USER)} || exit`,
    `${copy(target, repository)} || exit`,
  ];

  /** The pod of Tekton's buildah task, with the workspace `dockerconfig`: its script exports DOCKER_CONFIG. */
  const runTekton = async (namespace: string, repository: string): Promise<FinishedJob> => {
    const image = `${target.host}/${repository}:v1`;
    const script = [
      "#!/bin/sh",
      "set -e",
      "export DOCKER_CONFIG=/workspace/dockerconfig",
      'echo "FROM scratch" > Dockerfile',
      'echo "COPY Dockerfile /" >> Dockerfile',
      'buildah --storage-driver=vfs bud -f Dockerfile -t "$PARAM_IMAGE" .',
      'buildah --storage-driver=vfs push "$PARAM_IMAGE" "docker://$PARAM_IMAGE"',
    ];
    const encoded = Buffer.from(`${script.join("\n")}\n`).toString("base64");
    const scriptFile = "/tekton/scripts/script-0-x7k2p";
    const place = `base64 -d > ${scriptFile} << '_EOF_'\n${encoded}\n_EOF_\nchmod +x ${scriptFile}\n`;
    const bin = { name: "tekton-internal-bin", mountPath: "/tekton/bin" };
    const scripts = { name: "tekton-internal-scripts", mountPath: "/tekton/scripts" };
    const volumes = ["bin", "scripts", "workspace"].map((name) => `tekton-internal-${name}`);
    await cluster.kubectl.apply({
      ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "dockerconfig", namespace } },
      stringData: { "config.json": dockerConfig() },
    });
    const pod = await create(namespace, {
      initContainers: [
        {
          ...{ name: "prepare", image: TEKTON, volumeMounts: [bin] },
          command: ["cp", "/ko-app/entrypoint", "/tekton/bin/entrypoint"],
        },
        {
          ...{ name: "place-scripts", image: TEKTON, volumeMounts: [scripts, bin] },
          ...{ command: ["sh"], args: ["-c", place] },
        },
      ],
      containers: [
        {
          ...{ name: "step-build-and-push", image: BUILDAH, workingDir: "/workspace/source" },
          command: ["/tekton/bin/entrypoint"],
          args: ["-post_file", "/tekton/run/0/out", "-entrypoint", scriptFile, "--", ""],
          env: [{ name: "PARAM_IMAGE", value: image }],
          securityContext: { privileged: true },
          volumeMounts: [
            { ...bin, readOnly: true },
            { ...scripts, readOnly: true },
            { name: "tekton-internal-workspace", mountPath: "/workspace" },
            { name: "ws-dockerconfig", mountPath: "/workspace/dockerconfig" },
            { name: "varlibcontainers", mountPath: "/var/lib/containers" },
          ],
        },
      ],
      volumes: [
        ...[...volumes, "varlibcontainers"].map((name) => ({ name, emptyDir: {} })),
        { name: "ws-dockerconfig", secret: { secretName: "dockerconfig" } },
      ],
    });
    return finish(pod);
  };

  let namespaces = 0;
  /** Another one each time, without the label. */
  const newNamespace = async (name: string) => {
    const namespace = `${name}-${String((namespaces += 1))}`;
    await createNamespace(cluster.kubectl, namespace);
    return namespace;
  };
  const optIn = async (namespace: string) => {
    await cluster.kubectl.run(["label", "namespace", namespace, "pullpass.dev/inject=enabled"]);
    await waitUntil(`the build secret of ${namespace}`, () =>
      cluster.kubectl.run(["get", "secret", "pullpass.build", `--namespace=${namespace}`]),
    );
  };
  const isPushed = async (repository: string) =>
    (await target.accessLog(repository)).some(
      ({ method, path, status }) => method === "PUT" && path.endsWith("/manifests/v1") && status === 201,
    );

  const jenkinsDocker = { image: DOCKER, command: ["sleep"], args: ["99d"] };
  const jenkinsKaniko = { image: KANIKO, command: ["/busybox/cat"], tty: true, stdin: true };
  it.each<[string, string, (namespace: string, repository: string) => Promise<FinishedJob>]>([
    [
      "GitLab's, with docker",
      "gitlab-docker",
      (namespace, to) => runGitlab(namespace, DOCKER, dockerScript(to)),
    ],
    [
      "GitLab's, with kaniko",
      "gitlab-kaniko",
      (namespace, to) => runGitlab(namespace, KANIKO, kanikoScript(to)),
    ],
    [
      "Jenkins', with docker",
      "jenkins-docker",
      (namespace, to) => runJenkins(namespace, jenkinsDocker, dockerScript(to)),
    ],
    [
      "Jenkins', with kaniko",
      "jenkins-kaniko",
      (namespace, to) => runJenkins(namespace, jenkinsKaniko, kanikoScript(to)),
    ],
    ["Tekton's, with buildah", "tekton-buildah", runTekton],
  ])("%s", async (_title, name, run) => {
    const namespace = await newNamespace(name);
    const before = await run(namespace, `${namespace}/before`);
    expect(before).toMatchObject({ isSuccess: true });
    expect(await isPushed(`${namespace}/before`)).toBe(true);

    await optIn(namespace);
    const after = await run(namespace, `${namespace}/after`);
    expect(after).toMatchObject({ isSuccess: true });
    expect(await isPushed(`${namespace}/after`)).toBe(true);
    expect(JSON.stringify(after.pod)).not.toContain("pullpass");
    expect(await webhook.reviews(namespace)).toHaveLength(1);
  });

  it("one that does not log in pushes with what the annotation gives it, and fails without", async () => {
    const namespace = await newNamespace("annotated");
    await optIn(namespace);
    const script = [`${copy(known, "annotated/app")} || exit`];
    const alone = await runGitlab(namespace, DOCKER, script);
    expect(alone.log).toContain("UNAUTHORIZED");
    expect(alone.isSuccess).toBe(false);
    const annotations = { "pullpass.dev/build-containers": "build" };
    const { isSuccess, log } = await runGitlab(namespace, DOCKER, script, annotations);
    expect({ isSuccess, log }).toMatchObject({ isSuccess: true });
  });
});
