/** Reads the stuck pods for `pullpass doctor`, and what their verdicts depend on. */
import { listObjects } from "../kube/list.ts";
import { diagnose, type PodWithStatus } from "../core/diagnosis.ts";
import { controllerKeyOf, HEAL_EVENTS_SELECTOR, healEventsIn, type HealEvent } from "../core/heal-events.ts";
import { asArray, getString, type JsonObject } from "../core/kubernetes.ts";
import { HEAL_LABEL } from "../core/labels.ts";
import { FAILED_PULL_SELECTOR, failedPullsIn, failedPullsKey, type FailedPulls } from "../core/next-try.ts";
import { asPod } from "../core/pod.ts";
import { readPullSecret, type PullSecretState } from "../core/pull-secret.ts";
import { indexRegistries } from "../core/registry.ts";
import { unlessMissing } from "../kube/errors.ts";
import { isManaged } from "../kube/resources/copies.ts";
import { readEvents } from "../kube/resources/events.ts";
import { asJson } from "../kube/resources/evictions.ts";
import { readMetadata } from "../kube/resources/metadata.ts";
import type { RegistryQuestions } from "./doctor-ask.ts";
import { once, pathOf, type Cluster } from "./doctor-cluster.ts";
import type { DoctorFacts, PodFacts } from "./doctor-facts.ts";

export async function readStuckPods(
  cluster: Cluster,
  { namespace, pod: name }: DoctorFacts["scope"],
): Promise<readonly PodWithStatus[] | undefined> {
  if (namespace !== undefined && name !== undefined) {
    const found = asPodWithStatus(asJson(await cluster.reader.pod(namespace, name)));
    return found === undefined ? [] : [found];
  }
  const query = { fieldSelector: "status.phase=Pending" };
  return cluster.attempt("pods", () =>
    listObjects(cluster.transport, { path: pathOf("pods", namespace), query }, (object) => {
      const pod = asPodWithStatus(object);
      return pod !== undefined && diagnose(pod, NO_CONTEXT).containers.length > 0 ? pod : undefined;
    }),
  );
}

function asPodWithStatus(object: JsonObject): PodWithStatus | undefined {
  const pod = asPod(object);
  return pod && { ...pod, status: object["status"] };
}

/** Enough to tell whether a pod is stuck. */
const NO_CONTEXT = {
  namespace: { isOptedIn: false, labels: {} },
  serviceAccount: undefined,
  index: indexRegistries([]),
  pullSecret: (): PullSecretState => ({ kind: "unknown" }),
  now: 0,
};

/** More pull secrets than any pod needs. */
const MAX_PULL_SECRETS = 50;

/** What the kubelet says in Events about pulls that failed; where they may not be read, nothing is known of the next try. */
export async function readFailedPulls(
  cluster: Cluster,
  pods: readonly PodWithStatus[],
): Promise<ReadonlyMap<string, FailedPulls>> {
  const namespaces = new Set(pods.map(({ metadata }) => getString(metadata, "namespace") ?? ""));
  const { events, refusals } = await readEvents(cluster.transport, [...namespaces], FAILED_PULL_SELECTOR);
  for (const refusal of refusals) cluster.note("Events of pods", refusal);
  return failedPullsIn(events);
}

export async function readHealEvents(
  cluster: Cluster,
  namespaces: DoctorFacts["namespaces"] = [],
  stuck: readonly PodWithStatus[] = [],
): Promise<readonly HealEvent[]> {
  const healed = namespaces.filter(({ labels }) => labels[HEAL_LABEL] === "enabled").map(({ name }) => name);
  const { events, refusals } = await readEvents(cluster.transport, healed, HEAL_EVENTS_SELECTOR);
  for (const refusal of refusals) cluster.note("Events of evictions", refusal);
  return healEventsIn(events, new Set(stuck.map(controllerKeyOf)));
}

interface PodSurroundings extends Pick<DoctorFacts, "known" | "namespaces" | "scope"> {
  readonly failedPulls: ReadonlyMap<string, FailedPulls>;
}

export function podDetails(
  cluster: Cluster,
  { known, namespaces, scope, failedPulls }: PodSurroundings,
  questions: RegistryQuestions | undefined,
): (pod: PodWithStatus) => Promise<PodFacts> {
  const namesOfCopies = new Set(
    known.registries.flatMap(({ source, secretName }) => (source === undefined ? [] : secretName)),
  );
  const byName = new Map(namespaces?.map((each) => [each.name, each]));
  const readSecret = once((namespace, name) => pullSecretState(cluster, namesOfCopies, namespace, name));
  const readAccount = once((namespace, name) =>
    cluster.attempt("ServiceAccounts of pods", () =>
      unlessMissing(cluster.reader.serviceAccount(namespace, name)),
    ),
  );
  return async (pod) => {
    const namespace = getString(pod.metadata, "namespace") ?? "";
    const isReported = scope.namespace !== undefined || byName.get(namespace)?.isOptedIn !== false;
    const { uid } = readMetadata(pod);
    const found = {
      pod,
      failedPulls: (image: string) => failedPulls.get(failedPullsKey(uid, image)),
    };
    if (!isReported)
      return { ...found, pullSecrets: new Map(), serviceAccount: undefined, answers: new Map() };
    const names = asArray(pod.spec["imagePullSecrets"]).flatMap((entry) => getString(entry, "name") ?? []);
    const pullSecrets = await Promise.all(
      names
        .slice(0, MAX_PULL_SECRETS)
        .filter(isPathSegment)
        .map(async (name) => [name, await readSecret(namespace, name)] as const),
    );
    const account = getString(pod.spec, "serviceAccountName") ?? "default";
    const labels = byName.get(namespace)?.labels ?? "unknown";
    return {
      ...found,
      pullSecrets: new Map(pullSecrets),
      serviceAccount: await readAccount(namespace, account),
      answers: (await questions?.ask({ pod, namespace, labels, pullSecretNames: names })) ?? new Map(),
    };
  };
}

/** The API server does not check the names of pull secrets. */
function isPathSegment(name: string): boolean {
  return /^[a-z0-9][a-z0-9.-]*$/.test(name);
}

async function pullSecretState(
  cluster: Cluster,
  namesOfCopies: ReadonlySet<string>,
  namespace: string,
  name: string,
): Promise<PullSecretState> {
  const state = await cluster.attempt("pull secrets of pods", async (): Promise<PullSecretState> => {
    const secret = await unlessMissing(cluster.apis.core.readNamespacedSecret({ namespace, name }));
    if (secret === undefined) return { kind: "missing" };
    return namesOfCopies.has(name) && !isManaged(secret) ? { kind: "not-owned" } : readPullSecret(secret);
  });
  return state ?? { kind: "unknown" };
}
