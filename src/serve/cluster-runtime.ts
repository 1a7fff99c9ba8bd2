/** What `serve` does with a cluster: what the webhook knows of it, and the replicator, on one transport and a few informers. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { AdmissionPorts } from "../admission/ports.ts";
import type { Configuration } from "../config/configuration.ts";
import type { Environment } from "../config/credentials.ts";
import { OTHER_EXCLUDED_NAMESPACE } from "../core/admission-policy.ts";
import { messageOf } from "../core/error-message.ts";
import { HEAL_LABEL, MANAGER } from "../core/labels.ts";
import { BUILD_SECRET_NAME, type Source } from "../core/replication.ts";
import { createPolicyWriter } from "../kube/resources/admission-policies.ts";
import { createCopyWriter, digest } from "../kube/resources/copies.ts";
import { isRegistered } from "../kube/resources/evictions.ts";
import {
  createServiceAccountCache,
  createServiceAccountClient,
  type ServiceAccountCache,
} from "../kube/resources/service-accounts.ts";
import { joinRegistries, type RegistryList } from "./joined-registries.ts";
import { logInTo } from "./registry-login.ts";
import { createRegistryStatusWriter, type RegistryStatusWriter } from "./registry-status.ts";
import { createReplicator, type Replicator } from "../replicator/controller.ts";
import type { CopyWriter, ServiceAccountClient } from "../replicator/ports.ts";
import { REPORTS } from "../replicator/progress.ts";
import {
  createPolicyKeeper,
  removePolicy,
  type PolicyKeeper,
  type PolicyKeeperOptions,
} from "./admission-policy.ts";
import {
  clusterCertificates,
  type ClusterCertificateOptions,
  type ClusterCertificates,
} from "./cluster-certificates.ts";
import {
  createCredentialSources,
  describeSecret,
  firstExpiry,
  type CredentialSources,
  type CredentialSourcesOptions,
  type SecretName,
} from "./credential-sources.ts";
import { createProvidedCredentials, type ProvidedCredentials } from "./provided-credentials.ts";
import { createFaultReport, type FaultReport } from "./fault-report.ts";
import { createInformers, type Informers, type ObjectWatch } from "./informers.ts";
import { createHealer, type Healer, type HealMode } from "./heal.ts";
import { createStuckPods, type StuckPods } from "./stuck-pods.ts";
import { trackOptIns, type OptIns } from "./opt-ins.ts";
import {
  accessCluster,
  createKnownObjects,
  lead,
  type ClusterAccess,
  type ClusterOptions,
  type ClusterTelemetry,
  type KnownObjects,
} from "./cluster-access.ts";

export interface ClusterRuntime {
  readonly ports: Pick<AdmissionPorts, "namespace" | "buildSecret" | "serviceAccount">;
  /** Those of which the cluster says more than their source does, if there are such. */
  readonly certificates: ClusterCertificates | undefined;
  /** Why reviews should not come here yet; none once everything is known. */
  unreadyReasons(): readonly string[];
  /** Resolves once there is none. */
  readonly known: Promise<unknown>;
  /** Its registries are joined with those of the cluster, and given to `onRegistries`. */
  setConfiguration(configuration: Configuration): void;
  /** Hands leadership over and stops writing. What the webhook knows stays. */
  stop(): Promise<void>;
}

/** How long a replica that stops waits for its last writes; the Lease expires soon after. */
const LAST_WRITES_MS = 5000;

/** Starts at once and goes on by itself; an API server that does not answer is waited for. */
export function connectCluster(
  options: ClusterOptions,
  environment: Environment,
  telemetry: ClusterTelemetry,
  onRegistries: (configuration: Configuration) => void,
  tls?: ClusterCertificateOptions,
): ClusterRuntime {
  const { logger, metrics } = telemetry;
  const { namespace } = options;
  const stack = new AsyncDisposableStack();
  const access = accessCluster(options, telemetry);
  stack.defer(() => {
    access.transport.close();
  });
  const informers = createInformers({
    transport: access.transport,
    timings: options.informerTimings,
    onRestart: metrics.countWatchRestart,
    logger,
  });
  stack.defer(() => {
    informers.close();
  });
  const watchSecret = (secret: SecretName, onChange: Parameters<Informers["watchObject"]>[1]): ObjectWatch =>
    informers.watchObject(
      {
        label: `secret ${describeSecret(secret)}`,
        path: `/api/v1/namespaces/${secret.namespace}/secrets`,
        name: secret.name,
      },
      onChange,
    );

  const known = createKnownObjects(informers);
  const optIns = trackOptIns(known.namespaces);
  const accounts = createServiceAccountClient(access.leaderApisFor);
  const enforcingAccounts = cacheEnforcingAccounts(known, accounts, logger);
  const accountClient = informingCache(accounts, known, enforcingAccounts);
  stack.defer(() => {
    enforcingAccounts.close();
  });
  const replicator = wireReplicator(options, telemetry, {
    ...{ access, known, optIns, accountClient },
    onWrite() {
      status.schedule();
      stuckPods.schedule();
    },
  });
  const stuckPods = createStuckPods({
    ...{ informers, optIns, logger, serviceAccount: enforcingAccounts.get },
    pullSecret: replicator.pullSecretState,
    warn: access.recordEvent,
    onStuck(pod, { containers }) {
      healer?.consider(pod, containers);
    },
  });
  const unreadyReasons = (): readonly string[] => [
    ...known.unreadyReasons(),
    ...registries.unreadyReasons(),
    ...(certificates?.unreadyReasons() ?? []),
    ...(policy?.unreadyReasons() ?? []),
  ];
  const isReady = (): boolean => unreadyReasons().length === 0;
  /** Pods get their pull secrets, in whatever way. */
  const isInjecting = async (): Promise<boolean> =>
    isReady() && (options.mode === "policy" || (await isRegistered(access.leaderApisFor, MANAGER)));
  const healer =
    options.heal &&
    wireHealer(options.heal, telemetry, {
      ...{ access, known, optIns, diagnose: stuckPods.diagnose },
      isInjecting,
    });
  const policyWriter = createPolicyWriter(access.leaderApisFor);
  const policy =
    options.mode === "webhook"
      ? undefined
      : wirePolicy(options, logger, {
          access,
          known,
          watchObject: informers.watchObject,
          writer: policyWriter,
        });

  const { registries, sources, provided, status, faults } = wireRegistries(options, telemetry, {
    ...{ environment, access, informers, watchSecret, replicator },
    onRegistries(joined) {
      onRegistries(joined);
      policy?.setRegistries(joined.registries);
      stuckPods.setRegistries(joined, registries.objects.list());
    },
  });
  stack.defer(() => {
    policy?.close();
    registries.close();
    sources.close();
    provided.close();
  });
  for (const informer of [known.namespaces, known.copies]) {
    informer.subscribe(status.schedule);
    informer.subscribe(stuckPods.schedule);
  }
  const certificates = clusterCertificates(tls, {
    apisFor: access.leaderApisFor,
    namespace,
    logger,
    watchSecret,
    watchObject: informers.watchObject,
  });

  metrics.observe(() => ({
    copies: known.copies.store.size,
    queueDepth: replicator.depth,
    blockedNamespaces: replicator.blockedNamespaces,
    isLeading: access.election.isLeading(),
    unreadableSources: faults.registries(),
    credentialExpiries: expiriesOf(sources.current()),
    watchAgesSeconds: informers.agesSeconds(),
    stuckPods: stuckPods.counts(),
  }));
  stack.defer(() => access.election.release());
  // What was started is finished before another replica starts.
  stack.defer(async () => {
    await Promise.race([replicator.stop(), sleep(LAST_WRITES_MS, undefined, { ref: false })]);
  });
  known.start();

  /** Whoever may write has to know everything: what is not known yet would be created a second time. */
  async function startElection(): Promise<void> {
    await Promise.all([known.synced, registries.objects.asked]);
    await Promise.all([sources.settled(), provided.settled()]);
    if (stack.disposed) return;
    lead(access, informers, logger, {
      onStarted(signal) {
        certificates?.lead?.(signal);
        replicator.start();
        provided.start(signal);
        status.start(signal);
        stuckPods.start(signal);
        healer?.start(signal);
        faults.warn();
        if (policy === undefined) void removePolicy(policyWriter, isInjecting, signal, logger);
        else policy.start(signal);
      },
      onStopped() {
        void replicator.stop();
      },
    });
  }
  let electionStarted: Promise<void> | undefined;

  return {
    ports: {
      // The API server asks only where the label is, and knows it before our watch does.
      namespace: (name) => optIns.get(name) ?? { isOptedIn: true, labels: "unknown" },
      buildSecret: (name) => ({
        exists: known.copies.store.get(name, BUILD_SECRET_NAME) !== undefined,
        isExpected: optIns.isRecent(name),
        unreadable: faults.registries(),
      }),
      serviceAccount: enforcingAccounts.get,
    },
    certificates,
    known: Promise.all([known.synced, registries.objects.asked, certificates?.trusted]),
    unreadyReasons,
    setConfiguration(configuration) {
      registries.setConfiguration(configuration);
      electionStarted ??= startElection();
    },
    stop: () => stack.disposeAsync(),
  };
}

/** In Unix time, in milliseconds; of those registries whose credentials say when they end. */
function expiriesOf(sources: readonly Source[]): ReadonlyMap<string, number> {
  const expiries = sources.map(
    ({ registry: { name }, credentials }) => [name, firstExpiry(credentials)] as const,
  );
  return new Map(expiries.filter(([, expiresAt]) => expiresAt < Infinity));
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

interface PolicyParts extends Pick<PolicyKeeperOptions, "watchObject" | "writer"> {
  readonly access: ClusterAccess;
  readonly known: KnownObjects;
}

function wirePolicy(
  { namespace, excludedNamespaces }: ClusterOptions,
  logger: Logger,
  { access, known, ...parts }: PolicyParts,
): PolicyKeeper {
  const keeper = createPolicyKeeper({
    ...parts,
    excludedNamespaces: [...new Set([OTHER_EXCLUDED_NAMESPACE, namespace, ...excludedNamespaces])],
    warn: access.recordEvent,
    logger,
  });
  known.accounts.subscribe((ofNamespace, name, account) => {
    keeper.setEnforcing(`${ofNamespace}/${name}`, account?.isMountableSecretsEnforced === true);
  });
  return keeper;
}

interface HealerParts {
  readonly access: ClusterAccess;
  readonly known: KnownObjects;
  readonly optIns: OptIns;
  readonly diagnose: StuckPods["diagnose"];
  readonly isInjecting: () => Promise<boolean>;
}

function wireHealer(
  mode: HealMode,
  { logger, metrics }: ClusterTelemetry,
  { access, known, optIns, diagnose, isInjecting }: HealerParts,
): Healer {
  const apisFor = access.leaderApisFor;
  return createHealer({
    ...{ mode, apisFor, logger, onOutcome: metrics.countHeal },
    isEnabledIn: (namespace) => optIns.get(namespace)?.labels[HEAL_LABEL] === "enabled",
    diagnose: (namespace, pod) => diagnose(namespace, pod)?.containers ?? [],
    hasCopy: (namespace, name) => known.copies.store.get(namespace, name) !== undefined,
    isWebhookReady: isInjecting,
    report(namespace, { apiVersion, kind, name, uid }, reason, message) {
      access.recordEvent({ reason, message, object: { apiVersion, kind, namespace, name, uid } });
    },
  });
}

interface RegistryParts {
  readonly environment: Environment;
  readonly access: ClusterAccess;
  readonly informers: Informers;
  readonly watchSecret: CredentialSourcesOptions["watchSecret"];
  readonly replicator: Replicator;
  readonly onRegistries: (configuration: Configuration) => void;
}

/** From the registries of file and cluster to what the replicator writes, and back to the status of those of the cluster. */
function wireRegistries(
  { namespace, pod, programDirectory }: ClusterOptions,
  { logger, metrics }: ClusterTelemetry,
  { environment, access, informers, watchSecret, replicator, onRegistries }: RegistryParts,
): {
  readonly registries: RegistryList;
  readonly sources: CredentialSources;
  readonly provided: ProvidedCredentials;
  readonly status: RegistryStatusWriter;
  readonly faults: FaultReport;
} {
  const faults = createFaultReport(logger, access.recordEvent, {
    isLeading: access.election.isLeading,
    isPod: pod !== undefined,
  });
  const registries = joinRegistries({
    ...{ informers, namespace, logger },
    onJoined(joined) {
      onRegistries(joined);
      provided.setRegistries(joined, registries.unlisted.size === 0);
      sources.setConfiguration(joined);
    },
    onStatusChange() {
      status.schedule();
    },
  });
  const provided = createProvidedCredentials({
    ...{ apisFor: access.leaderApisFor, namespace, watchSecret, logger },
    programs: { directory: programDirectory ?? "", environment },
    onAnswer: metrics.countRefresh,
    onChange() {
      sources.refresh();
    },
  });
  const sources = createCredentialSources({
    ...{ environment, ownNamespace: namespace, watchSecret, offers: registries.objects, provided },
    onChange(next, nextFaults) {
      faults.report(nextFaults, next);
      const { attachedServiceAccounts, unlisted } = registries;
      replicator.setDesiredState({ sources: next, attachedServiceAccounts, unlisted });
      status.schedule();
    },
  });
  const status = createRegistryStatusWriter({
    apisFor: access.leaderApisFor,
    objects: registries.objects,
    joined: () => registries.joined,
    faults: faults.current,
    sources: sources.current,
    provided,
    countCopies: replicator.countCopies,
    login: (name, image) =>
      logInTo(
        sources.current().find(({ registry }) => registry.name === name),
        image,
      ),
    logger,
  });
  return { registries, sources, provided, status, faults };
}

interface ReplicatorParts {
  readonly access: ClusterAccess;
  readonly known: KnownObjects;
  readonly optIns: OptIns;
  readonly accountClient: ServiceAccountClient;
  readonly onWrite: () => void;
}

function wireReplicator(
  options: ClusterOptions,
  { logger, metrics }: ClusterTelemetry,
  { access, known, optIns, accountClient, onWrite }: ReplicatorParts,
): Replicator {
  const { namespaces, copies, accounts, pool } = known;
  const replicator = createReplicator({
    namespaces: namespaces.store.in(""),
    copies: copies.store,
    accounts: accounts.store,
    writer: forgettingOptIns(createCopyWriter(access.leaderApisFor, pool), optIns),
    accountClient,
    warn: access.recordEvent,
    digest,
    concurrency: options.concurrency,
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
  return replicator;
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
