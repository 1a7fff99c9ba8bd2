/** Logs: one JSON line an event, on standard output. */
import pino, { type Logger } from "pino";
import type { ReviewEvent } from "../admission/measured.ts";
import type { BatchObserver } from "./batch.ts";

/** Lines are written together, once there is so much of them or after a moment. */
const BUFFER_LENGTH = 16 * 1024;
const FLUSH_INTERVAL_MS = 200;

export interface Log {
  readonly logger: Logger;
  /** Writes one line for each review. Images are left out: people paste credentials into them. */
  readonly logReviews: BatchObserver;
  /** Writes what is still waiting. */
  close(): void;
}

export function openLog(): Log {
  // Written by this thread: handing 16 KiB to another one and being told of its end costs more than the write.
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
      for (const event of events) {
        reviewTime = event.time;
        logger.info(fieldsOf(event), "review");
      }
      reviewTime = undefined;
    },
    close() {
      clearInterval(flushing);
      flush();
      standardOutput.flushSync();
    },
  };
}

function fieldsOf({ uid, namespace, owner, decision, durationSeconds }: ReviewEvent): object {
  const durationMs = Math.round(durationSeconds * 1e6) / 1e3;
  if (decision.kind === "skip") {
    return { uid, namespace, owner, decision: decision.kind, reason: decision.reason, durationMs };
  }
  const registries = decision.registries.map((registry) => registry.name);
  return { uid, namespace, owner, decision: decision.kind, reason: "needed", registries, durationMs };
}
