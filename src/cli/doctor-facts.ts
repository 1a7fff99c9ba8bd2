/** What `pullpass doctor` reads of a cluster, and what it finds in it. */
import { indexConfiguration, type Configuration, type ConfiguredRegistry } from "../config/configuration.ts";
import { asRegistryObject, joinRegistryObjects } from "../config/registry-objects.ts";
import type { PodWithStatus } from "../core/diagnosis.ts";
import type { HealEvent } from "../core/heal-events.ts";
import type { JsonObject, Namespace, ServiceAccountInfo } from "../core/kubernetes.ts";
import type { FailedPulls } from "../core/next-try.ts";
import type { PullSecretState } from "../core/pull-secret.ts";
import { isPermittedIn, type RegistryIndex } from "../core/registry.ts";
import type { RegistryFault } from "../core/registry-status.ts";
import { BUILD_SECRET_NAME } from "../core/replication.ts";

/** Times are Unix times in milliseconds. What could not be read is undefined, and a line of `unread` says why. */
export interface DoctorFacts {
  readonly now: number;
  /** Without a namespace: the whole cluster. With a pod: this pod alone, and `webhook`, `namespaces` and copies are not reported. */
  readonly scope: { readonly namespace?: string | undefined; readonly pod?: string | undefined };
  readonly webhookName: string;
  readonly webhook: WebhookFacts | "missing" | undefined;
  /** That of `mode: policy` and `policy+webhook`. */
  readonly policy?: PolicyFacts | "missing" | undefined;
  readonly known: KnownRegistries;
  /** Those in the scope. */
  readonly namespaces: readonly NamespaceFacts[] | undefined;
  /** Secrets with Pullpass's label. */
  readonly copies: readonly CopyFacts[] | undefined;
  /** `namespace/name` of the Secrets that have the name of a copy, and not the label. */
  readonly blocking: ReadonlySet<string>;
  readonly pods: readonly PodFacts[] | undefined;
  /** Pods that were evicted lately, or are left alone, the latest first; of namespaces that opted in to heal. */
  readonly healEvents: readonly HealEvent[];
  readonly unread: readonly string[];
}

export interface WebhookFacts {
  readonly failurePolicy: string;
  readonly hasCaBundle: boolean;
  /** When each certificate of the `caBundle` expires; what does not parse is left out. */
  readonly caExpiresAt: readonly number[];
  /** Undefined if the webhook is called by a URL. */
  readonly service: ServiceFacts | undefined;
  /** The trial pod; undefined if there was none. */
  readonly trial: Trial | undefined;
}

export interface PolicyFacts {
  /** Without its binding a policy does nothing. */
  readonly isBound: boolean;
  /** The trial pod; undefined if there was none. */
  readonly trial: Trial | undefined;
}

export interface ServiceFacts {
  readonly namespace: string;
  readonly name: string;
  readonly exists: boolean | undefined;
  readonly readyEndpoints: number | undefined;
}

/** A pod whose creation was tried, without creating it. */
export interface Trial {
  readonly namespace: string;
  /** Of the registry that has to give it its pull secret. */
  readonly registry: string;
  readonly outcome: "injected" | "not-injected" | "webhook-failed";
}

export interface NamespaceFacts extends Namespace {
  readonly optedInAt?: number | undefined;
}

export interface CopyFacts {
  readonly namespace: string;
  readonly name: string;
  /** The names of the registries in it. */
  readonly registries: readonly string[];
}

export interface PodFacts {
  readonly pod: PodWithStatus;
  /** The pull secrets that it names. */
  readonly pullSecrets: ReadonlyMap<string, PullSecretState>;
  readonly serviceAccount: ServiceAccountInfo | undefined;
  /** Of one of its images, as far as Events tell. */
  readonly failedPulls: (image: string) => FailedPulls | undefined;
  /** What registries answered about its images, by image. */
  readonly answers: ReadonlyMap<string, readonly RegistryAnswer[]>;
}

/** Whether credentials may pull an image. */
export interface RegistryAnswer {
  /** Such as `pull secret regcred` or `registry team-a`. */
  readonly credentials: string;
  readonly outcome: "may-pull" | "not-there" | "may-not-pull" | "unknown";
  readonly message: string;
}

/** The registries of the file and of the cluster. */
export interface KnownRegistries {
  readonly registries: readonly ConfiguredRegistry[];
  readonly fromFile: number;
  /** ClusterRegistries as the API server sends them. */
  readonly objects: readonly JsonObject[] | "no-crd" | undefined;
  /** Why ClusterRegistries are not used, by their names. */
  readonly faults: ReadonlyMap<string, RegistryFault>;
  readonly index: RegistryIndex;
}

export function knownRegistries(
  configuration: Configuration,
  objects: KnownRegistries["objects"],
): KnownRegistries {
  const list = Array.isArray(objects) ? (objects as readonly JsonObject[]) : [];
  const { registries, faults } = joinRegistryObjects(configuration, list.map(asRegistryObject));
  const index = indexConfiguration({ ...configuration, registries }, true);
  return { registries, fromFile: configuration.registries.length, objects, faults, index };
}

/** Registries that copies hold credentials of, and that are not known: those of a configuration that was not given. */
export function unknownRegistries(
  copies: readonly CopyFacts[],
  { registries, faults }: KnownRegistries,
): readonly string[] {
  const known = new Set([...registries.map(({ name }) => name), ...faults.keys()]);
  const named = new Set(copies.flatMap((copy) => copy.registries));
  return [...named].filter((name) => !known.has(name)).toSorted();
}

/** The names of the copies that a namespace has to have, as far as that is known without reading credentials. */
export function expectedCopies(
  namespace: Namespace,
  registries: readonly ConfiguredRegistry[],
): readonly string[] {
  if (!namespace.isOptedIn || namespace.isTerminating) return [];
  const permitted = registries.filter((registry) => isPermittedIn(registry, namespace.labels));
  const names = permitted
    .filter(({ source, use }) => source !== undefined && use.includes("pull"))
    .filter((registry) => !isSourceIn(namespace.name, registry))
    .map(({ secretName }) => secretName);
  const isForBuilds = permitted.some(({ buildSource }) => buildSource?.kind === "build-secret");
  return [...new Set([...names, ...(isForBuilds ? [BUILD_SECRET_NAME] : [])])];
}

/** Where the source of a registry has the name of its copy, it is the pull secret. */
function isSourceIn(namespace: string, { source, secretName }: ConfiguredRegistry): boolean {
  if (source?.kind !== "secret" || source.name !== secretName) return false;
  return source.namespace === undefined || source.namespace === namespace;
}

/** One thing that was found. */
export interface Finding {
  readonly state: "ok" | "fault" | "note";
  /** For programs; it does not change. */
  readonly code: string;
  /** Nothing secret. */
  readonly message: string;
  /** What to do. */
  readonly advice?: string;
  /** Of namespaces, where the finding is about some of them. */
  readonly namespaces?: readonly string[];
}

export interface PodFinding extends Finding {
  readonly namespace: string;
  /** Pods of one controller with the same verdict. */
  readonly pods: readonly string[];
  /** Such as `ReplicaSet/web-5d8f`; null for a pod without a controller. */
  readonly controller: string | null;
  readonly containers: readonly ContainerFinding[];
}

export interface ContainerFinding {
  readonly container: string;
  readonly image: string;
  readonly code: string;
  readonly message: string;
  readonly advice: string;
  /** When the kubelet tries again, as far as that is known. */
  readonly nextTry: string;
  readonly answers?: readonly RegistryAnswer[];
}

export interface DoctorReport {
  readonly healthy: boolean;
  readonly webhook: readonly Finding[];
  readonly registries: readonly Finding[];
  readonly namespaces: readonly Finding[];
  readonly pods: readonly (Finding | PodFinding)[];
  /** What could not be read, and why, a line each. */
  readonly notRead: readonly string[];
}

export function ok(code: string, message: string): Finding {
  return { state: "ok", code, message };
}

export function note(code: string, message: string): Finding {
  return { state: "note", code, message };
}

export function fault(code: string, message: string, advice: string): Finding {
  return { state: "fault", code, message, advice };
}
