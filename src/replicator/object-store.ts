/** Objects by namespace and name, as a watch and our own writes tell of them. */

/** What is kept of an object; `version` is its `metadata.resourceVersion`: a greater one is newer. */
export interface Versioned {
  readonly version: number;
}

export interface ObjectStore<T extends Versioned> {
  in(namespace: string): ReadonlyMap<string, T>;
  /** Namespaces that have such objects. */
  namespaces(): Iterable<string>;
  readonly size: number;
  /**
   * Takes over an object, unless what is known is at least as new: a watch is behind our own writes and must not undo
   * them. True if it was taken over.
   */
  set(namespace: string, name: string, object: T): boolean;
  remove(namespace: string, name: string): void;
}

export function createObjectStore<T extends Versioned>(): ObjectStore<T> {
  const byNamespace = new Map<string, Map<string, T>>();
  const none: ReadonlyMap<string, T> = new Map<string, T>();
  let size = 0;
  return {
    in: (namespace) => byNamespace.get(namespace) ?? none,
    namespaces: () => byNamespace.keys(),
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
    remove(namespace, name) {
      const objects = byNamespace.get(namespace);
      if (objects?.delete(name) !== true) return;
      size--;
      if (objects.size === 0) byNamespace.delete(namespace);
    },
  };
}
