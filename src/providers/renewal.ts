/** Asks providers in time, and keeps what they answer: the work of the one replica that leads. */
import { longestWait } from "../core/back-off.ts";
import type { CredentialProvider, ProviderRequest } from "../core/credential-provider.ts";
import type { ProviderAnswer } from "./answer.ts";
import { ProviderFailedError, type ProviderFailure } from "./run-program.ts";
import { nextRefreshAt, retryDelay } from "./schedule.ts";
import { succeed, type StoredAnswer, type StoredAnswers } from "./stored-answers.ts";

/** A question that has to have an answer. */
export interface WantedAnswer {
  readonly provider: CredentialProvider;
  readonly request: ProviderRequest;
  /** A digest of the provider's entry. */
  readonly settings: string;
}

export interface Wanted {
  /** By `keyOf`. */
  readonly answers: ReadonlyMap<string, WantedAnswer>;
  /** False while there may be registries that are not known: answers that nobody wants are kept then. */
  readonly isComplete: boolean;
}

export interface RenewalOptions {
  /** @throws ProviderFailedError */
  readonly ask: (wanted: WantedAnswer, signal: AbortSignal) => Promise<ProviderAnswer>;
  /** What is stored; undefined until it is known. */
  readonly stored: () => StoredAnswers | undefined;
  /** False if somebody else wrote meanwhile, or leads. Whoever reads what is stored hears of it. */
  readonly write: (answers: StoredAnswers) => Promise<boolean>;
  readonly onAnswer: (provider: string, outcome: "changed" | "unchanged" | ProviderFailure) => void;
  /** The failures are others. */
  readonly onFailures: () => void;
  readonly onWriteError: (error: unknown) => void;
  readonly now?: () => number;
  readonly random?: () => number;
}

export interface ProviderFault {
  /** A predicate that follows the name of the provider; nothing secret. */
  readonly message: string;
  readonly count: number;
  readonly retryAt: number;
  /** Of the entry that failed: another one is not waited for. */
  readonly settings: string;
}

export interface Renewal {
  setWanted(wanted: Wanted): void;
  /** What is stored is known, or was changed. */
  readonly wake: () => void;
  /** By the key of the question: the last attempt failed. */
  readonly faults: ReadonlyMap<string, ProviderFault>;
  /** When the question is asked next, as it stands. */
  dueAt(key: string): number | undefined;
  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void;
}

/** Programs that run at once: they are processes in the memory of the pod. */
const MAX_RUNNING = 4;
/** So that answers that come together are one write. */
const WRITE_DELAY_MS = 200;
const WRITE_RETRIES = { firstMs: 2_000, maxMs: 60_000 };
/** Longer timers fire at once. */
const MAX_TIMER_MS = 24 * 3_600_000;

export function createRenewal(options: RenewalOptions): Renewal {
  const { ask, stored, write, onAnswer, onFailures, now = Date.now, random = Math.random } = options;
  let wanted: Wanted = { answers: new Map(), isComplete: false };
  let term: AbortSignal | undefined;
  /** Answers that are not stored yet. */
  const unwritten = new Map<string, StoredAnswer>();
  const faults = new Map<string, ProviderFault>();
  const running = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let writeTimer: NodeJS.Timeout | undefined;
  let isWriting = false;
  let writeFailures = 0;

  const isLeading = (): boolean => term?.aborted === false;
  const answerTo = (key: string): StoredAnswer | undefined => unwritten.get(key) ?? stored()?.get(key);

  function dueAt(key: string): number | undefined {
    const question = wanted.answers.get(key);
    if (question === undefined) return undefined;
    const { provider, settings } = question;
    const fault = faults.get(key);
    if (fault?.settings === settings) return fault.retryAt;
    const answer = answerTo(key);
    if (answer?.settings !== settings) return -Infinity;
    return nextRefreshAt(answer, provider.defaultCacheDurationMs);
  }

  /** Asks what is due, and sleeps until the next one is. */
  function wake(): void {
    clearTimeout(timer);
    if (term === undefined || !isLeading() || stored() === undefined) return;
    let next = Infinity;
    for (const [key, question] of wanted.answers) {
      if (running.has(key)) continue;
      const due = dueAt(key) ?? Infinity;
      if (due > now()) next = Math.min(next, due);
      else if (running.size < MAX_RUNNING) void renew(key, question, term);
    }
    if (next < Infinity) timer = setTimeout(wake, Math.min(Math.max(next - now(), 0), MAX_TIMER_MS)).unref();
  }

  async function renew(key: string, question: WantedAnswer, signal: AbortSignal): Promise<void> {
    const { provider, request, settings } = question;
    running.add(key);
    try {
      const { credential, cacheDurationMs } = await ask(question, signal);
      if (signal.aborted) return;
      const before = answerTo(key);
      const next = succeed(before, {
        ...{ provider: provider.name, image: request.image, settings, credential, cacheDurationMs },
        ...{ answeredAt: now(), jitter: random() },
      });
      unwritten.set(key, next);
      writeSoon(WRITE_DELAY_MS);
      onAnswer(provider.name, next.changedAt === before?.changedAt ? "unchanged" : "changed");
      if (faults.delete(key)) onFailures();
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ProviderFailedError)) throw error;
      const count = (faults.get(key)?.count ?? 0) + 1;
      const retryAt = now() + retryDelay(count, random());
      faults.set(key, { message: error.message, count, retryAt, settings });
      onAnswer(provider.name, error.failure);
      onFailures();
    } finally {
      running.delete(key);
      wake();
    }
  }

  const isUnwanted = (key: string): boolean => wanted.isComplete && !wanted.answers.has(key);

  function writeSoon(delayMs: number): void {
    writeTimer ??= setTimeout(() => {
      writeTimer = undefined;
      void writeAll();
    }, delayMs).unref();
  }

  async function writeAll(): Promise<void> {
    const before = stored();
    if (before === undefined || isWriting || !isLeading()) return;
    const written = new Map(unwritten);
    const next = new Map([...before, ...written].filter(([key]) => !isUnwanted(key)));
    if (written.size === 0 && next.size === before.size) return;
    isWriting = true;
    try {
      if (await write(next)) {
        writeFailures = 0;
        for (const [key, answer] of written) {
          if (unwritten.get(key) === answer || isUnwanted(key)) unwritten.delete(key);
        }
      }
    } catch (error) {
      options.onWriteError(error);
    } finally {
      isWriting = false;
    }
    if (unwritten.size > 0) writeSoon(longestWait(++writeFailures, WRITE_RETRIES));
  }

  return {
    setWanted(next) {
      wanted = next;
      for (const key of faults.keys()) if (!next.answers.has(key)) faults.delete(key);
      const isAnythingUnwanted = stored()?.keys().some(isUnwanted) === true;
      if (isLeading() && isAnythingUnwanted) writeSoon(WRITE_DELAY_MS);
      wake();
    },
    wake,
    faults,
    dueAt,
    start(signal) {
      term = signal;
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        clearTimeout(writeTimer);
        writeTimer = undefined;
        // The next leader has its own.
        unwritten.clear();
        faults.clear();
      });
      wake();
    },
  };
}
