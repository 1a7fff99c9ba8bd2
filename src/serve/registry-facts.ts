/** What is known of a ClusterRegistry, for its status. */
import type { ConfiguredRegistry, CredentialSource } from "../config/configuration.ts";
import type { JoinedRegistries } from "../config/registry-objects.ts";
import { CREDENTIALS_LABEL } from "../core/labels.ts";
import {
  formatTime,
  type CopyCounts,
  type CredentialsFault,
  type CredentialsState,
  type CredentialTimes,
  type RegistryFacts,
} from "../core/registry-status.ts";
import type { Source } from "../core/replication.ts";
import type { ApisFor } from "../kube/api.ts";
import type { ClusterRegistry } from "../kube/resources/cluster-registries.ts";
import { getSecret } from "../kube/resources/copies.ts";
import { firstExpiry } from "./credential-sources.ts";
import type { SourceFault } from "./fault-report.ts";
import type { ProvidedCredentials } from "./provided-credentials.ts";
import { createLoginRequests, type LogIn, type LoginRequests } from "./registry-login.ts";
import type { RegistryObjects } from "./registry-objects.ts";
import { describeSecret, type SecretName } from "./watched-sources.ts";

export interface RegistryFactsOptions {
  readonly apisFor: ApisFor;
  readonly objects: Pick<RegistryObjects, "missingFields" | "offeredSecret">;
  readonly joined: () => JoinedRegistries;
  readonly faults: () => readonly SourceFault[];
  /** The registries with their credentials. */
  readonly sources: () => readonly Source[];
  readonly provided: Pick<ProvidedCredentials, "stateOf">;
  readonly login: LogIn;
  /** Between two looks at a Secret that is not offered. */
  readonly retryMs: number;
  /** Facts may be different: now, or after so long. */
  readonly schedule: (delayMs?: number) => void;
}

const NOBODY: CopyCounts = { selected: 0, synced: 0, refused: 0, failing: 0 };

export class RegistryFactsReader {
  readonly #options: RegistryFactsOptions;
  readonly #logins: LoginRequests;
  /** By uid, for those whose Secret is not offered: whether that one exists without the label. */
  readonly #looks = new Map<
    string,
    { readonly secret: string; readonly isUnlabelled: boolean; readonly at: number }
  >();

  constructor(options: RegistryFactsOptions) {
    this.#options = options;
    this.#logins = createLoginRequests(options.login, () => {
      options.schedule();
    });
  }

  async read(object: ClusterRegistry, counts: ReadonlyMap<string, CopyCounts>): Promise<RegistryFacts> {
    const { name, uid, generation } = object;
    const { registries, faults } = this.#options.joined();
    const registry = registries.find((candidate) => candidate.list === "objects" && candidate.name === name);
    const lacks = this.#options.objects.missingFields.join(", ");
    const tooOld = {
      reason: "SchemaTooOld",
      message: `the CRD in the cluster lacks ${lacks}; upgrade it`,
    } as const;
    return {
      generation,
      fault: faults.get(name) ?? (lacks === "" ? undefined : tooOld),
      used: registry && {
        address: registry.address.text,
        secretName: registry.secretName,
        credentials: await this.#credentialsOf(registry, uid),
        counts: counts.get(name) ?? NOBODY,
      },
      login: this.#logins.resultOf(object),
    };
  }

  /** Objects with another uid do not exist any more. */
  forgetOthers(uids: ReadonlySet<string>): void {
    for (const uid of this.#looks.keys()) if (!uids.has(uid)) this.#looks.delete(uid);
    this.#logins.forgetOthers(uids);
  }

  async #credentialsOf(registry: ConfiguredRegistry, uid: string): Promise<CredentialsState> {
    const { name, source } = registry;
    if (source?.kind !== "offered-secret" && source?.kind !== "provider") return { kind: "managed-by-admin" };
    const fault = await this.#faultOf(name, uid);
    const times = this.#timesOf(registry, source);
    const known = this.#sourceOf(name);
    const isReadable = known !== undefined && known.credentials !== "unreadable";
    if (fault === undefined || (isReadable && fault.reason === "ProviderFailed")) {
      return { kind: "read", problem: fault, ...times };
    }
    return { kind: "unreadable", ...fault, ...times };
  }

  async #faultOf(registry: string, uid: string): Promise<CredentialsFault | undefined> {
    const fault = this.#options.faults().find((candidate) => candidate.registry === registry);
    if (fault?.reason !== "SecretNotFound" || fault.secret === undefined) {
      this.#looks.delete(uid);
      return fault && { reason: fault.reason, message: fault.message };
    }
    const described = describeSecret(fault.secret);
    return (await this.#isUnlabelled(fault.secret, uid))
      ? {
          reason: "SecretNotOffered",
          message: `Secret ${described} does not have the label ${CREDENTIALS_LABEL}=true`,
        }
      : { reason: "SecretNotFound", message: `Secret ${described} does not exist` };
  }

  #timesOf(
    registry: ConfiguredRegistry,
    source: Extract<CredentialSource, { readonly kind: "offered-secret" | "provider" }>,
  ): CredentialTimes {
    const { objects, provided } = this.#options;
    const expiresAt = timeOf(firstExpiry(this.#sourceOf(registry.name)?.credentials ?? "unreadable"));
    if (source.kind === "offered-secret") {
      const offered = objects.offeredSecret(source.name);
      const changedAt = typeof offered === "object" ? offered.changedAt : undefined;
      return { changedAt, expiresAt, nextRefreshAt: undefined };
    }
    const { changedAt, nextRefreshAt } = provided.stateOf(registry);
    return { changedAt: timeOf(changedAt), expiresAt, nextRefreshAt: timeOf(nextRefreshAt) };
  }

  #sourceOf(name: string): Source | undefined {
    return this.#options.sources().find(({ registry }) => registry.name === name);
  }

  /** No watch shows it. A Secret with the label is one that the watch shows soon. */
  async #isUnlabelled({ namespace, name }: SecretName, uid: string): Promise<boolean> {
    const { apisFor, retryMs, schedule } = this.#options;
    const now = Date.now();
    const last = this.#looks.get(uid);
    if (last?.secret === name && now < last.at + retryMs) {
      schedule(last.at + retryMs - now);
      return last.isUnlabelled;
    }
    schedule(retryMs);
    const secret = await getSecret(apisFor, namespace, name, "high");
    const isUnlabelled = secret !== undefined && secret.metadata?.labels?.[CREDENTIALS_LABEL] !== "true";
    this.#looks.set(uid, { secret: name, isUnlabelled, at: now });
    return isUnlabelled;
  }
}

/** In RFC 3339; undefined for never, and for what is due already. */
function timeOf(ms: number | undefined): string | undefined {
  return ms === undefined || !Number.isFinite(ms) ? undefined : formatTime(ms);
}
