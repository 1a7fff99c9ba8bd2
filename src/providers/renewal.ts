/** Asks providers in time, and keeps what they answer: the work of the one replica that leads. */
import type { CredentialProvider, ProviderRequest } from "../core/credential-provider.ts";
import type { ProviderAnswer } from "./answer.ts";
import { AnswerWriter, type AnswerWriterOptions } from "./answer-writer.ts";
import { ProviderFailedError, type ProviderFailure } from "./run-program.ts";
import { nextRefreshAt, retryDelay } from "./schedule.ts";
import { succeed, type StoredAnswer } from "./stored-answers.ts";

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

export interface RenewalOptions extends Pick<AnswerWriterOptions, "stored" | "write" | "onWriteError"> {
  /** @throws ProviderFailedError */
  readonly ask: (wanted: WantedAnswer, signal: AbortSignal) => Promise<ProviderAnswer>;
  readonly onAnswer: (provider: string, outcome: "changed" | "unchanged" | ProviderFailure) => void;
  /** The failures are others. */
  readonly onFailures: () => void;
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

/** Programs that run at once: they are processes in the memory of the pod. */
const MAX_RUNNING = 4;
/** Longer timers fire at once. */
const MAX_TIMER_MS = 24 * 3_600_000;

export class Renewal {
  readonly #options: RenewalOptions;
  readonly #random: () => number;
  readonly #writer: AnswerWriter;
  readonly #faults = new Map<string, ProviderFault>();
  readonly #running = new Set<string>();
  #wanted: Wanted = { answers: new Map(), isComplete: false };
  #term: AbortSignal | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
    this.#writer = new AnswerWriter({
      ...options,
      isLeading: () => this.#isLeading,
      isUnwanted: (key) => this.#wanted.isComplete && !this.#wanted.answers.has(key),
    });
  }

  setWanted(wanted: Wanted): void {
    this.#wanted = wanted;
    for (const key of this.#faults.keys()) if (!wanted.answers.has(key)) this.#faults.delete(key);
    this.#writer.removeUnwanted();
    this.wake();
  }

  /** By the key of the question: the last attempt failed. */
  get faults(): ReadonlyMap<string, ProviderFault> {
    return this.#faults;
  }

  /** When the question is asked next, as it stands. */
  dueAt(key: string): number | undefined {
    const question = this.#wanted.answers.get(key);
    if (question === undefined) return undefined;
    const { provider, settings } = question;
    const fault = this.#faults.get(key);
    if (fault?.settings === settings) return fault.retryAt;
    const answer = this.#answerTo(key);
    if (answer?.settings !== settings) return -Infinity;
    return nextRefreshAt(answer, provider.defaultCacheDurationMs);
  }

  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void {
    this.#term = signal;
    signal.addEventListener("abort", () => {
      clearTimeout(this.#timer);
      // The next leader has its own.
      this.#writer.clear();
      this.#faults.clear();
    });
    this.wake();
  }

  /** What is stored is known, or was changed. Asks what is due, and sleeps until the next one is. */
  wake(): void {
    clearTimeout(this.#timer);
    if (this.#term === undefined || !this.#isLeading || this.#options.stored() === undefined) return;
    let next = Infinity;
    for (const [key, question] of this.#wanted.answers) {
      if (this.#running.has(key)) continue;
      const due = this.dueAt(key) ?? Infinity;
      if (due > Date.now()) next = Math.min(next, due);
      else if (this.#running.size < MAX_RUNNING) void this.#renew(key, question, this.#term);
    }
    if (next === Infinity) return;
    const sleepMs = Math.min(Math.max(next - Date.now(), 0), MAX_TIMER_MS);
    this.#timer = setTimeout(() => {
      this.wake();
    }, sleepMs).unref();
  }

  get #isLeading(): boolean {
    return this.#term?.aborted === false;
  }

  #answerTo(key: string): StoredAnswer | undefined {
    return this.#writer.get(key) ?? this.#options.stored()?.get(key);
  }

  async #renew(key: string, question: WantedAnswer, signal: AbortSignal): Promise<void> {
    const { ask, onAnswer, onFailures } = this.#options;
    const { provider, request, settings } = question;
    this.#running.add(key);
    try {
      const { credential, cacheDurationMs } = await ask(question, signal);
      if (signal.aborted) return;
      const before = this.#answerTo(key);
      const next = succeed(before, {
        ...{ provider: provider.name, image: request.image, settings, credential, cacheDurationMs },
        ...{ answeredAt: Date.now(), jitter: this.#random() },
      });
      this.#writer.add(key, next);
      onAnswer(provider.name, next.changedAt === before?.changedAt ? "unchanged" : "changed");
      if (this.#faults.delete(key)) onFailures();
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ProviderFailedError)) throw error;
      const count = (this.#faults.get(key)?.count ?? 0) + 1;
      const retryAt = Date.now() + retryDelay(count, this.#random());
      this.#faults.set(key, { message: error.message, count, retryAt, settings });
      onAnswer(provider.name, error.failure);
      onFailures();
    } finally {
      this.#running.delete(key);
      this.wake();
    }
  }
}
