/** Remembers for a while what was done, in bounded memory. */

export interface RecentKeys {
  /** Remembers the key from `nowMs` on; false if it is remembered already. */
  add(key: string, nowMs: number): boolean;
  forget(key: string): void;
}

export interface RecentKeysOptions {
  readonly maxAgeMs: number;
  /** The oldest goes where there are more. */
  readonly maxKeys: number;
}

export function createRecentKeys({ maxAgeMs, maxKeys }: RecentKeysOptions): RecentKeys {
  /** In the order of the times. */
  const times = new Map<string, number>();
  return {
    add(key, nowMs) {
      const time = times.get(key);
      if (time !== undefined && nowMs - time < maxAgeMs) return false;
      times.delete(key);
      times.set(key, nowMs);
      const oldest = times.keys().next();
      if (times.size > maxKeys && oldest.done !== true) times.delete(oldest.value);
      return true;
    },
    forget(key) {
      times.delete(key);
    },
  };
}
