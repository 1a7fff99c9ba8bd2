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

/** The watchdog starts a watch again after 90 s of silence; where that helps, it counts as being heard. */
const SILENCE_MS = 3 * 60_000;
const SILENCE_CHECK_MS = 60_000;

export class Informers {
  readonly #options: InformersOptions;
  readonly #running = new Map<string, Pick<Informer<Versioned>, "isSynced" | "lastActivityAt" | "close">>();
  readonly #silenceCheck: NodeJS.Timeout;

  constructor(options: InformersOptions) {
    this.#options = options;
    this.#silenceCheck = setInterval(() => {
      this.#reportSilence();
    }, SILENCE_CHECK_MS).unref();
  }

  /** One that still has to be started. */
  create<T extends Versioned>(
    label: string,
    options: Pick<InformerOptions<T>, "collection" | "project" | "pool">,
  ): Informer<T> {
    const { transport, timings, onRestart, logger } = this.#options;
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
    this.#running.set(label, informer);
    return informer;
  }

  /** Calls `onChange` once the object is known, and with every change. */
  watchObject(
    { label, path, name }: WatchedObject,
    onChange: (state: JsonObject | "missing") => void,
  ): ObjectWatch {
    const informer = this.create(label, {
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
      close: () => {
        this.stop(label);
      },
    };
  }

  /** Closes the informer with that label and forgets it. */
  stop(label: string): void {
    this.#running.get(label)?.close();
    this.#running.delete(label);
  }

  /** Seconds since each informer last heard something; one that never did counts from its creation. */
  agesSeconds(): ReadonlyMap<string, number> {
    const now = Date.now();
    const running = [...this.#running];
    return new Map(running.map(([label, { lastActivityAt }]) => [label, (now - lastActivityAt) / 1000]));
  }

  close(): void {
    clearInterval(this.#silenceCheck);
    for (const informer of this.#running.values()) informer.close();
  }

  #reportSilence(): void {
    const { logger } = this.#options;
    for (const [watch, age] of this.agesSeconds()) {
      // Of one that never was synced the fault is in the log; a right may be missing that an older chart did not give.
      if (age * 1000 < SILENCE_MS || this.#running.get(watch)?.isSynced !== true) continue;
      const silentSeconds = Math.round(age);
      logger.error({ watch, silentSeconds }, "no news from the API server; what is known may be outdated");
    }
  }
}
