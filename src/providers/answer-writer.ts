/** Answers of providers that are not stored yet, and their writes. */
import { longestWait } from "../core/back-off.ts";
import type { StoredAnswer, StoredAnswers } from "./stored-answers.ts";

export interface AnswerWriterOptions {
  /** What is stored; undefined until it is known. */
  readonly stored: () => StoredAnswers | undefined;
  /** False if somebody else wrote meanwhile, or leads. Whoever reads what is stored hears of it. */
  readonly write: (answers: StoredAnswers) => Promise<boolean>;
  readonly onWriteError: (error: unknown) => void;
  readonly isLeading: () => boolean;
  readonly isUnwanted: (key: string) => boolean;
}

/** So that answers that come together are one write. */
const WRITE_DELAY_MS = 200;
const WRITE_RETRIES = { firstMs: 2_000, maxMs: 60_000 };

export class AnswerWriter {
  readonly #options: AnswerWriterOptions;
  /** By the key of the question. */
  readonly #unwritten = new Map<string, StoredAnswer>();
  #timer: NodeJS.Timeout | undefined;
  #isWriting = false;
  #failures = 0;

  constructor(options: AnswerWriterOptions) {
    this.#options = options;
  }

  get(key: string): StoredAnswer | undefined {
    return this.#unwritten.get(key);
  }

  add(key: string, answer: StoredAnswer): void {
    this.#unwritten.set(key, answer);
    this.#writeSoon(WRITE_DELAY_MS);
  }

  /** Other answers are wanted now. */
  removeUnwanted(): void {
    const { stored, isLeading, isUnwanted } = this.#options;
    const isAnythingUnwanted = stored()?.keys().some(isUnwanted) === true;
    if (isLeading() && isAnythingUnwanted) this.#writeSoon(WRITE_DELAY_MS);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#unwritten.clear();
  }

  #writeSoon(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#writeAll();
    }, delayMs).unref();
  }

  async #writeAll(): Promise<void> {
    const { stored, write, onWriteError, isLeading, isUnwanted } = this.#options;
    const before = stored();
    if (before === undefined || this.#isWriting || !isLeading()) return;
    const written = new Map(this.#unwritten);
    const next = new Map([...before, ...written].filter(([key]) => !isUnwanted(key)));
    if (written.size === 0 && next.size === before.size) return;
    this.#isWriting = true;
    try {
      if (await write(next)) {
        this.#failures = 0;
        for (const [key, answer] of written) {
          if (this.#unwritten.get(key) === answer || isUnwanted(key)) this.#unwritten.delete(key);
        }
      }
    } catch (error) {
      onWriteError(error);
    } finally {
      this.#isWriting = false;
    }
    if (this.#unwritten.size > 0) this.#writeSoon(longestWait(++this.#failures, WRITE_RETRIES));
  }
}
