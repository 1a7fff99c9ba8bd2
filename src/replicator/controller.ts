/**
 * The replicator: changes become keys, and each key is reconciled. A key is `namespace`, for its copies, or
 * `namespace/account`, for the pull secrets of a ServiceAccount.
 */
import { setImmediate } from "node:timers/promises";
import { describeProblem } from "../core/labels.ts";
import type { Namespace } from "../core/kubernetes.ts";
import { isPermittedIn } from "../core/registry.ts";
import {
  planReplication,
  registriesChanged,
  type Digest,
  type ExistingCopy,
  type ReplicationAction,
  type Source,
} from "../core/replication.ts";
import type { PullSecretState } from "../core/pull-secret.ts";
import type { CopyCounts } from "../core/registry-status.ts";
import type { Store } from "../core/store.ts";
import { createCopyTally } from "./count-copies.ts";
import { attachedDigest, prepareState, type DesiredState, type PreparedState } from "./desired-state.ts";
import type {
  AccountMetadata,
  CopyWriter,
  Priority,
  ServiceAccountClient,
  Warn,
  WriteOutcome,
} from "./ports.ts";
import { pullSecretState } from "./pull-secret-state.ts";
import { createProgress, type ReplicationReport } from "./progress.ts";
import { reconcileAccount, reconcileCopies } from "./reconcile.ts";
import { createWorkQueue } from "./work-queue.ts";

export interface ReplicatorOptions {
  /** All namespaces. The caller updates these three, and reports each change to the replicator. */
  readonly namespaces: ReadonlyMap<string, Namespace>;
  /** The Secrets with our label. */
  readonly copies: Store<ExistingCopy>;
  readonly accounts: Store<AccountMetadata>;
  readonly writer: CopyWriter;
  readonly accountClient: ServiceAccountClient;
  readonly warn: Warn;
  /** The same function that made the digests in `copies` and `accounts`. */
  readonly digest: Digest;
  /** How many keys of each priority are handled at once. */
  readonly concurrency: number;
  /** A number from 0 up to 1, for the jitter of retries. */
  readonly random: () => number;
  readonly onWrite: (
    action: ReplicationAction["kind"] | "attach",
    outcome: WriteOutcome["kind"] | "conflict",
  ) => void;
  readonly onFailure: (key: string, error: unknown, retryInMs: number) => void;
  readonly onReport: (report: ReplicationReport) => void;
}

export interface Replicator {
  setDesiredState(desired: DesiredState): void;
  /** A namespace was created, changed or deleted. */
  onNamespaceChange(name: string): void;
  onCopyChange(namespace: string): void;
  onAccountChange(namespace: string, name: string): void;
  /** From now on this replica writes. The stores have to be complete. */
  start(): void;
  /** Starts nothing new. Resolves when what was started has ended. */
  stop(): Promise<void>;
  /** How the copies of each registry fare now, by its name. Takes turns with other work. */
  readonly countCopies: () => Promise<ReadonlyMap<string, CopyCounts>>;
  /** What is known of a Secret that pods of the namespace name. */
  readonly pullSecretState: (namespace: string, name: string) => PullSecretState;
  /** The number of keys that wait or are being handled. */
  readonly depth: number;
  /** The number of namespaces in which a Secret that is not ours has the name of a copy. */
  readonly blockedNamespaces: number;
}

type Enqueue = (key: string, priority: Priority) => void;

const NO_WRITES = { written: 0, removed: 0 };
const NO_NAMES: ReadonlySet<string> = new Set();
/** A millisecond's work. */
const COUNTED_AT_ONCE = 500;

/** The watch delivers only Secrets with our label, so it does not report when a Secret that blocks a copy is deleted. */
const BLOCKED_RECHECK_MS = 5 * 60_000;

export function createReplicator(options: ReplicatorOptions): Replicator {
  const { namespaces, copies, accounts, warn, onWrite } = options;
  const queue = createWorkQueue({ ...options, handle });
  const progress = createProgress(options.onReport);
  /** Namespaces where a Secret that is not ours has the name of a copy, and those names. */
  const blocked = new Map<string, ReadonlySet<string>>();
  /** Namespaces whose last attempt failed. */
  const failing = new Set<string>();
  /** Undefined until the configuration is known. */
  let desired: PreparedState | undefined;
  let isStarted = false;

  return {
    setDesiredState(next) {
      const changed = registriesChanged(desired?.sources ?? [], next.sources);
      desired = prepareState(next, options.digest);
      if (isStarted) enqueueAllOutOfSync(changed);
    },
    onNamespaceChange(name) {
      const namespace = namespaces.get(name);
      if (namespace === undefined) {
        blocked.delete(name);
        failing.delete(name);
        progress.forget(name);
        return;
      }
      enqueueIfOutOfSync(name);
      enqueueAccountsOutOfSync(name);
      if (isStarted) warnOfProblems(namespace, warn);
    },
    onCopyChange(namespace) {
      enqueueIfOutOfSync(namespace);
    },
    onAccountChange(namespaceName, name) {
      const account = accounts.get(namespaceName, name);
      const namespace = namespaces.get(namespaceName);
      if (!isStarted || account === undefined || namespace === undefined) return;
      if (account.attached !== undefined || desired?.isAttached(namespace, name) === true) {
        queue.add(`${namespaceName}/${name}`, "low");
      }
    },
    start() {
      isStarted = true;
      progress.start([...namespaces.values()].filter(({ isOptedIn }) => isOptedIn).map(({ name }) => name));
      enqueueAllOutOfSync([]);
      for (const namespace of namespaces.values()) warnOfProblems(namespace, warn);
      queue.resume();
    },
    stop() {
      isStarted = false;
      queue.pause();
      queue.clear();
      // The next leader finds them itself.
      blocked.clear();
      failing.clear();
      return queue.idle();
    },
    async countCopies() {
      const tally = createCopyTally();
      let looked = 0;
      for (const namespace of namespaces.values()) {
        if (desired === undefined) break;
        const { name } = namespace;
        tally.add(namespace, {
          desired: desired.copiesFor(namespace),
          existing: copies.in(name),
          refused: blocked.get(name) ?? NO_NAMES,
          isFailing: failing.has(name),
        });
        // Reviews are answered in between.
        if (++looked % COUNTED_AT_ONCE === 0) await setImmediate();
      }
      return tally.counts;
    },
    pullSecretState(namespaceName, name) {
      const namespace = namespaces.get(namespaceName);
      if (namespace === undefined || desired === undefined) return { kind: "unknown" };
      return pullSecretState(name, desired.sources, {
        desired: desired.copiesFor(namespace),
        existing: copies.in(namespaceName),
        refused: blocked.get(namespaceName) ?? NO_NAMES,
      });
    },
    get depth() {
      return queue.depth;
    },
    get blockedNamespaces() {
      return blocked.size;
    },
  };

  /** After a change that affects all namespaces, which is reported once. */
  function enqueueAllOutOfSync(changedRegistries: readonly string[]): void {
    const enqueue: Enqueue = (key, priority) => {
      progress.expect(key);
      queue.add(key, priority);
    };
    progress.openBatch(changedRegistries);
    for (const name of namespaces.keys()) {
      enqueueIfOutOfSync(name, enqueue);
      enqueueAccountsOutOfSync(name, enqueue);
    }
    progress.closeBatch();
    warnOfIdleSources(desired?.sources ?? [], namespaces.values(), warn);
  }

  /** A namespace without copies is new, and goes first: its pods are about to be created. */
  function enqueueIfOutOfSync(name: string, enqueue: Enqueue = queue.add): void {
    const namespace = namespaces.get(name);
    if (namespace === undefined || desired === undefined || !isStarted) return;
    const existing = copies.in(name);
    if (planReplication(namespace, desired.copiesFor(namespace), existing).length > 0) {
      enqueue(name, existing.size === 0 ? "high" : "low");
      return;
    }
    blocked.delete(name);
    failing.delete(name);
    // The worker that is handling it reports it.
    if (!queue.has(name)) progress.end(namespace, "done", NO_WRITES, existing.size);
  }

  function enqueueAccountsOutOfSync(name: string, enqueue: Enqueue = queue.add): void {
    const namespace = namespaces.get(name);
    if (namespace === undefined || namespace.isTerminating || desired === undefined || !isStarted) return;
    for (const account of desired.accountsOutOfSync(namespace, accounts.in(name))) {
      enqueue(`${name}/${account}`, "low");
    }
  }

  async function handle(key: string, priority: Priority): Promise<void> {
    const [namespaceName = "", account] = key.split("/");
    const namespace = namespaces.get(namespaceName);
    if (desired === undefined || !isStarted) return;
    if (namespace === undefined) progress.forget(key);
    else if (account === undefined) await handleCopies(namespace, desired, priority);
    else await handleAccount(namespace, account, desired, priority);
  }

  async function handleCopies(namespace: Namespace, state: PreparedState, priority: Priority): Promise<void> {
    const { name } = namespace;
    const result = await reconcileCopies(options, namespace, state.copiesFor(namespace), priority);
    const { kind } = result;
    if (!isStarted || kind === "not-leading") return;
    if (!namespaces.has(name)) progress.forget(name);
    else if (kind === "again" || queue.isHandledAgain(name)) progress.add(name, result);
    else progress.end(namespace, kind, result, copies.in(name).size);

    if (kind === "failed") {
      if (namespaces.has(name)) failing.add(name);
      throw result.error;
    }
    failing.delete(name);
    if (kind === "again") queue.add(name, priority);
    if (kind === "blocked" && namespaces.has(name)) {
      blocked.set(name, result.refused);
      queue.addLater(name, BLOCKED_RECHECK_MS);
    } else {
      blocked.delete(name);
    }
  }

  async function handleAccount(
    namespace: Namespace,
    name: string,
    state: PreparedState,
    priority: Priority,
  ): Promise<void> {
    const pullSecrets = state.pullSecretsFor(namespace, name);
    const account = { namespace: namespace.name, name };
    const key = `${namespace.name}/${name}`;
    const result = await reconcileAccount(options.accountClient, account, pullSecrets, priority).catch(
      (error: unknown) => {
        progress.endAccount(key, "failed");
        throw error;
      },
    );
    if (result.kind === "conflict") {
      onWrite("attach", "conflict");
      queue.add(key, priority);
      return;
    }
    progress.endAccount(key, result.kind === "patched" ? "changed" : "unchanged");
    if (result.kind === "patched") {
      onWrite("attach", "written");
      const attached = attachedDigest(pullSecrets, options.digest);
      const known = accounts.get(namespace.name, name);
      accounts.set(namespace.name, name, { ...known, version: result.version, attached });
    } else if (result.kind === "gone") {
      accounts.remove(namespace.name, name);
    }
  }
}

/** If no namespace may have a registry's credentials, a selector or a label is probably wrong. */
function warnOfIdleSources(sources: readonly Source[], namespaces: Iterable<Namespace>, warn: Warn): void {
  const optedIn = [...namespaces].filter(({ isOptedIn }) => isOptedIn);
  if (optedIn.length === 0) return;
  for (const { registry, credentials } of sources) {
    if (credentials === "managed-by-admin") continue;
    if (optedIn.some(({ labels }) => isPermittedIn(registry, labels))) continue;
    warn({
      reason: "CredentialsForNobody",
      message: `No opted-in namespace has the labels that registry ${registry.name} requires under namespaces.`,
    });
  }
}

function warnOfProblems({ name, labels, problems, isTerminating }: Namespace, warn: Warn): void {
  if (isTerminating) return;
  for (const reason of problems) warn({ reason, message: describeProblem(reason, labels), namespace: name });
}
