/** The credentials of all registries as their sources have them now: the file, mounted files, Secrets. */
import type { Logger } from "pino";
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
import type { CredentialsReason } from "../core/registry-status.ts";
import type { Warn } from "../replicator/ports.ts";
import type { ObjectWatch } from "./informers.ts";
import type { RegistryObjects } from "./registry-objects.ts";
import type { Source } from "../core/replication.ts";
import { credentialsInOffer, credentialsInSecret, UnusableSecretError } from "../core/source-secret.ts";

export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

/** What is known of a Secret that is a source; `missing` is known, too. */
type SecretState = JsonObject | "missing" | "unknown";

/** Why a registry's credentials cannot be read; nothing secret. */
export interface SourceFault {
  readonly registry: string;
  readonly reason: CredentialsReason;
  readonly message: string;
  /** The Secret that is the source, if one is. */
  readonly secret: SecretName | undefined;
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
  /** All registries in configuration order, at every change of one of them; the faults are those of the moment. */
  readonly onChange: (sources: readonly Source[], faults: readonly SourceFault[]) => void;
}

export interface CredentialSources {
  /** Watches what the registries name, and stops watching what they no longer name. */
  setConfiguration(configuration: Pick<Configuration, "registries">): void;
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
  onChange,
}: CredentialSourcesOptions): CredentialSources {
  const secrets = new Map<string, WatchedSecret>();
  let registries: readonly ConfiguredRegistry[] = [];
  let sources: readonly Source[] = [];
  let files: readonly string[] = [];
  let fileWatch: FileWatch | undefined;

  const publish = (): void => {
    const faults: SourceFault[] = [];
    sources = registries.map((registry): Source => {
      const secret = secretOf(registry);
      const common = { registry, secret };
      if (registry.source === undefined) return { ...common, credentials: "managed-by-admin" };
      try {
        return { ...common, credentials: read(registry, secret) };
      } catch (error) {
        if (!(error instanceof UnusableCredentialsError)) throw error;
        const { message } = error;
        const reason = error instanceof MissingSecretError ? "SecretNotFound" : "KeyMissing";
        if (!(error instanceof UnknownSecretError))
          faults.push({ registry: registry.name, reason, message, secret });
        return { ...common, credentials: "unreadable" };
      }
    });
    onChange(sources, faults);
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
      const offered = secretIn(offers.offeredSecret(source.name), name, false, NOT_OFFERED);
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
    current: () => sources,
    async settled() {
      await Promise.all([...secrets.values()].map(({ watch: { asked } }) => asked));
    },
    close() {
      fileWatch?.close();
      for (const { watch: secretWatch } of secrets.values()) secretWatch.close();
    },
  };
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

export interface FaultReport {
  /** The registries whose credentials cannot be read now. */
  registries(): ReadonlySet<string>;
  readonly current: () => readonly SourceFault[];
  /** Takes the current faults. Every replica logs each new one, and each source that can be read again. */
  report(faults: readonly SourceFault[], sources: readonly Source[]): void;
  /** Writes Events, as the replica that starts to write does, too. */
  warn(): void;
}

/**
 * Events come from the replica that writes, once for all of them. They are Pullpass's pod's, where `kubectl describe`
 * shows them; without a pod, the Secret's, if the source is one.
 */
export function createFaultReport(
  logger: Logger,
  warn: Warn,
  { isLeading, isPod }: { readonly isLeading: () => boolean; readonly isPod: boolean },
): FaultReport {
  let current: readonly SourceFault[] = [];
  let registries: ReadonlySet<string> = new Set();
  /** Registries whose fault is in the log, and not yet that it is over. */
  const unreadable = new Set<string>();
  const warnOfAll = (): void => {
    for (const { registry, message, secret } of current) {
      warn({
        reason: "CredentialsUnreadable",
        message: `The credentials of registry ${registry} cannot be read: ${message}. Copies stay as they are.`,
        ...(secret === undefined || isPod ? {} : { secret }),
      });
    }
  };
  return {
    registries: () => registries,
    current: () => current,
    report(faults, sources) {
      const before = new Set(current.map(describeFault));
      current = faults;
      registries = new Set(faults.map(({ registry }) => registry));
      for (const registry of unreadable) {
        const source = sources.find(({ registry: { name } }) => name === registry);
        if (source?.credentials === "unreadable") continue;
        unreadable.delete(registry);
        if (source !== undefined) logger.info({ registry }, "credentials can be read again");
      }
      for (const registry of registries) unreadable.add(registry);
      const news = faults.filter((fault) => !before.has(describeFault(fault)));
      for (const fault of news)
        logger.error(fault, "cannot read registry credentials; keeping the existing copies");
      // What was reported before is not reported again: see the recorder of Events.
      if (news.length > 0 && isLeading()) warnOfAll();
    },
    warn: warnOfAll,
  };
}

function describeFault({ registry, message }: SourceFault): string {
  return `${registry}: ${message}`;
}
