/** What one person may see of the cluster, kept up to date by watches with that person's own rights. */
import { indexConfiguration, type Configuration } from "../config/configuration.ts";
import { REGISTRY_API, REGISTRY_API_VERSION } from "../config/registry-crd.ts";
import { asRegistryObject, joinRegistryObjects, type JoinedRegistries } from "../config/registry-objects.ts";
import { isObject, type JsonObject, type Namespace } from "../core/kubernetes.ts";
import type { RegistryIndex } from "../core/registry.ts";
import type { Versioned } from "../core/store.ts";
import { hasStatus, isNotFound } from "../kube/errors.ts";
import { Informer, type InformerOptions } from "../kube/informer.ts";
import { readMetadata } from "../kube/resources/metadata.ts";
import { optedInAt, readNamespace } from "../kube/resources/namespaces.ts";
import { PENDING_PODS, readPendingPod, type PendingPod } from "../kube/resources/pending-pods.ts";
import { createStringPool } from "../kube/string-pool.ts";
import type { Transport } from "../kube/transport.ts";
import type { Changes } from "./api.ts";

export interface StoredRegistry extends Versioned {
  readonly object: JsonObject;
}

export interface StoredNamespace extends Namespace, Versioned {
  readonly optedInAt: number | undefined;
}

export interface ClusterView {
  /** The registries and the providers of files. */
  readonly configuration: Configuration;
  readonly registries: Watched<StoredRegistry>;
  readonly namespaces: Watched<StoredNamespace>;
  readonly pods: Watched<PendingPod>;
  /** The registries of the file and of the cluster, and why some of the latter are not used. */
  joined(): JoinedRegistries;
  index(): RegistryIndex;
  /** How often each list has changed so far. */
  readonly versions: () => Omit<Changes, "stuckPods">;
  /** Calls back after changes, several together. Returns what ends that. */
  subscribe(onChange: () => void): () => void;
  close(): void;
}

/** A list, as far as it may be read. */
export interface Watched<T extends Versioned> {
  /** Resolves once the list was asked for, whatever the answer. */
  ready(): Promise<void>;
  /** By `namespace/name`, or by name for what has no namespace. */
  entries(): readonly (readonly [string, T])[];
  get(namespace: string, name: string): T | undefined;
  /** A sentence that says why it could not be read, if it could not. */
  refusal(): string | undefined;
}

/** Changes that come within this time are reported together. */
const QUIET_MS = 200;
/** After a refusal, which a new right may end, and a lost connection. */
const BACK_OFF = { firstMs: 500, maxMs: 5_000 };

export interface ClusterViewOptions {
  readonly transport: Pick<Transport, "list" | "watch">;
  readonly configuration: Configuration;
  /** The API server does not accept the person's token any more. */
  readonly onUnauthorized: () => void;
}

export function createClusterView({
  transport,
  configuration,
  onUnauthorized,
}: ClusterViewOptions): ClusterView {
  const pool = createStringPool();
  const listeners = new Set<() => void>();
  const versions = { registries: 0, namespaces: 0, pods: 0 };
  let timer: NodeJS.Timeout | undefined;
  let joined: JoinedRegistries | undefined;
  let index: RegistryIndex | undefined;

  const report = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      for (const listener of listeners) listener();
    }, QUIET_MS).unref();
  };
  const changed = (list: keyof typeof versions): void => {
    versions[list]++;
    if (list === "registries") joined = index = undefined;
    report();
  };

  function watch<T extends Versioned>(
    list: keyof typeof versions,
    options: Pick<InformerOptions<T>, "collection" | "project">,
    isShown: (object: T | undefined) => boolean = () => true,
  ): Watched<T> & { close(): void } {
    let refusal: string | undefined;
    let informer: Informer<T> | undefined;
    /** Nothing is watched that nobody has looked at. */
    const start = (): Informer<T> => {
      if (informer !== undefined) return informer;
      informer = new Informer<T>({
        ...{ transport, pool, timings: BACK_OFF, ...options },
        onFault(_, error) {
          if (hasStatus(error, 401)) onUnauthorized();
          const isMissing = isNotFound(error) && list === "registries";
          refusal = isMissing
            ? "The cluster has no ClusterRegistries: its CRD is not installed."
            : error instanceof Error
              ? error.message
              : "no answer";
          changed(list);
        },
        onRecovery() {
          refusal = undefined;
          changed(list);
        },
      });
      informer.subscribe((_namespace, _name, current, previous) => {
        if (isShown(current) || isShown(previous)) changed(list);
      });
      void informer.synced.then(() => {
        changed(list);
      });
      informer.start();
      return informer;
    };
    return {
      ready: () => start().asked,
      entries() {
        const { store } = start();
        return [...store.namespaces()].flatMap((namespace) =>
          [...store.in(namespace)].map(
            ([name, object]) => [namespace === "" ? name : `${namespace}/${name}`, object] as const,
          ),
        );
      },
      get: (namespace, name) => start().store.get(namespace, name),
      refusal: () => refusal,
      close: () => informer?.close(),
    };
  }

  const registries = watch<StoredRegistry>("registries", {
    collection: { path: `/apis/${REGISTRY_API_VERSION}/${REGISTRY_API.plural}` },
    project: (object) => ({ version: readMetadata(object).version, object: withoutManagedFields(object) }),
  });
  const namespaces = watch<StoredNamespace>("namespaces", {
    collection: { path: "/api/v1/namespaces", metadataOnly: true },
    project: (object) => ({ ...readNamespace(object, pool), optedInAt: optedInAt(object) }),
  });
  const pods = watch<PendingPod>(
    "pods",
    { collection: PENDING_PODS, project: (object) => readPendingPod(object, pool) },
    // Every pod is pending for a moment, and most wait for no image.
    (pod) => pod?.stuck !== undefined,
  );

  const view: ClusterView = {
    configuration,
    registries,
    namespaces,
    pods,
    joined() {
      const objects = registries.entries().map(([, { object }]) => asRegistryObject(object));
      return (joined ??= joinRegistryObjects(configuration, objects));
    },
    index() {
      return (index ??= indexConfiguration({ ...configuration, registries: view.joined().registries }, true));
    },
    versions: () => ({ ...versions }),
    subscribe(onChange) {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
    close() {
      clearTimeout(timer);
      listeners.clear();
      for (const watched of [registries, namespaces, pods]) watched.close();
    },
  };
  return view;
}

/** A quarter of an object, which nobody here reads. */
function withoutManagedFields(object: JsonObject): JsonObject {
  const metadata = isObject(object["metadata"]) ? object["metadata"] : {};
  const { managedFields: _, ...rest } = metadata;
  return { ...object, metadata: rest };
}
