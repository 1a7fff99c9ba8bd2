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

type Versions = Omit<Changes, "stuckPods">;

export class ClusterView {
  /** The registries and the providers of files. */
  readonly configuration: Configuration;
  readonly registries: Watched<StoredRegistry>;
  readonly namespaces: Watched<StoredNamespace>;
  readonly pods: Watched<PendingPod>;
  readonly #listeners = new Set<() => void>();
  readonly #versions = { registries: 0, namespaces: 0, pods: 0 };
  #timer: NodeJS.Timeout | undefined;
  #joined: JoinedRegistries | undefined;
  #index: RegistryIndex | undefined;

  constructor({ transport, configuration, onUnauthorized }: ClusterViewOptions) {
    const pool = createStringPool();
    const shared = {
      ...{ transport, pool, onUnauthorized },
      onChange: (list: keyof Versions) => {
        this.#onChange(list);
      },
    };
    this.configuration = configuration;
    this.registries = new Watched<StoredRegistry>("registries", {
      ...shared,
      collection: { path: `/apis/${REGISTRY_API_VERSION}/${REGISTRY_API.plural}` },
      project: (object) => ({ version: readMetadata(object).version, object: withoutManagedFields(object) }),
    });
    this.namespaces = new Watched<StoredNamespace>("namespaces", {
      ...shared,
      collection: { path: "/api/v1/namespaces", metadataOnly: true },
      project: (object) => ({ ...readNamespace(object, pool), optedInAt: optedInAt(object) }),
    });
    this.pods = new Watched<PendingPod>("pods", {
      ...shared,
      collection: PENDING_PODS,
      project: (object) => readPendingPod(object, pool),
      // Every pod is pending for a moment, and most wait for no image.
      isShown: (pod) => pod?.stuck !== undefined,
    });
  }

  /** The registries of the file and of the cluster, and why some of the latter are not used. */
  joined(): JoinedRegistries {
    const objects = this.registries.entries().map(([, { object }]) => asRegistryObject(object));
    return (this.#joined ??= joinRegistryObjects(this.configuration, objects));
  }

  index(): RegistryIndex {
    const { configuration } = this;
    return (this.#index ??= indexConfiguration(
      { ...configuration, registries: this.joined().registries },
      true,
    ));
  }

  /** How often each list has changed so far. */
  versions(): Versions {
    return { ...this.#versions };
  }

  /** Calls back after changes, several together. Returns what ends that. */
  subscribe(onChange: () => void): () => void {
    this.#listeners.add(onChange);
    return () => this.#listeners.delete(onChange);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#listeners.clear();
    for (const watched of [this.registries, this.namespaces, this.pods]) watched.close();
  }

  #onChange(list: keyof Versions): void {
    this.#versions[list]++;
    if (list === "registries") this.#joined = this.#index = undefined;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const listener of this.#listeners) listener();
    }, QUIET_MS).unref();
  }
}

interface WatchedOptions<T extends Versioned> extends Pick<
  InformerOptions<T>,
  "transport" | "collection" | "project" | "pool"
> {
  /** Whether changes of the object concern anybody; by default, they do. */
  readonly isShown?: (object: T | undefined) => boolean;
  readonly onChange: (list: keyof Versions) => void;
  readonly onUnauthorized: () => void;
}

/** A list, as far as it may be read. */
class Watched<T extends Versioned> {
  readonly #list: keyof Versions;
  readonly #options: WatchedOptions<T>;
  #informer: Informer<T> | undefined;
  #refusal: string | undefined;

  constructor(list: keyof Versions, options: WatchedOptions<T>) {
    this.#list = list;
    this.#options = options;
  }

  /** Resolves once the list was asked for, whatever the answer. */
  ready(): Promise<void> {
    return this.#start().asked;
  }

  /** By `namespace/name`, or by name for what has no namespace. */
  entries(): readonly (readonly [string, T])[] {
    const { store } = this.#start();
    return [...store.namespaces()].flatMap((namespace) =>
      [...store.in(namespace)].map(
        ([name, object]) => [namespace === "" ? name : `${namespace}/${name}`, object] as const,
      ),
    );
  }

  get(namespace: string, name: string): T | undefined {
    return this.#start().store.get(namespace, name);
  }

  /** A sentence that says why it could not be read, if it could not. */
  refusal(): string | undefined {
    return this.#refusal;
  }

  close(): void {
    this.#informer?.close();
  }

  /** Nothing is watched that nobody has looked at. */
  #start(): Informer<T> {
    if (this.#informer !== undefined) return this.#informer;
    const { isShown = () => true, onChange, onUnauthorized, ...options } = this.#options;
    const informer = new Informer<T>({
      ...{ timings: BACK_OFF, ...options },
      onFault: (_, error) => {
        if (hasStatus(error, 401)) onUnauthorized();
        this.#setRefusal(refusalOf(this.#list, error));
      },
      onRecovery: () => {
        this.#setRefusal(undefined);
      },
    });
    this.#informer = informer;
    informer.subscribe((_namespace, _name, current, previous) => {
      if (isShown(current) || isShown(previous)) onChange(this.#list);
    });
    void informer.synced.then(() => {
      onChange(this.#list);
    });
    informer.start();
    return informer;
  }

  #setRefusal(refusal: string | undefined): void {
    this.#refusal = refusal;
    this.#options.onChange(this.#list);
  }
}

function refusalOf(list: keyof Versions, error: unknown): string {
  if (isNotFound(error) && list === "registries")
    return "The cluster has no ClusterRegistries: its CRD is not installed.";
  return error instanceof Error ? error.message : "no answer";
}

/** A quarter of an object, which nobody here reads. */
function withoutManagedFields(object: JsonObject): JsonObject {
  const metadata = isObject(object["metadata"]) ? object["metadata"] : {};
  const { managedFields: _, ...rest } = metadata;
  return { ...object, metadata: rest };
}
