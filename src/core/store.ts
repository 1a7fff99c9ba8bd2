/** Objects by namespace and name, as an informer and our own writes report them. */

/** What is kept of an object; `version` is its `metadata.resourceVersion` as a number: a greater one is newer. */
export interface Versioned {
  readonly version: number;
}

export interface Store<T extends Versioned> {
  /** `namespace` is empty for cluster-scoped objects. */
  get(namespace: string, name: string): T | undefined;
  /** Live: it shows later changes, too, for as long as the namespace has objects; that of "" does for good. */
  in(namespace: string): ReadonlyMap<string, T>;
  /** Namespaces that have such objects. */
  namespaces(): Iterable<string>;
  readonly size: number;
  /**
   * Puts an object in, unless what is known is at least as new: a watch lags behind our own writes and must not undo them.
   * True if it was put in.
   */
  set(namespace: string, name: string, object: T): boolean;
  /** Takes out what is known, unless it is newer than `version`. Returns what was taken out. */
  remove(namespace: string, name: string, version?: number): T | undefined;
}

export function createStore<T extends Versioned>(): Store<T> {
  const clusterScoped = new Map<string, T>();
  const byNamespace = new Map<string, Map<string, T>>([["", clusterScoped]]);
  const none: ReadonlyMap<string, T> = new Map<string, T>();
  let size = 0;
  return {
    get: (namespace, name) => byNamespace.get(namespace)?.get(name),
    in: (namespace) => byNamespace.get(namespace) ?? none,
    namespaces: () => byNamespace.keys().filter((name) => name !== "" || clusterScoped.size > 0),
    get size() {
      return size;
    },
    set(namespace, name, object) {
      const objects = byNamespace.get(namespace) ?? new Map<string, T>();
      const known = objects.get(name);
      if (known !== undefined && known.version >= object.version) return false;
      if (known === undefined) size++;
      objects.set(name, object);
      byNamespace.set(namespace, objects);
      return true;
    },
    remove(namespace, name, version = Infinity) {
      const objects = byNamespace.get(namespace);
      const known = objects?.get(name);
      if (objects === undefined || known === undefined || known.version > version) return undefined;
      objects.delete(name);
      size--;
      if (objects.size === 0 && namespace !== "") byNamespace.delete(namespace);
      return known;
    },
  };
}
