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
import { createObjectStore, type ObjectStore, type Versioned } from "./object-store.ts";
import type { CopyWriter, Lane, ServiceAccountClient, Warn, WriteOutcome } from "./ports.ts";
import { createProgress, type ReplicationReport } from "./progress.ts";
import { reconcileAccount } from "./reconcile-account.ts";
import { reconcileCopies } from "./reconcile-copies.ts";
import { warnOfIdleSources, warnOfProblems } from "./warnings.ts";
import { createWorkQueue } from "./work-queue.ts";

/** The metadata of a ServiceAccount, as far as attachment goes. */
export interface AccountMetadata extends Versioned {
  /** The digest of the annotation that lists the pull secrets that we added. */
  readonly attached: string | undefined;
}

export interface ReplicatorOptions {
  /** All namespaces; whoever keeps them says so when one has changed. */
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly writer: CopyWriter;
  readonly accounts: ServiceAccountClient;
  readonly warn: Warn;
  /** That by which the contents of existing copies were made, too. */
  readonly digest: Digest;
  /** How many namespaces are worked on at once, in each lane. */
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
export interface ReplicationGoal {
  /** All registries, in configuration order. */
  readonly sources: readonly Source[];
  /** The ServiceAccounts of every opted-in namespace that get the pull secrets. */
  readonly attachedServiceAccounts: readonly string[];
}

export interface Replicator {
  readonly copies: ObjectStore<ExistingCopy>;
  /** The accounts that have something of ours. */
  readonly attached: ObjectStore<AccountMetadata>;
  setGoal(goal: ReplicationGoal): void;
  /** A namespace, one of its copies, or its accounts may need something. */
  onNamespace(name: string): void;
  onNamespaceGone(name: string): void;
  onCopy(namespace: string): void;
  onAccount(namespace: string, name: string, metadata: AccountMetadata): void;
  onAccountGone(namespace: string, name: string): void;
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
  const { namespaces, onWrite } = options;
  const copies = createObjectStore<ExistingCopy>();
  const attached = createObjectStore<AccountMetadata>();
  const blocked = new Set<string>();
  const queue = createWorkQueue({ ...options, handle });
  const progress = createProgress(options.onReport);
  let catalog: CopyCatalog | undefined;
  let goal: ReplicationGoal = { sources: [], attachedServiceAccounts: [] };
  let isStarted = false;

  async function handle(key: string, lane: Lane): Promise<void> {
    const [namespaceName = "", account] = key.split("/");
    const namespace = namespaces.get(namespaceName);
    if (catalog === undefined || !isStarted) return;
    if (namespace === undefined) progress.forget(key);
    else if (account === undefined) await handleCopies(namespace, catalog, lane);
    else await handleAccount(namespace, account, catalog, lane);
  }

  async function handleCopies(namespace: Namespace, catalogNow: CopyCatalog, lane: Lane): Promise<void> {
    const { name } = namespace;
    const result = await reconcileCopies({ ...options, copies }, namespace, catalogNow(namespace), lane);
    const { kind } = result;
    if (!isStarted || kind === "not-leading") return;
    if (!namespaces.has(name)) progress.forget(name);
    else if (kind === "again" || queue.comesAgain(name)) progress.add(name, result);
    else progress.end(namespace, kind, result, copies.in(name).size);

    if (kind === "failed") throw result.error;
    if (kind === "again") queue.add(name, lane);
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
    lane: Lane,
  ): Promise<void> {
    const wanted = isAttached(namespace, name) ? catalogNow(namespace).pullSecretNames : [];
    const account = { namespace: namespace.name, name };
    const key = `${namespace.name}/${name}`;
    const result = await reconcileAccount(options.accounts, account, wanted, lane).catch((error: unknown) => {
      progress.endAccount(key, "failed");
      throw error;
    });
    if (result.kind === "conflict") {
      onWrite("attach", "conflict");
      queue.add(key, lane);
      return;
    }
    progress.endAccount(key, result.kind === "patched" ? "changed" : "unchanged");
    if (result.kind === "patched") {
      onWrite("attach", "written");
      attached.set(namespace.name, name, { version: result.version, attached: digestOf(wanted) });
    } else if (result.kind === "gone") {
      attached.remove(namespace.name, name);
    }
  }

  function digestOf(names: readonly string[]): string | undefined {
    return names.length === 0 ? undefined : options.digest(names.join(","));
  }

  function isAttached(namespace: Namespace, account: string): boolean {
    return (
      namespace.isOptedIn &&
      (goal.attachedServiceAccounts.includes(account) || namespace.serviceAccounts.includes(account))
    );
  }

  /** Queues a namespace that is not as it has to be. One that has no copies yet is new: its pods are about to come. */
  function consider(name: string, add = queue.add): void {
    const namespace = namespaces.get(name);
    if (namespace === undefined || catalog === undefined || !isStarted) return;
    const existing = copies.in(name);
    const lane = existing.size === 0 ? "urgent" : "background";
    const wanted = catalog(namespace);
    if (planReplication(namespace, wanted, existing).length > 0) {
      add(name, lane);
      return;
    }
    blocked.delete(name);
    // Whoever works on it reports it.
    if (!queue.has(name)) progress.end(namespace, "done", NOTHING_DONE, existing.size);
  }

  function considerAccounts(name: string, add = queue.add): void {
    const namespace = namespaces.get(name);
    if (namespace === undefined || namespace.isTerminating || catalog === undefined || !isStarted) return;
    const list = digestOf(catalog(namespace).pullSecretNames);
    const known = attached.in(name);
    const wanted = new Set([...goal.attachedServiceAccounts, ...namespace.serviceAccounts]);
    for (const account of new Set([...wanted, ...known.keys()])) {
      const target = isAttached(namespace, account) ? list : undefined;
      if (known.get(account)?.attached !== target) add(`${name}/${account}`, "background");
    }
  }

  /** Because of a change that concerns all namespaces, which then is reported once. */
  function considerAll(changed: readonly string[]): void {
    const add = (key: string, lane: Lane): void => {
      progress.expect(key);
      queue.add(key, lane);
    };
    progress.begin(changed);
    for (const name of namespaces.keys()) {
      consider(name, add);
      considerAccounts(name, add);
    }
    progress.allExpected();
    warnOfIdleSources(goal.sources, namespaces.values(), options.warn);
  }

  return {
    copies,
    attached,
    setGoal(next) {
      const changed = registriesChanged(goal.sources, next.sources);
      goal = next;
      catalog = catalogCopies(next.sources, options.digest);
      if (isStarted) considerAll(changed);
    },
    onNamespace(name) {
      consider(name);
      considerAccounts(name);
      const namespace = namespaces.get(name);
      if (isStarted && namespace !== undefined) warnOfProblems(namespace, options.warn);
    },
    onNamespaceGone(name) {
      blocked.delete(name);
      progress.forget(name);
    },
    onCopy(namespace) {
      consider(namespace);
    },
    onAccount(namespace, name, metadata) {
      const isNews = attached.set(namespace, name, metadata);
      if (!isNews) return;
      if (metadata.attached === undefined) attached.remove(namespace, name);
      const facts = namespaces.get(namespace);
      if (!isStarted || facts === undefined) return;
      if (metadata.attached !== undefined || isAttached(facts, name)) {
        queue.add(`${namespace}/${name}`, "background");
      }
    },
    onAccountGone(namespace, name) {
      attached.remove(namespace, name);
    },
    start() {
      isStarted = true;
      progress.start([...namespaces.values()].filter(({ isOptedIn }) => isOptedIn).map(({ name }) => name));
      considerAll([]);
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
