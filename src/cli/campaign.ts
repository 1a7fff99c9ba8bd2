/** Makes this replica the one that writes, whenever it can be. */
import type { Logger } from "pino";
import { messageOf } from "../core/error-message.ts";
import type { KubeClient } from "../kube/client.ts";
import type { LeaseName } from "../kube/lease.ts";
import { startLeaderElection, type LeaderElection } from "../kube/leader.ts";

/** The same fault counts as another one after so long. */
const NEW_FAULT_MS = 60_000;

export interface CampaignOptions extends LeaseName {
  readonly client: KubeClient;
  /** This replica, among all of them. */
  readonly identity: string;
  readonly logger: Logger;
  /** This replica writes from now on, until `signal` aborts. */
  readonly onStarted: (signal: AbortSignal) => void;
  readonly onStopped: () => void;
}

/** Leader election that tells people what became of it, and helps itself to fresh connections where the Lease cannot be had. */
export function startCampaign({
  client,
  logger,
  onStarted,
  onStopped,
  ...options
}: CampaignOptions): LeaderElection {
  let fault: { readonly message: string; readonly time: number } | undefined;
  return startLeaderElection({
    ...options,
    client,
    onStarted(signal) {
      if (fault !== undefined) client.reconnect();
      fault = undefined;
      logger.info("leading: this replica writes");
      onStarted(signal);
    },
    onStopped() {
      logger.info("not leading any more");
      onStopped();
    },
    onError(error) {
      const message = messageOf(error);
      const isKnown = fault?.message === message && Date.now() - fault.time < NEW_FAULT_MS;
      fault = { message, time: Date.now() };
      // It is tried again every few seconds.
      if (isKnown) return;
      logger.warn({ error: message }, "the lease cannot be had; it is tried again");
      // All connections may be as dead as that one, and nobody would say so for a minute.
      client.reconnect();
    },
  });
}
