/** Starts one watch, and says in the log how it fares. */
import type { Logger } from "pino";
import { messageOf } from "../core/error-message.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Reflector, ReflectorOptions, ReflectorTimings } from "../kube/reflector.ts";
import { startReflector } from "../kube/start-reflector.ts";

export interface WatchContext {
  readonly client: KubeClient;
  readonly timings: Partial<ReflectorTimings>;
  readonly onRestart: (watch: string, reason: string) => void;
  readonly logger: Logger;
}

export interface RunningWatch {
  readonly name: string;
  readonly startedAt: number;
  readonly reflector: Reflector;
  /** Resolves with the first list. */
  readonly synced: Promise<void>;
  /** Resolves with the first list, or once the first one was refused. */
  readonly asked: Promise<void>;
}

export function startWatch<Fact>(
  name: string,
  { collection, toFact, listener }: Pick<ReflectorOptions<Fact>, "collection" | "toFact" | "listener">,
  { client, timings, logger, onRestart }: WatchContext,
): RunningWatch {
  let onSynced = (): void => undefined;
  let onAsked = (): void => undefined;
  const synced = new Promise<void>((resolve) => (onSynced = resolve));
  const asked = new Promise<void>((resolve) => (onAsked = resolve));
  const reflector = startReflector({
    client,
    collection,
    toFact,
    timings,
    listener: {
      ...listener,
      onRelist(facts, resourceVersion) {
        listener.onRelist(facts, resourceVersion);
        onSynced();
        onAsked();
      },
    },
    onFault(action, error) {
      const message = messageOf(error);
      logger.warn({ watch: name, error: message }, `${action} failed; it is tried again`);
      onAsked();
    },
    onRecovery() {
      logger.info({ watch: name }, "the watch works again");
    },
    onRestart(reason) {
      onRestart(name, reason);
    },
  });
  return { name, startedAt: Date.now(), reflector, synced, asked };
}
