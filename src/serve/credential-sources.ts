/** The credentials of all registries as their sources have them now: the file, mounted files, Secrets. */
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import {
  credentialFiles,
  readCredentials,
  UnusableCredentialsError,
  type Environment,
} from "../config/credentials.ts";
import { watchFiles, type FileWatch } from "../config/files.ts";
import type { AddressedCredential } from "../core/credential.ts";
import type { JsonObject } from "../core/kubernetes.ts";
import { CREDENTIALS_LABEL } from "../core/labels.ts";
import { formatTime } from "../core/registry-status.ts";
import type { ObjectWatch } from "./informers.ts";
import type { RegistryObjects } from "./registry-objects.ts";
import type { Source } from "../core/replication.ts";
import { credentialsInOffer, credentialsInSecret, UnusableSecretError } from "../core/source-secret.ts";
import { ANSWERS_SECRET_NAME } from "../core/credential-provider.ts";
import { expiryOf } from "../core/pull-secret.ts";
import type { SourceFault } from "./fault-report.ts";

export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

/** What is known of a Secret that is a source; `missing` is known, too. */
type SecretState = JsonObject | "missing" | "unknown";

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
  readonly watchSecret: (
    secret: SecretName,
    onChange: (state: JsonObject | "missing") => void,
  ) => ObjectWatch;
  /** The Secrets that ClusterRegistries may refer to. */
  readonly offers?: Pick<RegistryObjects, "offeredSecret" | "missingFields">;
  /** What credential providers handed out. */
  readonly provided?: { readonly stateOf: (registry: ConfiguredRegistry) => ProvidedState };
  /** All registries in configuration order, at every change of one of them; the faults are those of the moment. */
  readonly onChange: (sources: readonly Source[], faults: readonly SourceFault[]) => void;
}

export interface CredentialSources {
  /** Watches what the registries name, and stops watching what they no longer name. */
  setConfiguration(configuration: Pick<Configuration, "registries">): void;
  /** Looks at all sources again: something that is not watched here may be different. */
  refresh(): void;
  /** All registries with their credentials, as they were given to `onChange` last. */
  readonly current: () => readonly Source[];
  /** Resolves once every Secret that the configuration names now was asked for. */
  settled(): Promise<void>;
  close(): void;
}

interface WatchedSecret {
  readonly watch: ObjectWatch;
  state: SecretState;
  isAsked: boolean;
}

export function createCredentialSources({
  environment,
  ownNamespace,
  watchSecret,
  offers = { offeredSecret: () => "unknown", missingFields: [] },
  provided = { stateOf: () => NOTHING_PROVIDED },
  onChange,
}: CredentialSourcesOptions): CredentialSources {
  const secrets = new Map<string, WatchedSecret>();
  let registries: readonly ConfiguredRegistry[] = [];
  let sources: readonly Source[] = [];
  let files: readonly string[] = [];
  let fileWatch: FileWatch | undefined;
  let timer: NodeJS.Timeout | undefined;

  const publish = (): void => {
    const now = Date.now();
    const looked = registries.map((registry) => {
      const secret = secretOf(registry);
      return { registry, secret, ...endedAt(look(registry, secret), now) };
    });
    sources = looked.map(({ registry, secret, credentials }) => ({ registry, secret, credentials }));
    const faults = looked.flatMap(({ registry: { name }, secret, fault }) =>
      fault === undefined ? [] : { registry: name, secret, ...fault },
    );
    const ends = looked.flatMap(({ registry, credentials }) => [
      firstExpiry(credentials),
      provided.stateOf(registry).graceEndsAt,
    ]);
    const next = Math.min(...ends.filter((time) => time > now));
    clearTimeout(timer);
    if (next < Infinity) timer = setTimeout(publish, Math.min(next - now + 1, MAX_TIMER_MS)).unref();
    onChange(sources, faults);
  };

  const look = (registry: ConfiguredRegistry, secret: SecretName | undefined): Looked => {
    const { source } = registry;
    if (source === undefined) return { credentials: "managed-by-admin" };
    if (source.kind === "provider") {
      const { credentials, fault } = provided.stateOf(registry);
      return {
        credentials: credentials.length === 0 ? "unreadable" : credentials,
        fault: fault === undefined ? undefined : { reason: "ProviderFailed", message: fault },
      };
    }
    try {
      return { credentials: read(registry, secret) };
    } catch (error) {
      if (!(error instanceof UnusableCredentialsError)) throw error;
      const { message } = error;
      if (error instanceof UnknownSecretError) return { credentials: "unreadable" };
      const reason = error instanceof MissingSecretError ? "SecretNotFound" : "KeyMissing";
      return { credentials: "unreadable", fault: { reason, message } };
    }
  };

  const secretOf = ({ source }: ConfiguredRegistry): SecretName | undefined => {
    if (source?.kind === "offered-secret") return { namespace: ownNamespace, name: source.name };
    if (source?.kind !== "secret") return undefined;
    return { namespace: source.namespace ?? ownNamespace, name: source.name };
  };

  const read = (
    registry: ConfiguredRegistry,
    secret: SecretName | undefined,
  ): readonly AddressedCredential[] => {
    const { source, address } = registry;
    if (secret === undefined) return readCredentials(registry, environment);
    const name = describeSecret(secret);
    try {
      if (source?.kind !== "offered-secret") {
        const { state = "unknown", isAsked = false } = secrets.get(name) ?? {};
        return credentialsInSecret(secretIn(state, name, isAsked), address);
      }
      if (offers.missingFields.length > 0) {
        throw new UnusableCredentialsError(`the CRD in the cluster lacks ${offers.missingFields.join(", ")}`);
      }
      // Whoever labels it does not make one registry's credentials another's.
      const state = source.name === ANSWERS_SECRET_NAME ? "missing" : offers.offeredSecret(source.name);
      const offered = secretIn(state, name, false, NOT_OFFERED);
      return credentialsInOffer(offered, source, address);
    } catch (error) {
      if (!(error instanceof UnusableSecretError)) throw error;
      throw new UnusableCredentialsError(`Secret ${name}: ${error.message}`, { cause: error });
    }
  };

  const watch = (secret: SecretName): WatchedSecret => {
    const watched: WatchedSecret = {
      state: "unknown",
      isAsked: false,
      watch: watchSecret(secret, (state) => {
        watched.state = state;
        watched.isAsked = true;
        publish();
      }),
    };
    void watched.watch.asked.then(() => {
      if (watched.isAsked) return;
      watched.isAsked = true;
      publish();
    });
    return watched;
  };

  return {
    setConfiguration(configuration) {
      // A connection's Secret is Polyaxon's, in its own namespace, and made for builders.
      registries = configuration.registries.filter(({ list }) => list !== "connections");
      const needed = new Map(
        registries.flatMap((registry) => {
          // Offered Secrets are watched together.
          const secret = registry.source?.kind === "secret" ? secretOf(registry) : undefined;
          return secret === undefined ? [] : [[describeSecret(secret), secret] as const];
        }),
      );
      for (const [name, watched] of secrets) {
        if (needed.has(name)) continue;
        watched.watch.close();
        secrets.delete(name);
      }
      for (const [name, secret] of needed) if (!secrets.has(name)) secrets.set(name, watch(secret));
      const nextFiles = credentialFiles(registries);
      if (fileWatch === undefined || nextFiles.join("\n") !== files.join("\n")) {
        files = nextFiles;
        fileWatch?.close();
        fileWatch = watchFiles(files, publish);
      }
      publish();
    },
    refresh: publish,
    current: () => sources,
    async settled() {
      await Promise.all([...secrets.values()].map(({ watch: { asked } }) => asked));
    },
    close() {
      clearTimeout(timer);
      fileWatch?.close();
      for (const { watch: secretWatch } of secrets.values()) secretWatch.close();
    },
  };
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

export function describeSecret({ namespace, name }: SecretName): string {
  return `${namespace}/${name}`;
}
