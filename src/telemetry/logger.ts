/** Logs: one JSON line an event, on standard output. */
import pino, { type Logger } from "pino";
import type { ReviewObserver } from "../admission/measured.ts";

/** Lines are written together, once there is so much of them or after a moment: a write for each would cost more than the review. */
const BUFFER_BYTES = 8 * 1024;
const FLUSH_INTERVAL_MS = 200;

export interface OpenLogger {
  readonly logger: Logger;
  /** Writes what is still waiting. */
  close(): void;
}

export function openLogger(): OpenLogger {
  const destination = pino.destination({
    fd: 1,
    sync: false,
    minLength: BUFFER_BYTES,
    periodicFlush: FLUSH_INTERVAL_MS,
  });
  const logger = pino(
    {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return {
    logger,
    close() {
      destination.flushSync();
    },
  };
}

/** One line for each review. Images are left out: people paste credentials into them. */
export function logReviews(logger: Logger): ReviewObserver {
  return ({ uid }, { decision, namespace, owner }, durationSeconds) => {
    logger.info(
      {
        uid,
        namespace,
        owner,
        decision: decision.kind,
        ...(decision.kind === "inject"
          ? { registries: decision.registries.map((registry) => registry.name) }
          : { reason: decision.reason }),
        durationMs: Math.round(durationSeconds * 1e6) / 1e3,
      },
      "review",
    );
  };
}
