/** Reads what `pullpass doctor` reports on, with the rights of whoever asks. */
import type { Configuration } from "../config/configuration.ts";
import { listObjects } from "../kube/list.ts";
import { REGISTRY_API, REGISTRY_API_VERSION } from "../config/registry-crd.ts";
import { getString } from "../core/kubernetes.ts";
import { MANAGED_BY_LABEL, MANAGER, REGISTRIES_ANNOTATION } from "../core/labels.ts";
import { unlessMissing } from "../kube/errors.ts";
import { isManaged } from "../kube/resources/copies.ts";
import { asJson } from "../kube/resources/evictions.ts";
import { readMetadata, type ApiObject } from "../kube/resources/metadata.ts";
import { optedInAt, readNamespace } from "../kube/resources/namespaces.ts";
import type { Transport } from "../kube/transport.ts";
import type { RegistryQuestions } from "./doctor-ask.ts";
import { openCluster, pathOf, type Cluster } from "./doctor-cluster.ts";
import {
  expectedCopies,
  knownRegistries,
  type CopyFacts,
  type DoctorFacts,
  type KnownRegistries,
  type NamespaceFacts,
} from "./doctor-facts.ts";
import { podDetails, readFailedPulls, readHealEvents, readStuckPods } from "./doctor-read-pods.ts";
import { readPolicy, readWebhook, tryPod } from "./doctor-read-webhook.ts";

export interface DoctorRequest {
  readonly scope: DoctorFacts["scope"];
  readonly webhookName: string;
  readonly configuration: Configuration;
  /** Undefined: registries are not asked. */
  readonly createQuestions:
    ((known: KnownRegistries, serviceNamespace: string | undefined) => RegistryQuestions) | undefined;
}

/** @throws KubeApiError for every refusal but a lack of rights, and KubeUnreachableError */
export async function readFacts(transport: Transport, request: DoctorRequest): Promise<DoctorFacts> {
  const { scope, webhookName, configuration, createQuestions } = request;
  const cluster = openCluster(transport);
  const isOnePod = scope.pod !== undefined;
  const objects = await readRegistryObjects(cluster);
  const known = knownRegistries(configuration, objects);
  const namespaces = await readNamespaces(cluster, scope.namespace);
  // Of one pod, only where Pullpass runs matters, for its registries' credentials.
  const isWebhookNeeded = !isOnePod || createQuestions !== undefined;
  const webhook = isWebhookNeeded ? await readWebhook(cluster, webhookName, isOnePod) : undefined;
  const policy = isOnePod ? undefined : await readPolicy(cluster);
  const copies = await readCopies(cluster, scope.namespace);
  const blocking = isOnePod
    ? NONE
    : await readBlocking(cluster, scope.namespace, { namespaces, copies, known });
  const stuck = await readStuckPods(cluster, scope);
  const serviceNamespace = typeof webhook === "object" ? webhook.facts.service?.namespace : undefined;
  const failedPulls = await readFailedPulls(cluster, stuck ?? []);
  const surroundings = { known, namespaces, scope, failedPulls };
  const readPod = podDetails(cluster, surroundings, createQuestions?.(known, serviceNamespace));
  const pods = stuck && (await Promise.all(stuck.map(readPod)));
  // Where there is a policy, the webhook is asked about builders alone.
  const tried = typeof policy === "object" ? policy : webhook;
  const trial =
    isOnePod || typeof tried !== "object" ? undefined : await tryPod(cluster, tried, known, namespaces);
  return {
    ...{ now: Date.now(), scope, webhookName, known, namespaces, copies, blocking, pods },
    webhook: typeof webhook === "object" ? { ...webhook.facts, trial } : webhook,
    healEvents: isOnePod ? [] : await readHealEvents(cluster, namespaces, stuck),
    policy: typeof policy === "object" ? { isBound: policy.isBound, trial } : policy,
    unread: cluster.unread(),
  };
}

const NONE: ReadonlySet<string> = new Set();

function readRegistryObjects(cluster: Cluster): Promise<KnownRegistries["objects"]> {
  const path = `/apis/${REGISTRY_API_VERSION}/${REGISTRY_API.plural}`;
  return cluster.attempt(
    "ClusterRegistries",
    async () =>
      (await unlessMissing(listObjects(cluster.transport, { path }, (object) => object))) ?? "no-crd",
  );
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
    return cluster.attempt("namespaces", () => listObjects(cluster.transport, collection, read));
  }
  const found = await cluster.attempt(`namespace ${namespace}`, () =>
    cluster.apis.core.readNamespace({ name: namespace }),
  );
  return found && [read(asJson(found))];
}

function readCopies(
  cluster: Cluster,
  namespace: string | undefined,
): Promise<readonly CopyFacts[] | undefined> {
  const query = { labelSelector: `${MANAGED_BY_LABEL}=${MANAGER}` };
  const collection = { path: pathOf("secrets", namespace), query, metadataOnly: true };
  return cluster.attempt("copies (Secrets)", () =>
    listObjects(cluster.transport, collection, (object) => {
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
      listObjects(cluster.transport, collection, (object) =>
        isManaged(object) ? undefined : readMetadata(object).namespace,
      ),
    );
    for (const where of found ?? []) blocking.add(`${where}/${name}`);
  }
  return blocking;
}
