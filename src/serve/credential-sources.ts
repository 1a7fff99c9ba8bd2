/** The credentials of all registries as their sources have them now: the file, mounted files, Secrets. */
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import {
  credentialFiles,
  readCredentials,
  UnusableCredentialsError,
  type Environment,
} from "../config/credentials.ts";
import type { AddressedCredential } from "../core/credential.ts";
import { CREDENTIALS_LABEL } from "../core/labels.ts";
import { formatTime } from "../core/registry-status.ts";
import type { RegistryObjects } from "./registry-objects.ts";
import type { Source } from "../core/replication.ts";
import { credentialsInOffer, credentialsInSecret, UnusableSecretError } from "../core/source-secret.ts";
import { ANSWERS_SECRET_NAME } from "../core/credential-provider.ts";
import { expiryOf } from "../core/pull-secret.ts";
import type { SourceFault } from "./fault-report.ts";
import { describeSecret, WatchedSources, type SecretName, type WatchSecret } from "./watched-sources.ts";

/** What is known of the credentials that a provider handed out for a registry. Times are Unix times in milliseconds. */
export interface ProvidedState {
  /** Those for its address, or for each of its hosts; empty where there was no answer yet. */
  readonly credentials: readonly AddressedCredential[];
  /** The last attempt of this replica failed: a sentence about the provider, without anything secret. */
  readonly fault: string | undefined;
  readonly changedAt: number | undefined;
  /** Known to the replica that leads. */
  readonly nextRefreshAt: number | undefined;
  /** When the first of its previous credentials is no longer written. */
  readonly graceEndsAt: number;
}

export interface CredentialSourcesOptions {
  readonly environment: Environment;
  /** Where Secrets are that the configuration names without a namespace. */
  readonly ownNamespace: string;
  readonly watchSecret: WatchSecret;
  /** The Secrets that ClusterRegistries may refer to. */
  readonly offers?: Pick<RegistryObjects, "offeredSecret" | "missingFields">;
  /** What credential providers handed out. */
  readonly provided?: { readonly stateOf: (registry: ConfiguredRegistry) => ProvidedState };
  /** All registries in configuration order, at every change of one of them; the faults are those of the moment. */
  readonly onChange: (sources: readonly Source[], faults: readonly SourceFault[]) => void;
}

const DEFAULTS = {
  offers: { offeredSecret: () => "unknown", missingFields: [] },
  provided: { stateOf: () => NOTHING_PROVIDED },
} satisfies Pick<CredentialSourcesOptions, "offers" | "provided">;

export class CredentialSources {
  readonly #options: Required<CredentialSourcesOptions>;
  readonly #watched: WatchedSources;
  #registries: readonly ConfiguredRegistry[] = [];
  #sources: readonly Source[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CredentialSourcesOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#watched = new WatchedSources(options.watchSecret, () => {
      this.refresh();
    });
  }

  /** Watches what the registries name, and stops watching what they no longer name. */
  setConfiguration(configuration: Pick<Configuration, "registries">): void {
    const { ownNamespace } = this.#options;
    // A connection's Secret is Polyaxon's, in its own namespace, and made for builders.
    this.#registries = configuration.registries.filter(({ list }) => list !== "connections");
    // Offered Secrets are watched together.
    const named = this.#registries.filter(({ source }) => source?.kind === "secret");
    this.#watched.setSecrets(named.flatMap((registry) => secretOf(registry, ownNamespace) ?? []));
    this.#watched.setFiles(credentialFiles(this.#registries));
    this.refresh();
  }

  /** Looks at all sources again: something that is not watched here may be different. */
  refresh(): void {
    const { ownNamespace, provided, onChange } = this.#options;
    const now = Date.now();
    const looked = this.#registries.map((registry) => {
      const secret = secretOf(registry, ownNamespace);
      return { registry, secret, ...endedAt(this.#look(registry, secret), now) };
    });
    this.#sources = looked.map(({ registry, secret, credentials }) => ({ registry, secret, credentials }));
    const faults = looked.flatMap(({ registry: { name }, secret, fault }) =>
      fault === undefined ? [] : { registry: name, secret, ...fault },
    );
    const ends = looked.flatMap(({ registry, credentials }) => [
      firstExpiry(credentials),
      provided.stateOf(registry).graceEndsAt,
    ]);
    this.#refreshAt(Math.min(...ends.filter((time) => time > now)), now);
    onChange(this.#sources, faults);
  }

  /** All registries with their credentials, as they were given to `onChange` last. */
  current(): readonly Source[] {
    return this.#sources;
  }

  /** Resolves once every Secret that the configuration names now was asked for. */
  async settled(): Promise<void> {
    await this.#watched.asked();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#watched.close();
  }

  #refreshAt(time: number, now: number): void {
    clearTimeout(this.#timer);
    if (time === Infinity) return;
    this.#timer = setTimeout(
      () => {
        this.refresh();
      },
      Math.min(time - now + 1, MAX_TIMER_MS),
    ).unref();
  }

  #look(registry: ConfiguredRegistry, secret: SecretName | undefined): Looked {
    const { offers, provided } = this.#options;
    const { source, list } = registry;
    if (source === undefined) return { credentials: "managed-by-admin" };
    // What the API server dropped may be what keeps the credentials from a namespace.
    if (list === "objects" && offers.missingFields.length > 0) {
      const message = `the CRD in the cluster lacks ${offers.missingFields.join(", ")}`;
      return { credentials: "unreadable", fault: { reason: "KeyMissing", message } };
    }
    if (source.kind === "provider") {
      const { credentials, fault } = provided.stateOf(registry);
      return {
        credentials: credentials.length === 0 ? "unreadable" : credentials,
        fault: fault === undefined ? undefined : { reason: "ProviderFailed", message: fault },
      };
    }
    try {
      return { credentials: this.#read(registry, secret) };
    } catch (error) {
      if (!(error instanceof UnusableCredentialsError)) throw error;
      const { message } = error;
      if (error instanceof UnknownSecretError) return { credentials: "unreadable" };
      const reason = error instanceof MissingSecretError ? "SecretNotFound" : "KeyMissing";
      return { credentials: "unreadable", fault: { reason, message } };
    }
  }

  #read(registry: ConfiguredRegistry, secret: SecretName | undefined): readonly AddressedCredential[] {
    const { environment, offers } = this.#options;
    const { source, address } = registry;
    if (secret === undefined) return readCredentials(registry, environment);
    const name = describeSecret(secret);
    try {
      if (source?.kind !== "offered-secret") {
        const { state, isAsked } = this.#watched.stateOf(name);
        return credentialsInSecret(secretIn(state, name, isAsked), address);
      }
      // Whoever labels it does not make one registry's credentials another's.
      const state = source.name === ANSWERS_SECRET_NAME ? "missing" : offers.offeredSecret(source.name);
      const offered = secretIn(state, name, false, NOT_OFFERED);
      return credentialsInOffer(offered, source, address);
    } catch (error) {
      if (!(error instanceof UnusableSecretError)) throw error;
      throw new UnusableCredentialsError(`Secret ${name}: ${error.message}`, { cause: error });
    }
  }
}

function secretOf({ source }: ConfiguredRegistry, ownNamespace: string): SecretName | undefined {
  if (source?.kind === "offered-secret") return { namespace: ownNamespace, name: source.name };
  if (source?.kind !== "secret") return undefined;
  return { namespace: source.namespace ?? ownNamespace, name: source.name };
}

/** Longer timers fire at once. */
const MAX_TIMER_MS = 24 * 3_600_000;

const NOTHING_PROVIDED: ProvidedState = {
  ...{ credentials: [], fault: undefined, changedAt: undefined, nextRefreshAt: undefined },
  graceEndsAt: Infinity,
};

interface Looked extends Pick<Source, "credentials"> {
  readonly fault?: Pick<SourceFault, "reason" | "message"> | undefined;
}

/** Credentials that say that they ended stay, as their copies do: registries may see it otherwise. */
function endedAt(looked: Looked, now: number): Looked {
  const { credentials, fault } = looked;
  const expiresAt = firstExpiry(credentials);
  if (expiresAt > now) return looked;
  const why = fault === undefined ? "" : `; ${fault.message}`;
  const message = `they expired at ${formatTime(expiresAt)}${why}`;
  return { credentials, fault: { reason: "Expired", message } };
}

/** When the first of them ends, as far as they say; in Unix time, in milliseconds. */
export function firstExpiry(credentials: Source["credentials"]): number {
  if (typeof credentials === "string") return Infinity;
  return Math.min(...credentials.map(({ password }) => expiryOf(password) ?? Infinity));
}

const NOT_OFFERED = `does not exist, or does not have the label ${CREDENTIALS_LABEL}=true`;

class MissingSecretError extends UnusableCredentialsError {}

/** Nobody has asked for it yet, which is no fault. */
class UnknownSecretError extends UnusableCredentialsError {}

function secretIn<T extends object>(
  state: T | "missing" | "unknown",
  name: string,
  isAsked: boolean,
  missing = "does not exist",
): T {
  if (state === "missing") throw new MissingSecretError(`Secret ${name} ${missing}`);
  if (state !== "unknown") return state;
  const Fault = isAsked ? UnusableCredentialsError : UnknownSecretError;
  throw new Fault(`Secret ${name} cannot be read`);
}
