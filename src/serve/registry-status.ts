/** Writes the status of ClusterRegistries: the leader alone, and only what changed. */
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { REGISTRY_API } from "../config/registry-crd.ts";
import { readRegistryStatus } from "../config/status-schema.ts";
import type { ConfiguredRegistry, CredentialSource } from "../config/configuration.ts";
import type { JoinedRegistries } from "../config/registry-objects.ts";
import { messageOf } from "../core/error-message.ts";
import { CREDENTIALS_LABEL } from "../core/labels.ts";
import {
  formatTime,
  registryStatus,
  type CopyCounts,
  type CredentialsFault,
  type CredentialsState,
  type CredentialTimes,
  type RegistryFacts,
  type RegistryStatus,
} from "../core/registry-status.ts";
import type { Source } from "../core/replication.ts";
import type { ApisFor } from "../kube/api.ts";
import { writeRegistryStatus, type ClusterRegistry } from "../kube/resources/cluster-registries.ts";
import { getSecret } from "../kube/resources/copies.ts";
import { firstExpiry } from "./credential-sources.ts";
import type { SourceFault } from "./fault-report.ts";
import type { ProvidedCredentials } from "./provided-credentials.ts";
import { createLoginRequests, type LogIn } from "./registry-login.ts";
import type { RegistryObjects } from "./registry-objects.ts";
import { describeSecret, type SecretName } from "./watched-sources.ts";

export interface RegistryStatusOptions {
  /** Its writes are sent only while this replica leads. */
  readonly apisFor: ApisFor;
  readonly objects: Pick<RegistryObjects, "list" | "put" | "missingFields" | "offeredSecret">;
  readonly joined: () => JoinedRegistries;
  readonly faults: () => readonly SourceFault[];
  /** The registries with their credentials. */
  readonly sources: () => readonly Source[];
  readonly provided: Pick<ProvidedCredentials, "stateOf">;
  readonly countCopies: () => Promise<ReadonlyMap<string, CopyCounts>>;
  readonly login: LogIn;
  readonly logger: Logger;
  readonly timings?: Partial<StatusTimings>;
}

export interface StatusTimings {
  /** From a change to its status, so that several changes make one. */
  readonly delayMs: number;
  /**
   * The least and the longest time between two writes to one object that differ in nothing but counts. It doubles while they come
   * one after the other: 10,000 namespaces that are filled in five minutes are ten writes.
   */
  readonly minCountsIntervalMs: number;
  readonly maxCountsIntervalMs: number;
  /** After a failure, and between two looks at a Secret that is not offered. */
  readonly retryMs: number;
}

const DEFAULT_TIMINGS: StatusTimings = {
  ...{ delayMs: 200, minCountsIntervalMs: 1_000, maxCountsIntervalMs: 60_000 },
  retryMs: 5_000,
};
/** Of the time: counting copies of 10,000 namespaces takes 50 ms. */
const MAX_SHARE_OF_COUNTING = 0.1;

export interface RegistryStatusWriter {
  /** Something that a status says may be different. */
  readonly schedule: () => void;
  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void;
}

const NOBODY: CopyCounts = { selected: 0, synced: 0, refused: 0, failing: 0 };

export function createRegistryStatusWriter(options: RegistryStatusOptions): RegistryStatusWriter {
  const { apisFor, objects, joined, faults, sources, provided, countCopies, logger } = options;
  const timings = { ...DEFAULT_TIMINGS, ...options.timings };
  const logins = createLoginRequests(options.login, schedule);
  /** By uid: the last write, and when the next one may come that is about counts alone. */
  const writes = new Map<string, { readonly at: number; readonly intervalMs: number }>();
  /** By uid, for those whose Secret is not offered: whether that one exists without the label. */
  const looks = new Map<
    string,
    { readonly secret: string; readonly isUnlabelled: boolean; readonly at: number }
  >();
  let leading: AbortSignal | undefined;
  let timer: NodeJS.Timeout | undefined;
  let dueAt = Infinity;
  let notBefore = 0;
  let isRunning = false;

  function schedule(): void {
    scheduleIn(timings.delayMs);
  }

  /** The soonest of all that were asked for counts. */
  function scheduleIn(delayMs: number): void {
    const at = Math.max(Date.now() + delayMs, notBefore);
    if (leading === undefined || leading.aborted || at >= dueAt) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(() => void run(), Math.max(at - Date.now(), 0)).unref();
  }

  async function run(): Promise<void> {
    dueAt = Infinity;
    if (leading === undefined || leading.aborted) return;
    if (isRunning) {
      schedule();
      return;
    }
    isRunning = true;
    try {
      await writeAll(leading);
    } catch (error) {
      logger.warn({ error: messageOf(error) }, "failed to write the status of a ClusterRegistry; retrying");
      scheduleIn(timings.retryMs);
    } finally {
      isRunning = false;
    }
  }

  async function writeAll(signal: AbortSignal): Promise<void> {
    const list = objects.list();
    if (list.length === 0) return;
    const startedAt = performance.now();
    const counts = await countCopies();
    notBefore = Date.now() + (performance.now() - startedAt) / MAX_SHARE_OF_COUNTING;
    const uids = new Set(list.map(({ uid }) => uid));
    for (const known of [writes, looks]) {
      for (const uid of known.keys()) if (!uids.has(uid)) known.delete(uid);
    }
    logins.forgetOthers(uids);
    for (const object of list) {
      if (signal.aborted) return;
      await write(object, await factsOf(object, counts));
    }
  }

  async function write(object: ClusterRegistry, facts: RegistryFacts): Promise<void> {
    const now = Date.now();
    const previous = readRegistryStatus(object.status);
    const next = registryStatus(facts, previous, formatTime(now));
    if (isDeepStrictEqual(next, object.status)) return;
    const { minCountsIntervalMs, maxCountsIntervalMs } = timings;
    const { at, intervalMs } = writes.get(object.uid) ?? { at: -Infinity, intervalMs: minCountsIntervalMs };
    const isAboutCounts =
      previous !== undefined && isDeepStrictEqual(withoutCounts(next), withoutCounts(previous));
    if (isAboutCounts && now < at + intervalMs) {
      scheduleIn(at + intervalMs - now);
      return;
    }
    const result = await writeRegistryStatus(apisFor, REGISTRY_API, object, next);
    if (result.kind !== "written") return;
    const isOneOfMany = isAboutCounts && now < at + 2 * intervalMs;
    const doubled = Math.min(2 * intervalMs, maxCountsIntervalMs);
    writes.set(object.uid, { at: now, intervalMs: isOneOfMany ? doubled : minCountsIntervalMs });
    objects.put(result.object);
  }

  async function factsOf(
    object: ClusterRegistry,
    counts: ReadonlyMap<string, CopyCounts>,
  ): Promise<RegistryFacts> {
    const { name, uid, generation } = object;
    const { registries, faults: objectFaults } = joined();
    const registry = registries.find((candidate) => candidate.list === "objects" && candidate.name === name);
    const lacks = objects.missingFields.join(", ");
    const tooOld = {
      reason: "SchemaTooOld",
      message: `the CRD in the cluster lacks ${lacks}; upgrade it`,
    } as const;
    return {
      generation,
      fault: objectFaults.get(name) ?? (lacks === "" ? undefined : tooOld),
      used: registry && {
        address: registry.address.text,
        secretName: registry.secretName,
        credentials: await credentialsOf(registry, uid),
        counts: counts.get(name) ?? NOBODY,
      },
      login: logins.resultOf(object),
    };
  }

  async function credentialsOf(registry: ConfiguredRegistry, uid: string): Promise<CredentialsState> {
    const { name, source } = registry;
    if (source?.kind !== "offered-secret" && source?.kind !== "provider") return { kind: "managed-by-admin" };
    const fault = await faultOf(name, uid);
    const times = timesOf(registry, source);
    const known = sources().find(({ registry: { name: other } }) => other === name);
    const isReadable = known !== undefined && known.credentials !== "unreadable";
    if (fault === undefined || (isReadable && fault.reason === "ProviderFailed")) {
      return { kind: "read", problem: fault, ...times };
    }
    return { kind: "unreadable", ...fault, ...times };
  }

  async function faultOf(registry: string, uid: string): Promise<CredentialsFault | undefined> {
    const fault = faults().find((candidate) => candidate.registry === registry);
    if (fault?.reason !== "SecretNotFound" || fault.secret === undefined) {
      looks.delete(uid);
      return fault && { reason: fault.reason, message: fault.message };
    }
    const described = describeSecret(fault.secret);
    return (await isUnlabelled(fault.secret, uid))
      ? {
          reason: "SecretNotOffered",
          message: `Secret ${described} does not have the label ${CREDENTIALS_LABEL}=true`,
        }
      : { reason: "SecretNotFound", message: `Secret ${described} does not exist` };
  }

  function timesOf(
    registry: ConfiguredRegistry,
    source: Extract<CredentialSource, { readonly kind: "offered-secret" | "provider" }>,
  ): CredentialTimes {
    const known = sources().find((candidate) => candidate.registry.name === registry.name);
    const expiresAt = timeOf(firstExpiry(known?.credentials ?? "unreadable"));
    if (source.kind === "offered-secret") {
      const offered = objects.offeredSecret(source.name);
      const changedAt = typeof offered === "object" ? offered.changedAt : undefined;
      return { changedAt, expiresAt, nextRefreshAt: undefined };
    }
    const { changedAt, nextRefreshAt } = provided.stateOf(registry);
    return { changedAt: timeOf(changedAt), expiresAt, nextRefreshAt: timeOf(nextRefreshAt) };
  }

  /** No watch shows it. A Secret with the label is one that the watch shows soon. */
  async function isUnlabelled({ namespace, name }: SecretName, uid: string): Promise<boolean> {
    const now = Date.now();
    const last = looks.get(uid);
    if (last?.secret === name && now < last.at + timings.retryMs) {
      scheduleIn(last.at + timings.retryMs - now);
      return last.isUnlabelled;
    }
    scheduleIn(timings.retryMs);
    const secret = await getSecret(apisFor, namespace, name, "high");
    const found = secret !== undefined && secret.metadata?.labels?.[CREDENTIALS_LABEL] !== "true";
    looks.set(uid, { secret: name, isUnlabelled: found, at: now });
    return found;
  }

  return {
    schedule,
    start(signal) {
      leading = signal;
      schedule();
    },
  };
}

/** In RFC 3339; undefined for never, and for what is due already. */
function timeOf(ms: number | undefined): string | undefined {
  return ms === undefined || !Number.isFinite(ms) ? undefined : formatTime(ms);
}

/** What is to be seen at once: not the numbers, which are in messages, too. */
function withoutCounts({ namespaces: _, conditions = [], ...rest }: Partial<RegistryStatus>): unknown {
  return { ...rest, conditions: conditions.map(({ message: _message, ...condition }) => condition) };
}
