// npm run demo:cluster [-- --keep]: from nothing to a pod with a private image, on a real cluster on this machine.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { registryCrd } from "../../src/config/registry-crd.ts";
import { clusterAvailability } from "./harness/availability.ts";
import { KEEPER_FILE } from "./harness/by-hand.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./harness/node-cluster.ts";
import { podWith, pullSecretsOf, type PodList, type PodObject } from "./harness/pods.ts";
import type { Registry } from "./harness/registries.ts";
import { clusterRegistry, offeredLogin } from "./harness/registry-objects.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";

/** Prints what happens, for a person at a terminal. */
export interface Narrator {
  title(text: string): void;
  /** What happens now, with the seconds since the start. */
  step(text: string): void;
  command(text: string): void;
  output(text: string): void;
  /** One line about something that takes long. */
  readonly progress: (line: string) => void;
}

const INDENT = " ".repeat(9);

export function startNarrator(): Narrator {
  const started = performance.now();
  let hasProgress = false;
  const write = (text: string) => process.stdout.write(`${text}\n`);
  return {
    title(text) {
      write(`\n${text}`);
    },
    step(text) {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      write(`\n${seconds.padStart(5)} s  ${text}`);
    },
    command(text) {
      write(`${INDENT}$ ${text}`);
    },
    output(text) {
      const lines = text.trimEnd().split("\n");
      write(lines.map((line) => `${INDENT}${line}`).join("\n"));
    },
    progress(line) {
      if (!hasProgress)
        write(
          `${INDENT}Some parts are not on this machine yet; they are made now, once, which takes minutes:`,
        );
      hasProgress = true;
      write(`${INDENT}${line}`);
    },
  };
}

const NAMESPACE = "team-a";
const REPOSITORY = "team-a/app";
const SECRET = "pullpass-team-a";

async function demo(keep: boolean): Promise<void> {
  const narrator = startNarrator();
  narrator.title("Pullpass on a real cluster: etcd, kube-apiserver, kubelet and containerd, on this machine");
  narrator.step("Start a cluster of one node, with a registry that wants a password");
  const cluster = await startNodeCluster({ report: narrator.progress });
  let webhook: RunningWebhook | undefined;
  try {
    webhook = await tell(narrator, cluster);
    if (keep) await untilStopped(narrator, cluster);
  } finally {
    await webhook?.stop();
    await cluster.stop();
  }
  if (!keep) tellWhatIsNext(narrator);
}

async function tell(narrator: Narrator, cluster: NodeCluster): Promise<RunningWebhook> {
  const { kubectl, passwordRegistry: registry } = cluster;
  const show = async (command: string) => {
    narrator.command(`kubectl ${command}`);
    narrator.output((await kubectl.run([...command.split(" "), `--namespace=${NAMESPACE}`])).stdout);
  };

  narrator.step("Push a private image to a registry that wants a password");
  const image = await registry.push(`${REPOSITORY}:v1`, REGISTRY_USER);
  await createNamespace(kubectl, NAMESPACE);

  narrator.step("Start Pullpass, and register its webhook");
  await kubectl.apply(registryCrd());
  const webhook = await startWebhook(cluster, { registries: [] });

  narrator.step("The cluster's admin adds that registry, and its credentials in Pullpass's own namespace");
  const registryObject = clusterRegistry("team-a", { address: `${registry.host}/team-a` });
  narrator.output(stringify(registryObject));
  await kubectl.apply(offeredLogin("team-a", REGISTRY_USER));
  await kubectl.apply(registryObject);

  narrator.step("Before: the namespace has no label and no Secret, and the manifest names none");
  await show(`create deployment app --image=${image}`);
  await waitForPod(cluster, ({ status }) =>
    Boolean(status?.containerStatuses?.[0]?.state?.waiting?.reason?.includes("Pull")),
  );
  await show("get pods");
  const requestsBefore = (await registry.accessLog(REPOSITORY)).length;

  narrator.step("The namespace opts in with one label, and the Deployment creates its pod again");
  await show(`label namespace ${NAMESPACE} pullpass.dev/inject=enabled`);
  await untilInjected(cluster, image);
  await show("get secrets");
  await show("rollout restart deployment app");
  const pod = await waitForPod(cluster, ({ status }) => status?.phase === "Running");

  narrator.step("After");
  await show("get creg");
  await show("get pods");
  const field = "{.spec.imagePullSecrets}";
  await show(`get pod ${pod.metadata.name} --output=jsonpath=${field}`);
  narrator.output(`the registry's log since then:\n${await requestsSince(registry, requestsBefore)}`);
  return webhook;
}

async function waitForPod(cluster: NodeCluster, isDone: (pod: PodObject) => boolean): Promise<PodObject> {
  return waitUntil("the only pod of the Deployment", async () => {
    const list = ["get", "pods", `--namespace=${NAMESPACE}`];
    const [pod, ...others] = (await cluster.kubectl.json<PodList>(...list)).items;
    return pod !== undefined && others.length === 0 && isDone(pod) ? pod : undefined;
  });
}

/** The API server learns of the label a moment after it has stored it. */
async function untilInjected({ kubectl }: NodeCluster, image: string): Promise<void> {
  const pod = podWith(image, { name: "asks", namespace: NAMESPACE });
  await waitUntil("the label to count", async () =>
    pullSecretsOf(await kubectl.create<PodObject>(pod, "--dry-run=server")).includes(SECRET),
  );
}

/** What containerd asked of the registry: first without the password, as it always does, and then with it. */
async function requestsSince(registry: Registry, count: number): Promise<string> {
  const entries = (await registry.accessLog(REPOSITORY)).slice(count);
  const shorten = (path: string) => path.replace(/(sha256:.{8})[^?]*/, "$1…").replace(/\?.*/, "");
  return entries
    .filter(({ userAgent }) => userAgent.startsWith("containerd/"))
    .map(({ method, path, status }) => `  ${method.padEnd(5)}${shorten(path).padEnd(44)}${String(status)}`)
    .join("\n");
}

async function untilStopped(narrator: Narrator, { network, kubeconfig }: NodeCluster): Promise<void> {
  await writeFile(join(network.directory, KEEPER_FILE), String(process.pid));
  narrator.step("It stays up until Ctrl-C here, or npm run cluster:down in another terminal");
  narrator.output(
    [
      `export KUBECONFIG=${kubeconfig}`,
      `kubectl get pods --namespace=${NAMESPACE} --output=yaml`,
      `kubectl get mutatingwebhookconfiguration pullpass --output=yaml`,
      `tail -f ${join(network.directory, "log", "pullpass.log")}`,
    ].join("\n"),
  );
  // A process that only has children would end.
  const timer = setInterval(() => undefined, 2 ** 30);
  await new Promise<void>((resolve) => {
    const stop = () => {
      resolve();
    };
    process.on("SIGINT", stop).on("SIGTERM", stop);
  });
  clearInterval(timer);
  narrator.step("Stop everything");
}

function tellWhatIsNext(narrator: Narrator): void {
  narrator.step("Everything is stopped and removed. Try next:");
  narrator.output(
    [
      "npm run demo:cluster -- --keep   the same, and leaves the cluster up to play with",
      "npm run cluster:up -- node       a cluster alone, until npm run cluster:down",
      "npm run test:cluster             all that is proven on control planes",
    ].join("\n"),
  );
}

const args = process.argv.slice(2);
if (args.some((arg) => arg !== "--keep")) {
  process.stderr.write("usage: npm run demo:cluster [-- --keep]\n");
  process.exit(2);
}
try {
  const availability = await clusterAvailability("node");
  if (!availability.available) throw new Error(availability.reason);
  await demo(args.includes("--keep"));
} catch (error: unknown) {
  process.stderr.write(`the demo cannot run: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
