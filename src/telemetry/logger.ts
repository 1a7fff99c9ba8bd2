/** Logs: one JSON line an event, on standard output. */
import pino, { type Logger } from "pino";
import type { Decision } from "../core/decision.ts";
import type { BatchObserver } from "./batch.ts";

/** Lines are written together: those of a batch of reviews at its end, others after a moment, all once there is so much. */
const BUFFER_LENGTH = 64 * 1024;
const FLUSH_INTERVAL_MS = 200;

export interface Log {
  readonly logger: Logger;
  /** Writes one line for each review. Images are left out: people paste credentials into them. */
  readonly logReviews: BatchObserver;
  /** Writes what is still waiting. */
  close(): void;
}

export function openLog(): Log {
  // Written by this thread: handing a batch to another one and being told of its end costs more than the write.
  const standardOutput = pino.destination({ fd: 1, sync: true });
  let waiting = "";
  const flush = (): void => {
    if (waiting === "") return;
    standardOutput.write(waiting);
    waiting = "";
  };
  const flushing = setInterval(flush, FLUSH_INTERVAL_MS).unref();
  const lines = {
    write(line: string): void {
      waiting += line;
      if (waiting.length >= BUFFER_LENGTH) flush();
    },
  };

  // A review's line is written some time after the review, and says the review's time.
  let reviewTime: number | undefined;
  const timestamp = (): string => `,"time":${(reviewTime ?? Date.now()).toString()}`;
  const logger = pino({ base: null, timestamp, formatters: { level: (label) => ({ level: label }) } }, lines);
  return {
    logger,
    logReviews(events) {
      for (const { time, uid, namespace, owner, decision, durationSeconds } of events) {
        reviewTime = time;
        const durationMs = Math.round(durationSeconds * 1e6) / 1e3;
        logger.info({ ...describeOutcome(decision), uid, namespace, owner, durationMs }, "review");
      }
      reviewTime = undefined;
      // Lines that wait for the next batch would outlive a collection of V8's young objects, which costs more than the write.
      flush();
    },
    close() {
      clearInterval(flushing);
      flush();
      standardOutput.flushSync();
    },
  };
}

function describeOutcome(decision: Decision): Readonly<Record<string, unknown>> {
  if (decision.kind === "skip") return { decision: decision.kind, reason: decision.reason };
  const registries = decision.registries.map(({ name }) => name);
  const builders = [...new Set(decision.build?.findings.map(({ builder }) => builder))];
  const outcome = { decision: decision.kind, reason: "needed", registries };
  return builders.length === 0 ? outcome : { ...outcome, builders };
}
