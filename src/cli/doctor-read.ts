/** Reads what `pullpass doctor` reports on, with the rights of whoever asks. */
import type { V1MutatingWebhook } from "@kubernetes/client-node";
import type { Configuration } from "../config/configuration.ts";
import { REGISTRY_API, REGISTRY_API_VERSION } from "../config/registry-crd.ts";
import { diagnose, type PodWithStatus } from "../core/diagnosis.ts";
import {
  asArray,
  getString,
  isObject,
  type JsonObject,
  type ServiceAccountInfo,
} from "../core/kubernetes.ts";
import {
  INJECT_LABEL,
  INJECTED_ANNOTATION,
  MANAGED_BY_LABEL,
  MANAGER,
  REGISTRIES_ANNOTATION,
  selectorMatches,
  type LabelSelector,
} from "../core/labels.ts";
import { asPod } from "../core/pod.ts";
import { decide } from "../core/policy.ts";
import { readPullSecret, type PullSecretState } from "../core/pull-secret.ts";
import { indexRegistries } from "../core/registry.ts";
import { createApis, type KubeApis } from "../kube/api.ts";
import { hasStatus, isNotFound, KubeApiError } from "../kube/errors.ts";
import { listPages, type Collection } from "../kube/list.ts";
import { isManaged } from "../kube/resources/copies.ts";
import { readRegistration } from "../kube/resources/certificates.ts";
import { asJson } from "../kube/resources/evictions.ts";
import { readMetadata, type ApiObject } from "../kube/resources/metadata.ts";
import { readNamespace } from "../kube/resources/namespaces.ts";
import { createPodReader } from "../kube/resources/pods.ts";
import type { Transport } from "../kube/transport.ts";
import { notAfterOf, parseBundle } from "../tls/certificates.ts";
import type { AskRegistry } from "./doctor-ask.ts";
import {
  expectedCopies,
  knownRegistries,
  type CopyFacts,
  type DoctorFacts,
  type KnownRegistries,
  type NamespaceFacts,
  type PodFacts,
  type ServiceFacts,
  type Trial,
  type WebhookFacts,
} from "./doctor-facts.ts";

export interface DoctorRequest {
  readonly scope: DoctorFacts["scope"];
  readonly webhookName: string;
  readonly configuration: Configuration;
  /** Undefined: registries are not asked. */
  readonly createAsk:
    ((known: KnownRegistries, serviceNamespace: string | undefined) => AskRegistry) | undefined;
}

/** @throws KubeApiError for every refusal but a lack of rights, and KubeUnreachableError */
export async function readFacts(transport: Transport, request: DoctorRequest): Promise<DoctorFacts> {
  const { scope, webhookName, configuration, createAsk } = request;
  const cluster = openCluster(transport);
  const isOnePod = scope.pod !== undefined;
  const objects = await readRegistryObjects(cluster);
  const known = knownRegistries(configuration, objects);
  const namespaces = await readNamespaces(cluster, scope.namespace);
  // Of one pod, only where Pullpass runs matters, for its registries' credentials.
  const isWebhookNeeded = !isOnePod || createAsk !== undefined;
  const webhook = isWebhookNeeded ? await readWebhook(cluster, webhookName, isOnePod) : undefined;
  const copies = await readCopies(cluster, scope.namespace);
  const blocking = isOnePod
    ? NONE
    : await readBlocking(cluster, scope.namespace, { namespaces, copies, known });
  const stuck = await readStuckPods(cluster, scope);
  const serviceNamespace = typeof webhook === "object" ? webhook.facts.service?.namespace : undefined;
  const readPod = podDetails(cluster, { known, namespaces, scope }, createAsk?.(known, serviceNamespace));
  const pods = stuck && (await Promise.all(stuck.map(readPod)));
  return {
    ...{ now: Date.now(), scope, webhookName, known, namespaces, copies, blocking, pods },
    webhook:
      typeof webhook === "object"
        ? {
            ...webhook.facts,
            trial: isOnePod ? undefined : await tryPod(cluster, webhook, known, namespaces),
          }
        : webhook,
    unread: cluster.unread(),
  };
}

const NONE: ReadonlySet<string> = new Set();

interface Cluster {
  readonly transport: Transport;
  readonly apis: KubeApis;
  readonly reader: ReturnType<typeof createPodReader>;
  /** Undefined if whoever asks has not the right; then `what` is one of the lines of `unread`. */
  attempt<T>(what: string, read: () => Promise<T>): Promise<T | undefined>;
  /** Notes that something is not known. */
  note(what: string, why: string): void;
  unread(): readonly string[];
}

function openCluster(transport: Transport): Cluster {
  const apisFor = createApis(transport);
  const notes = new Map<string, { readonly why: string; count: number }>();
  const note: Cluster["note"] = (what, why) => {
    notes.getOrInsertComputed(what, () => ({ why, count: 0 })).count++;
  };
  return {
    transport,
    // Of a priority, so that there are only so many requests at a time.
    apis: apisFor("low"),
    reader: createPodReader((priority = "low") => apisFor(priority)),
    async attempt(what, read) {
      try {
        return await read();
      } catch (error) {
        if (!hasStatus(error, 403)) throw error;
        note(what, error.message);
        return undefined;
      }
    },
    note,
    unread: () =>
      notes
        .entries()
        .map(
          ([what, { why, count }]) =>
            `${what}: ${why}${count > 1 ? ` (and ${(count - 1).toString()} more)` : ""}`,
        )
        .toArray(),
  };
}

/** What `read` makes of each object; those of which it makes nothing are left out. */
async function listOf<T>(
  { transport }: Cluster,
  collection: Collection,
  read: (object: JsonObject) => T | undefined,
): Promise<readonly T[]> {
  const found: T[] = [];
  const add = (object: JsonObject): void => {
    const one = read(object);
    if (one !== undefined) found.push(one);
  };
  await listPages(transport, collection, add, () => undefined);
  return found;
}

/** The path of a collection of the core API, in one namespace or in all. */
function pathOf(plural: string, namespace: string | undefined): string {
  return namespace === undefined ? `/api/v1/${plural}` : `/api/v1/namespaces/${namespace}/${plural}`;
}

function readRegistryObjects(cluster: Cluster): Promise<KnownRegistries["objects"]> {
  const path = `/apis/${REGISTRY_API_VERSION}/${REGISTRY_API.plural}`;
  return cluster.attempt("ClusterRegistries", async () => {
    try {
      return await listOf(cluster, { path }, (object) => object);
    } catch (error) {
      if (isNotFound(error)) return "no-crd";
      throw error;
    }
  });
}

async function readNamespaces(
  cluster: Cluster,
  namespace: string | undefined,
): Promise<readonly NamespaceFacts[] | undefined> {
  const read = (object: ApiObject): NamespaceFacts => ({
    ...readNamespace(object, (text) => text),
    optedInAt: optedInAt(object),
  });
  if (namespace === undefined) {
    const collection = { path: pathOf("namespaces", undefined), metadataOnly: true };
    return cluster.attempt("namespaces", () => listOf(cluster, collection, read));
  }
  const found = await cluster.attempt(`namespace ${namespace}`, () =>
    cluster.apis.core.readNamespace({ name: namespace }),
  );
  return found && [read(asJson(found))];
}

/**
 * When the label was set, by the API server's record of who set which field. The record's time is that of the last change of
 * any of its fields, so it says nothing unless the label is the only one.
 */
export function optedInAt({ metadata }: ApiObject): number | undefined {
  for (const record of asArray(isObject(metadata) ? metadata["managedFields"] : undefined)) {
    const fields = isObject(record) ? record["fieldsV1"] : undefined;
    const [only, ...others] = leavesOf(fields).filter((path) => !path.endsWith("."));
    if (others.length > 0 || only !== `f:metadata/f:labels/f:${INJECT_LABEL}`) continue;
    const time = Date.parse(getString(record, "time") ?? "");
    if (!Number.isNaN(time)) return time;
  }
  return undefined;
}

function leavesOf(fields: unknown): readonly string[] {
  if (!isObject(fields)) return [];
  return Object.entries(fields).flatMap(([key, value]) => {
    const below = leavesOf(value);
    return below.length === 0 ? [key] : below.map((path) => `${key}/${path}`);
  });
}

interface FoundWebhook {
  readonly facts: WebhookFacts;
  readonly name: string;
  /** Of the namespaces that the API server asks it about. */
  readonly selector: LabelSelector;
}

async function readWebhook(
  cluster: Cluster,
  name: string,
  isOnePod: boolean,
): Promise<FoundWebhook | "missing" | undefined> {
  const registered = await cluster.attempt(`MutatingWebhookConfiguration ${name}`, async () => {
    try {
      return await cluster.apis.admissionRegistration.readMutatingWebhookConfiguration({ name });
    } catch (error) {
      if (isNotFound(error)) return "missing";
      throw error;
    }
  });
  if (typeof registered !== "object") return registered;
  const [webhook] = registered.webhooks ?? [];
  if (webhook === undefined) return "missing";
  const [bundle = ""] = readRegistration(asJson(registered)).bundles;
  const { service } = webhook.clientConfig;
  return {
    facts: {
      failurePolicy: webhook.failurePolicy ?? "Fail",
      hasCaBundle: bundle !== "",
      caExpiresAt: parseBundle(bundle).values().map(notAfterOf).toArray(),
      service: service && (isOnePod ? unreadService(service) : await readService(cluster, service)),
      trial: undefined,
    },
    name: webhook.name,
    selector: (webhook.namespaceSelector ?? {}) as LabelSelector,
  };
}

type ServiceName = NonNullable<V1MutatingWebhook["clientConfig"]["service"]>;

function unreadService({ namespace, name }: ServiceName): ServiceFacts {
  return { namespace, name, exists: undefined, readyEndpoints: undefined };
}

async function readService(cluster: Cluster, { namespace, name }: ServiceName): Promise<ServiceFacts> {
  const exists = await cluster.attempt(`Service ${namespace}/${name}`, async () => {
    try {
      await cluster.apis.core.readNamespacedService({ namespace, name });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  });
  const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
  const query = { labelSelector: `kubernetes.io/service-name=${name}` };
  const ready = await cluster.attempt(`EndpointSlices of Service ${namespace}/${name}`, () =>
    listOf(cluster, { path, query }, ({ endpoints }) => asArray(endpoints).filter(isReady).length),
  );
  return { namespace, name, exists, readyEndpoints: ready?.reduce((sum, number) => sum + number, 0) };
}

/** An endpoint of which nothing is known counts as ready. */
function isReady(endpoint: unknown): boolean {
  const conditions = isObject(endpoint) ? endpoint["conditions"] : undefined;
  return !isObject(conditions) || conditions["ready"] !== false;
}

function readCopies(
  cluster: Cluster,
  namespace: string | undefined,
): Promise<readonly CopyFacts[] | undefined> {
  const query = { labelSelector: `${MANAGED_BY_LABEL}=${MANAGER}` };
  const collection = { path: pathOf("secrets", namespace), query, metadataOnly: true };
  return cluster.attempt("copies (Secrets)", () =>
    listOf(cluster, collection, (object) => {
      const { namespace: where, name, annotations } = readMetadata(object);
      const registries = getString(annotations, REGISTRIES_ANNOTATION) ?? "";
      return { namespace: where, name, registries: registries.split(",").filter((each) => each !== "") };
    }),
  );
}

/** One list for each name of a copy that is missing somewhere: there are few of them, however many namespaces there are. */
async function readBlocking(
  cluster: Cluster,
  namespace: string | undefined,
  { namespaces, copies, known }: Pick<DoctorFacts, "namespaces" | "copies" | "known">,
): Promise<ReadonlySet<string>> {
  if (namespaces === undefined || copies === undefined) return NONE;
  const existing = new Set(copies.map((copy) => `${copy.namespace}/${copy.name}`));
  const missing = namespaces.flatMap((each) =>
    expectedCopies(each, known.registries).filter((name) => !existing.has(`${each.name}/${name}`)),
  );
  const blocking = new Set<string>();
  for (const name of new Set(missing)) {
    const query = { fieldSelector: `metadata.name=${name}` };
    const collection = { path: pathOf("secrets", namespace), query, metadataOnly: true };
    const found = await cluster.attempt("Secrets with the name of a copy", () =>
      listOf(cluster, collection, (object) =>
        isManaged(object) ? undefined : readMetadata(object).namespace,
      ),
    );
    for (const where of found ?? []) blocking.add(`${where}/${name}`);
  }
  return blocking;
}

async function readStuckPods(
  cluster: Cluster,
  { namespace, pod: name }: DoctorFacts["scope"],
): Promise<readonly PodWithStatus[] | undefined> {
  if (namespace !== undefined && name !== undefined) {
    const found = asPodWithStatus(asJson(await cluster.reader.pod(namespace, name)));
    return found === undefined ? [] : [found];
  }
  const query = { fieldSelector: "status.phase=Pending" };
  return cluster.attempt("pods", () =>
    listOf(cluster, { path: pathOf("pods", namespace), query }, (object) => {
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

function podDetails(
  cluster: Cluster,
  { known, namespaces, scope }: Pick<DoctorFacts, "known" | "namespaces" | "scope">,
  ask: AskRegistry | undefined,
): (pod: PodWithStatus) => Promise<PodFacts> {
  const namesOfCopies = new Set(
    known.registries.flatMap(({ source, secretName }) => (source === undefined ? [] : secretName)),
  );
  const byName = new Map(namespaces?.map((each) => [each.name, each]));
  const readSecret = once((namespace, name) => pullSecretState(cluster, namesOfCopies, namespace, name));
  const readAccount = once((namespace, name) =>
    cluster.attempt("ServiceAccounts of pods", () => accountUnlessMissing(cluster, namespace, name)),
  );
  return async (pod) => {
    const namespace = getString(pod.metadata, "namespace") ?? "";
    const isReported = scope.namespace !== undefined || byName.get(namespace)?.isOptedIn !== false;
    if (!isReported) return { pod, pullSecrets: new Map(), serviceAccount: undefined, answers: new Map() };
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
      pod,
      pullSecrets: new Map(pullSecrets),
      serviceAccount: await readAccount(namespace, account),
      answers: ask === undefined ? new Map() : await ask({ pod, namespace, labels, pullSecretNames: names }),
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
    try {
      const secret = await cluster.apis.core.readNamespacedSecret({ namespace, name });
      return namesOfCopies.has(name) && !isManaged(secret) ? { kind: "not-owned" } : readPullSecret(secret);
    } catch (error) {
      if (isNotFound(error)) return { kind: "missing" };
      throw error;
    }
  });
  return state ?? { kind: "unknown" };
}

async function accountUnlessMissing(
  { reader }: Cluster,
  namespace: string,
  name: string,
): Promise<ServiceAccountInfo | undefined> {
  try {
    return await reader.serviceAccount(namespace, name);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Reads each object once. */
function once<T>(
  read: (namespace: string, name: string) => Promise<T>,
): (namespace: string, name: string) => Promise<T> {
  const readings = new Map<string, Promise<T>>();
  return (namespace, name) =>
    readings.getOrInsertComputed(`${namespace}/${name}`, () => read(namespace, name));
}

/** A namespace may have a quota or a policy that refuses the trial pod. */
const MAX_TRIALS = 3;

/**
 * Asks the API server to create a pod with `dryRun=All`: nothing is stored or scheduled, and no image is pulled, but the webhook is
 * called. The first namespaces are taken in which the webhook has to give it a pull secret.
 */
async function tryPod(
  cluster: Cluster,
  { name: webhookName, selector }: FoundWebhook,
  known: KnownRegistries,
  namespaces: readonly NamespaceFacts[] = [],
): Promise<Trial | undefined> {
  let refusal: string | undefined;
  for (const { namespace, registry, pod } of planTrials(known, namespaces, selector)) {
    try {
      const created = await cluster.apis.core.createNamespacedPod({ namespace, body: pod, dryRun: "All" });
      const isInjected = readMetadata(created).annotations[INJECTED_ANNOTATION] !== undefined;
      return { namespace, registry, outcome: isInjected ? "injected" : "not-injected" };
    } catch (error) {
      if (!(error instanceof KubeApiError)) throw error;
      if (error.message.includes(`failed calling webhook "${webhookName}"`))
        return { namespace, registry, outcome: "webhook-failed" };
      refusal ??= error.message;
    }
  }
  if (refusal !== undefined) cluster.note("trial pod (dry run)", refusal);
  return undefined;
}

type TrialPod = Parameters<KubeApis["core"]["createNamespacedPod"]>[0]["body"];

function planTrials(
  { index }: KnownRegistries,
  namespaces: readonly NamespaceFacts[],
  selector: LabelSelector,
): readonly { readonly namespace: string; readonly registry: string; readonly pod: TrialPod }[] {
  const images = index.registries.map(({ name, address }) => {
    const authority = address.authority.replaceAll("*", "pullpass-doctor");
    const path = address.path === "" ? "" : `${address.path}/`;
    return { registry: name, pod: trialPod(`${authority}/${path}pullpass-doctor:none`) };
  });
  return namespaces
    .values()
    .filter(
      ({ isOptedIn, isTerminating, labels }) =>
        isOptedIn && !isTerminating && selectorMatches(selector, labels),
    )
    .flatMap(({ name: namespace, labels }) => {
      const context = { namespace: { isOptedIn: true, labels }, serviceAccount: undefined };
      const found = images.find(({ pod }) => decide(pod, context, index).kind === "inject");
      return found === undefined ? [] : [{ namespace, ...found }];
    })
    .take(MAX_TRIALS)
    .toArray();
}

/** One that the strictest Pod Security Standard admits. With a pull secret of its own, so that it does not get its account's. */
function trialPod(image: string) {
  const resources = { requests: { cpu: "1m", memory: "1Mi" }, limits: { cpu: "1m", memory: "1Mi" } };
  const securityContext = {
    allowPrivilegeEscalation: false,
    runAsNonRoot: true,
    runAsUser: 65532,
    capabilities: { drop: ["ALL"] },
    seccompProfile: { type: "RuntimeDefault" },
  };
  return {
    metadata: { generateName: "pullpass-doctor-" },
    spec: {
      automountServiceAccountToken: false,
      imagePullSecrets: [{ name: "pullpass-doctor" }],
      containers: [{ name: "trial", image, resources, securityContext }],
    },
  };
}
