/**
 * The replicator: events become keys, and each key is reconciled. A key is a namespace, whose copies are brought in
 * order, or `namespace/account`, whose pull secrets are.
 */
import type { Namespace } from "../core/kubernetes.ts";
import {
  catalogCopies,
  planReplication,
  registriesChanged,
  type CopyCatalog,
  type Digest,
  type ExistingCopy,
  type ReplicationAction,
  type Source,
} from "../core/replication.ts";
import type { Store } from "../core/store.ts";
import type {
  AccountMetadata,
  CopyWriter,
  Priority,
  ServiceAccountClient,
  Warn,
  WriteOutcome,
} from "./ports.ts";
import { createProgress, type ReplicationReport } from "./progress.ts";
import { reconcileAccount } from "./reconcile-account.ts";
import { reconcileCopies } from "./reconcile-copies.ts";
import { warnOfIdleSources, warnOfProblems } from "./warnings.ts";
import { createWorkQueue } from "./work-queue.ts";

export interface ReplicatorOptions {
  /** All namespaces. Whoever keeps these three says so when something in them has changed. */
  readonly namespaces: ReadonlyMap<string, Namespace>;
  /** The Secrets that carry our label. */
  readonly copies: Store<ExistingCopy>;
  readonly accounts: Store<AccountMetadata>;
  readonly writer: CopyWriter;
  readonly accountClient: ServiceAccountClient;
  readonly warn: Warn;
  /** That by which the contents of existing copies were made, too. */
  readonly digest: Digest;
  /** How many namespaces are worked on at once, in each priority. */
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

/** What the configuration asks for. */
export interface DesiredState {
  /** All registries, in configuration order. */
  readonly sources: readonly Source[];
  /** The ServiceAccounts of every opted-in namespace that get the pull secrets. */
  readonly attachedServiceAccounts: readonly string[];
}

export interface Replicator {
  setDesiredState(desired: DesiredState): void;
  /** A namespace changed or is gone. */
  onNamespaceChange(name: string): void;
  onCopyChange(namespace: string): void;
  onAccountChange(namespace: string, name: string): void;
  /** From now on this replica writes. Everything has to be known by then. */
  start(): void;
  /** Nothing else is begun. Resolves when what was begun has ended. */
  stop(): Promise<void>;
  /** Keys that wait or are being worked on. */
  readonly depth: number;
  /** Namespaces in which a Secret of others has the name of a copy. */
  readonly blockedNamespaces: number;
}

const NOTHING_DONE = { written: 0, removed: 0 };

/** A Secret of others is in the way until somebody deletes it, which the watch, being of our own, does not tell. */
const BLOCKED_RECHECK_MS = 5 * 60_000;

export function createReplicator(options: ReplicatorOptions): Replicator {
  const { namespaces, copies, accounts, onWrite } = options;
  const blocked = new Set<string>();
  const queue = createWorkQueue({ ...options, handle });
  const progress = createProgress(options.onReport);
  let catalog: CopyCatalog | undefined;
  let desired: DesiredState = { sources: [], attachedServiceAccounts: [] };
  let isStarted = false;

  async function handle(key: string, priority: Priority): Promise<void> {
    const [namespaceName = "", account] = key.split("/");
    const namespace = namespaces.get(namespaceName);
    if (catalog === undefined || !isStarted) return;
    if (namespace === undefined) progress.forget(key);
    else if (account === undefined) await handleCopies(namespace, catalog, priority);
    else await handleAccount(namespace, account, catalog, priority);
  }

  async function handleCopies(
    namespace: Namespace,
    catalogNow: CopyCatalog,
    priority: Priority,
  ): Promise<void> {
    const { name } = namespace;
    const result = await reconcileCopies(options, namespace, catalogNow(namespace), priority);
    const { kind } = result;
    if (!isStarted || kind === "not-leading") return;
    if (!namespaces.has(name)) progress.forget(name);
    else if (kind === "again" || queue.comesAgain(name)) progress.add(name, result);
    else progress.end(namespace, kind, result, copies.in(name).size);

    if (kind === "failed") throw result.error;
    if (kind === "again") queue.add(name, priority);
    if (kind === "blocked" && namespaces.has(name)) {
      blocked.add(name);
      queue.addLater(name, BLOCKED_RECHECK_MS);
    } else {
      blocked.delete(name);
    }
  }

  async function handleAccount(
    namespace: Namespace,
    name: string,
    catalogNow: CopyCatalog,
    priority: Priority,
  ): Promise<void> {
    const wanted = isAttached(namespace, name) ? catalogNow(namespace).pullSecretNames : [];
    const account = { namespace: namespace.name, name };
    const key = `${namespace.name}/${name}`;
    const result = await reconcileAccount(options.accountClient, account, wanted, priority).catch(
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
      const known = accounts.get(namespace.name, name);
      accounts.set(namespace.name, name, { ...known, version: result.version, attached: digestOf(wanted) });
    } else if (result.kind === "gone") {
      accounts.remove(namespace.name, name);
    }
  }

  function digestOf(names: readonly string[]): string | undefined {
    return names.length === 0 ? undefined : options.digest(names.join(","));
  }

  function isAttached(namespace: Namespace, account: string): boolean {
    return (
      namespace.isOptedIn &&
      (desired.attachedServiceAccounts.includes(account) || namespace.serviceAccounts.includes(account))
    );
  }

  /** Queues a namespace that is not as it has to be. One that has no copies yet is new: its pods are about to come. */
  function enqueueIfOutOfSync(name: string, add = queue.add): void {
    const namespace = namespaces.get(name);
    if (namespace === undefined || catalog === undefined || !isStarted) return;
    const existing = copies.in(name);
    const priority = existing.size === 0 ? "high" : "low";
    const wanted = catalog(namespace);
    if (planReplication(namespace, wanted, existing).length > 0) {
      add(name, priority);
      return;
    }
    blocked.delete(name);
    // Whoever works on it reports it.
    if (!queue.has(name)) progress.end(namespace, "done", NOTHING_DONE, existing.size);
  }

  function enqueueAccountsOutOfSync(name: string, add = queue.add): void {
    const namespace = namespaces.get(name);
    if (namespace === undefined || namespace.isTerminating || catalog === undefined || !isStarted) return;
    const list = digestOf(catalog(namespace).pullSecretNames);
    const known = accounts.in(name);
    const attached = [...known].filter(([, account]) => account.attached !== undefined);
    const wanted = new Set([...desired.attachedServiceAccounts, ...namespace.serviceAccounts]);
    for (const account of new Set([...wanted, ...attached.map(([key]) => key)])) {
      const target = isAttached(namespace, account) ? list : undefined;
      if (known.get(account)?.attached !== target) add(`${name}/${account}`, "low");
    }
  }

  /** Because of a change that concerns all namespaces, which then is reported once. */
  function enqueueAllOutOfSync(changed: readonly string[]): void {
    const add = (key: string, priority: Priority): void => {
      progress.expect(key);
      queue.add(key, priority);
    };
    progress.begin(changed);
    for (const name of namespaces.keys()) {
      enqueueIfOutOfSync(name, add);
      enqueueAccountsOutOfSync(name, add);
    }
    progress.allExpected();
    warnOfIdleSources(desired.sources, namespaces.values(), options.warn);
  }

  return {
    setDesiredState(next) {
      const changed = registriesChanged(desired.sources, next.sources);
      desired = next;
      catalog = catalogCopies(next.sources, options.digest);
      if (isStarted) enqueueAllOutOfSync(changed);
    },
    onNamespaceChange(name) {
      const namespace = namespaces.get(name);
      if (namespace === undefined) {
        blocked.delete(name);
        progress.forget(name);
        return;
      }
      enqueueIfOutOfSync(name);
      enqueueAccountsOutOfSync(name);
      if (isStarted) warnOfProblems(namespace, options.warn);
    },
    onCopyChange(namespace) {
      enqueueIfOutOfSync(namespace);
    },
    onAccountChange(namespaceName, name) {
      const account = accounts.get(namespaceName, name);
      const namespace = namespaces.get(namespaceName);
      if (!isStarted || account === undefined || namespace === undefined) return;
      if (account.attached !== undefined || isAttached(namespace, name)) {
        queue.add(`${namespaceName}/${name}`, "low");
      }
    },
    start() {
      isStarted = true;
      progress.start([...namespaces.values()].filter(({ isOptedIn }) => isOptedIn).map(({ name }) => name));
      enqueueAllOutOfSync([]);
      for (const namespace of namespaces.values()) warnOfProblems(namespace, options.warn);
      queue.resume();
    },
    stop() {
      isStarted = false;
      queue.pause();
      queue.clear();
      // Whoever writes from now on finds them again.
      blocked.clear();
      return queue.idle();
    },
    get depth() {
      return queue.depth;
    },
    get blockedNamespaces() {
      return blocked.size;
    },
  };
}
