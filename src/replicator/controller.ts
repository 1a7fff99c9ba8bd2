/**
 * The replicator: events become keys, and each key is reconciled. A key is a namespace, whose copies are brought in
 * order, or `namespace/account`, whose pull secrets are.
 */
import type { Namespace } from "../core/kubernetes.ts";
import {
  catalogCopies,
  planReplication,
  type CopyCatalog,
  type ExistingCopy,
  type ReplicationAction,
  type Source,
} from "../core/replication.ts";
import { isPermittedIn } from "../core/registry.ts";
import { createObjectStore, type ObjectStore, type Versioned } from "./object-store.ts";
import type { CopyWriter, Lane, ServiceAccountClient, Warn, WriteOutcome } from "./ports.ts";
import { reconcileAccount } from "./reconcile-account.ts";
import { reconcileCopies } from "./reconcile-copies.ts";
import { createWorkQueue } from "./work-queue.ts";

/** The metadata of a ServiceAccount, as far as attachment goes. */
export interface AccountMetadata extends Versioned {
  /** The annotation that lists the pull secrets that we added. */
  readonly attached: string | undefined;
}

export interface ReplicatorOptions {
  /** All namespaces; whoever keeps them says so when one has changed. */
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly writer: CopyWriter;
  readonly accounts: ServiceAccountClient;
  readonly warn: Warn;
  /** False from the moment on at which another replica may write. */
  readonly mayWrite: () => boolean;
  /** How many namespaces are worked on at once, in each lane. */
  readonly concurrency: number;
  /** A number from 0 up to 1, for the jitter of retries. */
  readonly random: () => number;
  readonly onWrite: (
    action: ReplicationAction["kind"] | "attach",
    outcome: WriteOutcome["kind"] | "conflict",
  ) => void;
  readonly onFailure: (key: string, error: unknown, retryInMs: number) => void;
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

/** A Secret of others is in the way until somebody deletes it, which the watch, being of our own, does not tell. */
const BLOCKED_RECHECK_MS = 5 * 60_000;

export function createReplicator(options: ReplicatorOptions): Replicator {
  const { namespaces, mayWrite, onWrite } = options;
  const copies = createObjectStore<ExistingCopy>();
  const attached = createObjectStore<AccountMetadata>();
  const blocked = new Set<string>();
  const queue = createWorkQueue({ ...options, handle });
  let catalog: CopyCatalog | undefined;
  let goal: ReplicationGoal = { sources: [], attachedServiceAccounts: [] };
  let isStarted = false;

  async function handle(key: string, lane: Lane): Promise<void> {
    const [namespaceName = "", account] = key.split("/");
    const namespace = namespaces.get(namespaceName);
    if (namespace === undefined || catalog === undefined || !isStarted) return;
    await (account === undefined
      ? handleCopies(namespace, catalog, lane)
      : handleAccount(namespace, account, catalog, lane));
  }

  async function handleCopies(namespace: Namespace, catalogNow: CopyCatalog, lane: Lane): Promise<void> {
    const { name } = namespace;
    const result = await reconcileCopies({ ...options, copies }, namespace, catalogNow(namespace), lane);
    if (result === "again") queue.add(name, lane);
    if (result === "blocked" && isStarted && namespaces.has(name)) {
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
    const result = await reconcileAccount(options.accounts, account, wanted, lane, mayWrite);
    if (result.kind === "patched") {
      onWrite("attach", "written");
      const list = wanted.length === 0 ? undefined : wanted.join(",");
      attached.set(namespace.name, name, { version: result.version, attached: list });
    } else if (result.kind === "conflict") {
      onWrite("attach", "conflict");
      queue.add(`${namespace.name}/${name}`, lane);
    } else if (result.kind === "gone") {
      attached.remove(namespace.name, name);
    }
  }

  function isAttached(namespace: Namespace, account: string): boolean {
    return (
      namespace.isOptedIn &&
      (goal.attachedServiceAccounts.includes(account) || namespace.serviceAccounts.includes(account))
    );
  }

  /** Queues a namespace that is not as it has to be. One that has no copies yet is new: its pods are about to come. */
  function consider(name: string): void {
    const namespace = namespaces.get(name);
    if (namespace === undefined || catalog === undefined || !isStarted) return;
    const existing = copies.in(name);
    const lane = existing.size === 0 ? "urgent" : "background";
    const wanted = catalog(namespace);
    if (planReplication(namespace, wanted, existing).length > 0) queue.add(name, lane);
    else blocked.delete(name);
  }

  function considerAccounts(name: string): void {
    const namespace = namespaces.get(name);
    if (namespace === undefined || namespace.isTerminating || catalog === undefined || !isStarted) return;
    const list = catalog(namespace).pullSecretNames.join(",");
    const known = attached.in(name);
    const wanted = new Set([...goal.attachedServiceAccounts, ...namespace.serviceAccounts]);
    for (const account of new Set([...wanted, ...known.keys()])) {
      const target = isAttached(namespace, account) ? list : "";
      if ((known.get(account)?.attached ?? "") !== target) queue.add(`${name}/${account}`, "background");
    }
  }

  function considerAll(): void {
    for (const name of namespaces.keys()) {
      consider(name);
      considerAccounts(name);
    }
    warnOfIdleSources();
  }

  /** Credentials that no namespace may have are a mistake in a selector or in a label. */
  function warnOfIdleSources(): void {
    const optedIn = [...namespaces.values()].filter(({ isOptedIn }) => isOptedIn);
    if (!isStarted || optedIn.length === 0) return;
    for (const { registry, credentials } of goal.sources) {
      if (credentials === "kept-by-admin") continue;
      if (optedIn.some(({ labels }) => isPermittedIn(registry, labels))) continue;
      options.warn({
        reason: "CredentialsForNobody",
        message: `No opted-in namespace has the labels that registry ${registry.name} asks for under namespaces.`,
      });
    }
  }

  return {
    copies,
    attached,
    setGoal(next) {
      goal = next;
      catalog = catalogCopies(next.sources);
      considerAll();
    },
    onNamespace(name) {
      consider(name);
      considerAccounts(name);
    },
    onNamespaceGone(name) {
      blocked.delete(name);
    },
    onCopy: consider,
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
      considerAll();
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
