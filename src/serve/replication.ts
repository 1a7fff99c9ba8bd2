/** The replicator on what is known of the cluster, and what is known of ServiceAccounts, which it patches. */
import type { Logger } from "pino";
import { messageOf } from "../core/error-message.ts";
import type { ServiceAccountInfo } from "../core/kubernetes.ts";
import { BUILD_SECRET_NAME } from "../core/replication.ts";
import { createCopyWriter, digest } from "../kube/resources/copies.ts";
import {
  createServiceAccountCache,
  createServiceAccountClient,
  type ServiceAccountCache,
} from "../kube/resources/service-accounts.ts";
import { Replicator } from "../replicator/controller.ts";
import type { CopyWriter, ServiceAccountClient } from "../replicator/ports.ts";
import { REPORTS } from "../replicator/progress.ts";
import type { ClusterAccess, ClusterOptions, ClusterTelemetry, KnownObjects } from "./cluster-access.ts";
import type { OptIns } from "./opt-ins.ts";

export interface ReplicationParts {
  readonly access: ClusterAccess;
  readonly known: KnownObjects;
  readonly optIns: OptIns;
  readonly onWrite: () => void;
}

export interface Replication {
  readonly replicator: Replicator;
  /** Accounts that let pods name only the Secrets that they list are asked for; others have no such list. */
  readonly serviceAccount: (namespace: string, name: string) => ServiceAccountInfo | undefined;
  close(): void;
}

export function connectReplicator(
  { concurrency }: Pick<ClusterOptions, "concurrency">,
  { logger, metrics }: ClusterTelemetry,
  { access, known, optIns, onWrite }: ReplicationParts,
): Replication {
  const { namespaces, copies, accounts, pool } = known;
  const client = createServiceAccountClient(access.leaderApisFor);
  const cache = cacheEnforcingAccounts(known, client, logger);
  const replicator = new Replicator({
    namespaces: namespaces.store.in(""),
    copies: copies.store,
    accounts: accounts.store,
    writer: forgettingOptIns(createCopyWriter(access.leaderApisFor, pool), optIns),
    accountClient: informingCache(client, known, cache),
    warn: access.recordEvent,
    digest,
    concurrency,
    random: Math.random,
    onWrite(action, outcome) {
      metrics.countWrite(action, outcome);
      onWrite();
    },
    onFailure(key, error, retryInMs) {
      metrics.countFailure();
      const facts = { key, error: messageOf(error), retryInMs: Math.round(retryInMs) };
      logger.warn(facts, "replication failed; retrying");
    },
    onReport({ kind, ...facts }) {
      logger.info(facts, REPORTS[kind]);
    },
  });
  namespaces.subscribe((_, name) => {
    replicator.onNamespaceChange(name);
  });
  copies.subscribe((namespace) => {
    replicator.onCopyChange(namespace);
  });
  accounts.subscribe((namespace, name) => {
    replicator.onAccountChange(namespace, name);
  });
  return {
    replicator,
    serviceAccount: cache.get,
    close() {
      cache.close();
    },
  };
}

function cacheEnforcingAccounts(
  { accounts }: KnownObjects,
  client: ServiceAccountClient,
  logger: Logger,
): ServiceAccountCache {
  const cache = createServiceAccountCache({
    client,
    onFailure(account, error) {
      logger.warn({ account, error: messageOf(error) }, "failed to read a ServiceAccount; retrying");
    },
  });
  accounts.subscribe(cache.update);
  return cache;
}

/** Our own patch is in the store before the watch reports it, so that the informer does not report it to the cache. */
function informingCache(
  client: ServiceAccountClient,
  { accounts }: KnownObjects,
  cache: ServiceAccountCache,
): ServiceAccountClient {
  return {
    ...client,
    async patch(namespace, name, operations, priority) {
      const result = await client.patch(namespace, name, operations, priority);
      const account = accounts.store.get(namespace, name);
      if (result.kind === "patched" && account !== undefined)
        cache.update(namespace, name, { ...account, version: result.version });
      return result;
    },
  };
}

/** Where somebody else's Secret has its name, the build secret is no longer on its way. */
function forgettingOptIns(writer: CopyWriter, optIns: OptIns): CopyWriter {
  return {
    ...writer,
    async create(namespace, copy, priority) {
      const outcome = await writer.create(namespace, copy, priority);
      if (outcome.kind === "not-owned" && copy.name === BUILD_SECRET_NAME) optIns.forget(namespace);
      return outcome;
    },
  };
}
