/** The informers of `serve`, and how they fare: in the log and in metrics. */
import type { Logger } from "pino";
import { messageOf } from "../core/error-message.ts";
import type { JsonObject } from "../core/kubernetes.ts";
import type { Versioned } from "../core/store.ts";
import { Informer, type InformerOptions, type InformerTimings } from "../kube/informer.ts";
import { readMetadata } from "../kube/resources/metadata.ts";
import type { Transport } from "../kube/transport.ts";

export interface InformersOptions {
  readonly transport: Transport;
  readonly timings: Partial<InformerTimings>;
  readonly onRestart: (informer: string, reason: string) => void;
  readonly logger: Logger;
}

/** One object of a collection. */
export interface WatchedObject {
  /** What it is called in logs and metrics. */
  readonly label: string;
  /** Of the collection, such as `/api/v1/namespaces/pullpass/secrets`. */
  readonly path: string;
  readonly name: string;
}

export interface ObjectWatch {
  /** Resolves once the object was asked for, also if the answer was no. */
  readonly asked: Promise<void>;
  close(): void;
}

export interface Informers {
  /** One that still has to be started. */
  create<T extends Versioned>(
    label: string,
    options: Pick<InformerOptions<T>, "collection" | "project" | "pool">,
  ): Informer<T>;
  /** Calls `onChange` once the object is known, and with every change. */
  readonly watchObject: (
    object: WatchedObject,
    onChange: (state: JsonObject | "missing") => void,
  ) => ObjectWatch;
  /** Closes the informer with that label and forgets it. */
  stop(label: string): void;
  /** Seconds since each informer last heard something; one that never did counts from its creation. */
  agesSeconds(): ReadonlyMap<string, number>;
  close(): void;
}

/** The watchdog starts a watch again after 90 s of silence; where that helps, it counts as being heard. */
const SILENCE_MS = 3 * 60_000;
const SILENCE_CHECK_MS = 60_000;

export function createInformers({ transport, timings, onRestart, logger }: InformersOptions): Informers {
  const running = new Map<string, Pick<Informer<Versioned>, "isSynced" | "lastActivityAt" | "close">>();

  const create: Informers["create"] = (label, options) => {
    const informer = new Informer({
      transport,
      ...options,
      timings,
      onFault(action, error) {
        logger.warn({ watch: label, error: messageOf(error) }, `${action} failed; retrying`);
      },
      onRecovery() {
        logger.info({ watch: label }, "the watch works again");
      },
      onRestart(reason) {
        onRestart(label, reason);
      },
    });
    running.set(label, informer);
    return informer;
  };

  const agesSeconds = (): ReadonlyMap<string, number> => {
    const now = Date.now();
    return new Map([...running].map(([label, { lastActivityAt }]) => [label, (now - lastActivityAt) / 1000]));
  };
  const silenceCheck = setInterval(() => {
    for (const [watch, age] of agesSeconds()) {
      // Of one that never was synced the fault is in the log; a right may be missing that an older chart did not give.
      if (age * 1000 < SILENCE_MS || running.get(watch)?.isSynced !== true) continue;
      const silentSeconds = Math.round(age);
      logger.error({ watch, silentSeconds }, "no news from the API server; what is known may be outdated");
    }
  }, SILENCE_CHECK_MS).unref();

  const stop = (label: string): void => {
    running.get(label)?.close();
    running.delete(label);
  };

  return {
    create,
    stop,
    watchObject({ label, path, name }, onChange) {
      const informer = create(label, {
        collection: { path, query: { fieldSelector: `metadata.name=${name}` } },
        project: (object) => ({ version: readMetadata(object).version, object }),
      });
      informer.subscribe((_namespace, _name, current) => {
        onChange(current?.object ?? "missing");
      });
      void informer.synced.then(() => {
        if (informer.store.size === 0) onChange("missing");
      });
      informer.start();
      return {
        asked: informer.asked,
        close() {
          stop(label);
        },
      };
    },
    agesSeconds,
    close() {
      clearInterval(silenceCheck);
      for (const informer of running.values()) informer.close();
    },
  };
}
