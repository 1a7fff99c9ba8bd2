/** Who is logged in: a few sessions, in memory, each for an hour or as an admin says; and how often a login may be tried. */
import { randomBytes } from "node:crypto";

/** Each keeps what its person may see of the cluster: 10 MiB with 10,000 namespaces. The one that was used least recently goes first. */
const MAX_SESSIONS = 32;

export interface Session<Person> {
  readonly id: string;
  readonly person: Person;
  /** Unix time in milliseconds. */
  readonly expiresAt: number;
  /** Aborts when the session ends. */
  readonly ended: AbortSignal;
}

export interface Sessions<Person> {
  /** Begins a session with an id that nobody knew before. */
  begin(person: Person): Session<Person>;
  /** Undefined if there is none, or it has ended. */
  find(id: string): Session<Person> | undefined;
  end(id: string): void;
  endAll(): void;
}

/** Each session ends after `lifetimeMs`, whatever is done in it. `onEnd` is called once for each, however it ends. */
export function createSessions<Person>(
  lifetimeMs: number,
  onEnd: (person: Person) => void,
  now: () => number = Date.now,
): Sessions<Person> {
  interface Kept extends Session<Person> {
    readonly end: () => void;
  }
  // Those that were used last are last.
  const sessions = new Map<string, Kept>();
  const end = (id: string): void => {
    const session = sessions.get(id);
    sessions.delete(id);
    session?.end();
  };
  return {
    begin(person) {
      for (const [oldest] of sessions) {
        if (sessions.size < MAX_SESSIONS) break;
        end(oldest);
      }
      // 256 bits: nobody guesses one.
      const id = randomBytes(32).toString("base64url");
      const control = new AbortController();
      const timer = setTimeout(() => {
        end(id);
      }, lifetimeMs).unref();
      const session = {
        ...{ id, person, expiresAt: now() + lifetimeMs, ended: control.signal },
        end() {
          clearTimeout(timer);
          control.abort();
          onEnd(person);
        },
      };
      sessions.set(id, session);
      return session;
    },
    find(id) {
      const session = sessions.get(id);
      if (session === undefined) return undefined;
      // A machine that slept has missed the timer.
      if (session.expiresAt <= now()) {
        end(id);
        return undefined;
      }
      sessions.delete(id);
      sessions.set(id, session);
      return session;
    },
    end,
    endAll() {
      for (const id of sessions.keys()) end(id);
    },
  };
}

/** A person who mistypes has ten tries at once, and one more every three seconds. */
const BURST = 10;
const REFILL_MS = 3_000;
/** Everybody together: each try is a request to the API server. */
const TOTAL = 20;
const MAX_ADDRESSES = 1_000;

/** Whether a login may be tried from that address now. Behind a port-forward or an Ingress all come from one. */
export function createAttemptLimit(now: () => number = Date.now): (address: string) => boolean {
  const byAddress = new Map<string, Bucket>();
  const total = { tokens: TOTAL, filledAt: now() };
  return (address) => {
    const bucket = byAddress.get(address) ?? { tokens: BURST, filledAt: now() };
    byAddress.delete(address);
    byAddress.set(address, bucket);
    for (const [oldest] of byAddress) {
      if (byAddress.size <= MAX_ADDRESSES) break;
      byAddress.delete(oldest);
    }
    return take(bucket, BURST, REFILL_MS, now()) && take(total, TOTAL, REFILL_MS / 10, now());
  };
}

interface Bucket {
  tokens: number;
  filledAt: number;
}

function take(bucket: Bucket, size: number, refillMs: number, now: number): boolean {
  bucket.tokens = Math.min(size, bucket.tokens + (now - bucket.filledAt) / refillMs);
  bucket.filledAt = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens--;
  return true;
}

/** How long the key in the address is good for. */
const KEY_MS = 10 * 60_000;

export interface OneTimeKey {
  /** A new one; the one before is of no use any more. */
  issue(): string;
  /** True once for each key. */
  redeem(key: string): boolean;
}

export function createOneTimeKey(now: () => number = Date.now): OneTimeKey {
  let current: { readonly key: string; readonly until: number } | undefined;
  return {
    issue() {
      current = { key: randomBytes(32).toString("base64url"), until: now() + KEY_MS };
      return current.key;
    },
    redeem(key) {
      // Equal texts of 43 random characters: how long the comparison takes tells nothing that could be tried 10,000 times.
      const isRight = current?.key === key && now() < current.until;
      if (isRight) current = undefined;
      return isRight;
    },
  };
}
