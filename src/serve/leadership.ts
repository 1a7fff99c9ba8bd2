/** Takes part in the leader election, and says how it goes. */
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../core/error-message.ts";
import { MANAGER } from "../core/labels.ts";
import { leaseCollection, readLease } from "../kube/lease.ts";
import type { Replicator } from "../replicator/controller.ts";
import type { WatchedCluster } from "./cluster-access.ts";
import type { ClusterRegistries } from "./cluster-registries.ts";

/** How long a replica that hands over waits for its last writes; the Lease expires soon after. */
const LAST_WRITES_MS = 5000;
/** The same fault counts as another one after so long. */
const NEW_FAULT_MS = 60_000;

export class Leadership {
  readonly #watched: WatchedCluster;
  readonly #cluster: ClusterRegistries;
  readonly #replicator: Replicator;
  readonly #onStarted: (signal: AbortSignal) => void;
  #started: Promise<void> | undefined;
  #handedOver: Promise<void> | undefined;
  #lastFault: { readonly message: string; readonly time: number } | undefined;

  constructor(
    watched: WatchedCluster,
    cluster: ClusterRegistries,
    replicator: Replicator,
    onStarted: (signal: AbortSignal) => void,
  ) {
    this.#watched = watched;
    this.#cluster = cluster;
    this.#replicator = replicator;
    this.#onStarted = onStarted;
  }

  /** Takes part in the election as soon as everything is known. */
  start(): void {
    this.#started ??= this.#run();
  }

  /** Finishes the last writes and lets another replica lead. */
  handOver(): Promise<void> {
    return (this.#handedOver ??= this.#release());
  }

  /** Whoever may write has to know everything: what is not known yet would be created a second time. */
  async #run(): Promise<void> {
    const { known } = this.#watched;
    const { registries, sources, provided } = this.#cluster;
    await Promise.all([known.synced, registries.objects.asked]);
    await Promise.all([sources.settled(), provided.settled()]);
    if (this.#handedOver === undefined) this.#lead();
  }

  /** Hears by a watch when the Lease changes hands. */
  #lead(): void {
    const { access, informers, logger } = this.#watched;
    const { transport, election, namespace } = access;
    const { path } = leaseCollection(namespace, MANAGER);
    informers.watchObject({ label: "lease", path, name: MANAGER }, (state) => {
      election.observe(state === "missing" ? undefined : readLease(state).holder);
    });
    election.start({
      onStarted: (signal) => {
        if (this.#lastFault !== undefined) transport.reconnect();
        this.#lastFault = undefined;
        logger.info("leading: this replica writes");
        this.#onStarted(signal);
      },
      onStopped: () => {
        logger.info("no longer leading");
        void this.#replicator.stop();
      },
      onError: (error) => {
        this.#onError(error);
      },
    });
  }

  #onError(error: unknown): void {
    const { access, logger } = this.#watched;
    const message = messageOf(error);
    const last = this.#lastFault;
    const isKnown = last?.message === message && Date.now() - last.time < NEW_FAULT_MS;
    this.#lastFault = { message, time: Date.now() };
    // It is tried again every few seconds.
    if (isKnown) return;
    logger.warn({ error: message }, "failed to acquire or renew the lease; retrying");
    // All connections may be as dead as that one, and nobody would say so for a minute.
    access.transport.reconnect();
  }

  async #release(): Promise<void> {
    // What was started is finished before another replica starts.
    await Promise.race([this.#replicator.stop(), sleep(LAST_WRITES_MS, undefined, { ref: false })]);
    await this.#watched.access.election.release();
  }
}
