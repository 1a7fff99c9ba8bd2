/** Pods as tests write and read them. */
import { Agent } from "node:https";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Cluster } from "./cluster.ts";
import type { KubernetesObject } from "./kubectl.ts";
import { sendRequest, type Answer } from "../../send-request.ts";

export interface PodObject extends KubernetesObject {
  readonly metadata: KubernetesObject["metadata"] & {
    readonly name: string;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
  };
  readonly spec: PodSpec;
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly ephemeralContainerStatuses?: readonly ContainerStatus[];
  };
}

export interface PodSpec {
  readonly containers: readonly { readonly name: string; readonly image: string }[];
  readonly imagePullSecrets?: readonly { readonly name?: string }[];
}

interface ContainerStatus {
  readonly state?: {
    readonly running?: object;
    readonly waiting?: { readonly reason?: string; readonly message?: string };
  };
}

export interface PodList {
  readonly items: readonly PodObject[];
}

/** A pod of one container, and what it has besides. */
export function podWith(image: string, metadata: object, spec: object = {}): object {
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { ...podSpec(image), ...spec } };
}

export function podSpec(image: string): PodSpec {
  return { containers: [{ name: "main", image }] };
}

/** The names in the pod's `imagePullSecrets`, in their order, duplicates included. */
export function pullSecretsOf({ spec }: PodObject): readonly (string | undefined)[] {
  return (spec.imagePullSecrets ?? []).map(({ name }) => name);
}

/** @throws WaitTimeoutError */
export function waitForRunning(
  { kubectl }: Pick<Cluster, "kubectl">,
  name: string,
  namespace: string,
): Promise<PodObject> {
  return kubectl.waitFor<PodObject>(
    ["pod", name, `--namespace=${namespace}`],
    ({ status }) => status?.phase === "Running",
    { intervalMs: 500, timeoutMs: 60_000 },
  );
}

/** The Events in `namespace` that tell of pulls that failed, each as `NAMESPACE: REASON: MESSAGE`. */
export async function pullFaultsIn(
  { kubectl }: Pick<Cluster, "kubectl">,
  namespace: string,
): Promise<readonly string[]> {
  const { items } = await kubectl.json<EventList>("get", "events", `--namespace=${namespace}`);
  return items
    .filter(({ reason, message }) => /image|pull/i.test(message) && /Fail|BackOff|Err/.test(reason))
    .map(({ reason, message }) => `${namespace}: ${reason}: ${message}`);
}

interface EventList {
  readonly items: readonly { readonly reason: string; readonly message: string }[];
}

/**
 * One object of every kind that makes pods, from the pod's spec. The pods have the label `app` with the
 * workload's name.
 */
export const WORKLOADS = {
  Deployment: (name: string, spec: object) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: { replicas: 2, selector: { matchLabels: { app: name } }, template: template(name, spec) },
  }),
  StatefulSet: (name: string, spec: object) => ({
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name },
    spec: {
      replicas: 2,
      serviceName: name,
      // Nothing runs the first pod, for which the second one would wait.
      podManagementPolicy: "Parallel",
      selector: { matchLabels: { app: name } },
      template: template(name, spec),
    },
  }),
  DaemonSet: (name: string, spec: object) => ({
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      // The node is not ready, and never will be.
      template: template(name, { ...spec, tolerations: [{ operator: "Exists" }] }),
    },
  }),
  Job: (name: string, spec: object) => ({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name },
    spec: { parallelism: 2, completions: 2, template: template(name, { ...spec, restartPolicy: "Never" }) },
  }),
  CronJob: (name: string, spec: object) => ({
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: { name },
    spec: {
      // Once an hour, and not within the next minutes, whatever the time zone.
      schedule: `${String((new Date().getUTCMinutes() + 20) % 60)} * * * *`,
      jobTemplate: { spec: { template: template(name, { ...spec, restartPolicy: "Never" }) } },
    },
  }),
} as const;

function template(name: string, spec: object): object {
  return { metadata: { labels: { app: name } }, spec };
}

/** Creates one object, and answers as the API server does; `path` is that of the collection. */
export type Post = (path: string, object: object) => Promise<Answer>;

/** Speaks to the API server without kubectl, which does one thing after the other and hides when it did it. */
export async function apiClient({ server, authority, network }: Cluster): Promise<Post> {
  const file = (name: string) => readFile(join(network.directory, "pki", name), "utf8");
  // The pair of the cluster's admin, by which the API server also speaks to kubelets.
  const cert = await file("kubelet-client.crt");
  const key = await file("kubelet-client.key");
  // A handshake costs more than to create a pod.
  const agent = new Agent({ keepAlive: true });
  return (path, object) =>
    sendRequest(`${server}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(object),
      agent,
      ca: authority.pem,
      cert,
      key,
    });
}

/** What became of one pod. */
export interface Creation {
  readonly startedAt: number;
  readonly endedAt: number;
  /** Of HTTP: 201 if the pod was created. */
  readonly status: number;
  readonly body: string;
}

const AT_A_TIME = 8;
/** After each pod; all in all some fifty pods a second, so that two cores have time for what else happens. */
const PAUSE_MS = 150;

const POD = podWith("registry.example.com/team-a/app:v1", { generateName: "created-" });

/** Creates one pod after the other, several at a time, until `stop` is called. */
export function startCreatingPods(
  post: Post,
  namespace: string,
  pod: object = POD,
): {
  /** How many were created so far, or refused. */
  count(): number;
  stop(): Promise<readonly Creation[]>;
} {
  const creations: Creation[] = [];
  let shouldStop = false;
  const createOneByOne = async () => {
    while (!shouldStop) {
      const startedAt = Date.now();
      const { status, body } = await post(`/api/v1/namespaces/${namespace}/pods`, pod);
      creations.push({ startedAt, endedAt: Date.now(), status, body });
      await setTimeout(PAUSE_MS);
    }
  };
  const workers = Array.from({ length: AT_A_TIME }, createOneByOne);
  return {
    count: () => creations.length,
    async stop() {
      shouldStop = true;
      await Promise.all(workers);
      return creations;
    },
  };
}
