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
import { Progress, type ReplicationReport } from "./progress.ts";
import { reconcileAccount, reconcileCopies } from "./reconcile.ts";
import { WorkQueue } from "./work-queue.ts";

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

type Enqueue = (key: string, priority: Priority) => void;

const NO_WRITES = { written: 0, removed: 0 };
const NO_NAMES: ReadonlySet<string> = new Set();
/** A millisecond's work. */
const COUNTED_AT_ONCE = 500;

/** The watch delivers only Secrets with our label, so it does not report when a Secret that blocks a copy is deleted. */
const BLOCKED_RECHECK_MS = 5 * 60_000;

export class Replicator {
  readonly #options: ReplicatorOptions;
  readonly #queue: WorkQueue;
  readonly #progress: Progress;
  /** Namespaces where a Secret that is not ours has the name of a copy, and those names. */
  readonly #blocked = new Map<string, ReadonlySet<string>>();
  /** Namespaces whose last attempt failed. */
  readonly #failing = new Set<string>();
  /** Undefined until the configuration is known. */
  #desired: PreparedState | undefined;
  #isStarted = false;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({ ...options, handle: (key, priority) => this.#handle(key, priority) });
    this.#progress = new Progress(options.onReport);
  }

  setDesiredState(desired: DesiredState): void {
    const changed = registriesChanged(this.#desired?.sources ?? [], desired.sources);
    this.#desired = prepareState(desired, this.#options.digest);
    if (this.#isStarted) this.#enqueueAllOutOfSync(changed);
  }

  /** A namespace was created, changed or deleted. */
  onNamespaceChange(name: string): void {
    const { namespaces, warn } = this.#options;
    const namespace = namespaces.get(name);
    if (namespace === undefined) {
      this.#blocked.delete(name);
      this.#failing.delete(name);
      this.#progress.forget(name);
      return;
    }
    this.#enqueueIfOutOfSync(name);
    this.#enqueueAccountsOutOfSync(name);
    if (this.#isStarted) warnOfProblems(namespace, warn);
  }

  onCopyChange(namespace: string): void {
    this.#enqueueIfOutOfSync(namespace);
  }

  onAccountChange(namespaceName: string, name: string): void {
    const { accounts, namespaces } = this.#options;
    const account = accounts.get(namespaceName, name);
    const namespace = namespaces.get(namespaceName);
    if (!this.#isStarted || account === undefined || namespace === undefined) return;
    if (account.attached !== undefined || this.#desired?.isAttached(namespace, name) === true) {
      this.#queue.add(`${namespaceName}/${name}`, "low");
    }
  }

  /** From now on this replica writes. The stores have to be complete. */
  start(): void {
    const { namespaces, warn } = this.#options;
    this.#isStarted = true;
    const optedIn = namespaces.values().filter(({ isOptedIn }) => isOptedIn);
    this.#progress.start(optedIn.map(({ name }) => name));
    this.#enqueueAllOutOfSync([]);
    for (const namespace of namespaces.values()) warnOfProblems(namespace, warn);
    this.#queue.resume();
  }

  /** Starts nothing new. Resolves when what was started has ended. */
  stop(): Promise<void> {
    this.#isStarted = false;
    this.#queue.pause();
    this.#queue.clear();
    // The next leader finds them itself.
    this.#blocked.clear();
    this.#failing.clear();
    return this.#queue.idle();
  }

  /** How the copies of each registry fare now, by its name. Takes turns with other work. */
  async countCopies(): Promise<ReadonlyMap<string, CopyCounts>> {
    const tally = createCopyTally();
    let looked = 0;
    for (const namespace of this.#options.namespaces.values()) {
      if (this.#desired === undefined) break;
      const isFailing = this.#failing.has(namespace.name);
      tally.add(namespace, { ...this.#copiesOf(namespace, this.#desired), isFailing });
      // Reviews are answered in between.
      if (++looked % COUNTED_AT_ONCE === 0) await setImmediate();
    }
    return tally.counts;
  }

  /** What is known of a Secret that pods of the namespace name. */
  pullSecretState(namespaceName: string, name: string): PullSecretState {
    const namespace = this.#options.namespaces.get(namespaceName);
    if (namespace === undefined || this.#desired === undefined) return { kind: "unknown" };
    return pullSecretState(name, this.#desired.sources, this.#copiesOf(namespace, this.#desired));
  }

  /** The number of keys that wait or are being handled. */
  get depth(): number {
    return this.#queue.depth;
  }

  /** The number of namespaces in which a Secret that is not ours has the name of a copy. */
  get blockedNamespaces(): number {
    return this.#blocked.size;
  }

  #copiesOf(namespace: Namespace, desired: PreparedState) {
    return {
      desired: desired.copiesFor(namespace),
      existing: this.#options.copies.in(namespace.name),
      refused: this.#blocked.get(namespace.name) ?? NO_NAMES,
    };
  }

  /** After a change that affects all namespaces, which is reported once. */
  #enqueueAllOutOfSync(changedRegistries: readonly string[]): void {
    const { namespaces, warn } = this.#options;
    const enqueue: Enqueue = (key, priority) => {
      this.#progress.expect(key);
      this.#queue.add(key, priority);
    };
    this.#progress.openBatch(changedRegistries);
    for (const name of namespaces.keys()) {
      this.#enqueueIfOutOfSync(name, enqueue);
      this.#enqueueAccountsOutOfSync(name, enqueue);
    }
    this.#progress.closeBatch();
    warnOfIdleSources(this.#desired?.sources ?? [], namespaces.values(), warn);
  }

  readonly #enqueue: Enqueue = (key, priority) => {
    this.#queue.add(key, priority);
  };

  /** A namespace without copies is new, and goes first: its pods are about to be created. */
  #enqueueIfOutOfSync(name: string, enqueue = this.#enqueue): void {
    const namespace = this.#options.namespaces.get(name);
    if (namespace === undefined || this.#desired === undefined || !this.#isStarted) return;
    const existing = this.#options.copies.in(name);
    if (planReplication(namespace, this.#desired.copiesFor(namespace), existing).length > 0) {
      enqueue(name, existing.size === 0 ? "high" : "low");
      return;
    }
    this.#blocked.delete(name);
    this.#failing.delete(name);
    // The worker that is handling it reports it.
    if (!this.#queue.has(name)) this.#progress.end(namespace, "done", NO_WRITES, existing.size);
  }

  #enqueueAccountsOutOfSync(name: string, enqueue = this.#enqueue): void {
    const { namespaces, accounts } = this.#options;
    const namespace = namespaces.get(name);
    if (namespace === undefined || namespace.isTerminating || !this.#isStarted) return;
    for (const account of this.#desired?.accountsOutOfSync(namespace, accounts.in(name)) ?? []) {
      enqueue(`${name}/${account}`, "low");
    }
  }

  async #handle(key: string, priority: Priority): Promise<void> {
    const [namespaceName = "", account] = key.split("/");
    const namespace = this.#options.namespaces.get(namespaceName);
    if (this.#desired === undefined || !this.#isStarted) return;
    if (namespace === undefined) this.#progress.forget(key);
    else if (account === undefined) await this.#handleCopies(namespace, this.#desired, priority);
    else await this.#handleAccount(namespace, account, this.#desired, priority);
  }

  async #handleCopies(namespace: Namespace, desired: PreparedState, priority: Priority): Promise<void> {
    const { namespaces, copies } = this.#options;
    const { name } = namespace;
    const result = await reconcileCopies(this.#options, namespace, desired.copiesFor(namespace), priority);
    const { kind } = result;
    if (!this.#isStarted || kind === "not-leading") return;
    if (!namespaces.has(name)) this.#progress.forget(name);
    else if (kind === "again" || this.#queue.isHandledAgain(name)) this.#progress.add(name, result);
    else this.#progress.end(namespace, kind, result, copies.in(name).size);

    if (kind === "failed") {
      if (namespaces.has(name)) this.#failing.add(name);
      throw result.error;
    }
    this.#failing.delete(name);
    if (kind === "again") this.#queue.add(name, priority);
    if (kind === "blocked" && namespaces.has(name)) {
      this.#blocked.set(name, result.refused);
      this.#queue.addLater(name, BLOCKED_RECHECK_MS);
    } else {
      this.#blocked.delete(name);
    }
  }

  async #handleAccount(
    namespace: Namespace,
    name: string,
    desired: PreparedState,
    priority: Priority,
  ): Promise<void> {
    const { accountClient, accounts, digest, onWrite } = this.#options;
    const pullSecrets = desired.pullSecretsFor(namespace, name);
    const account = { namespace: namespace.name, name };
    const key = `${namespace.name}/${name}`;
    const result = await reconcileAccount(accountClient, account, pullSecrets, priority).catch(
      (error: unknown) => {
        this.#progress.endAccount(key, "failed");
        throw error;
      },
    );
    if (result.kind === "conflict") {
      onWrite("attach", "conflict");
      if (this.#isStarted) this.#queue.add(key, priority);
      return;
    }
    this.#progress.endAccount(key, result.kind === "patched" ? "changed" : "unchanged");
    if (result.kind === "patched") {
      onWrite("attach", "written");
      const attached = attachedDigest(pullSecrets, digest);
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
