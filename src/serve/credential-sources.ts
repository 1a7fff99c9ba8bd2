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
import type { JsonObject } from "../core/kubernetes.ts";
import type { Warn } from "../replicator/ports.ts";
import type { ObjectWatch } from "./informers.ts";
import type { Source } from "../core/replication.ts";
import { credentialsInSecret, UnusableSecretError } from "../core/source-secret.ts";

export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

/** What is known of a Secret that is a source; `missing` is known, too. */
type SecretState = JsonObject | "missing" | "unknown";

/** Why a registry's credentials cannot be read; nothing secret. */
export interface SourceFault {
  readonly registry: string;
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
  /** All registries in configuration order, at every change of one of them; the faults are those of the moment. */
  readonly onChange: (sources: readonly Source[], faults: readonly SourceFault[]) => void;
}

export interface CredentialSources {
  /** Watches what the configuration names, and stops watching what it no longer names. */
  setConfiguration(configuration: Configuration): void;
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
  onChange,
}: CredentialSourcesOptions): CredentialSources {
  const secrets = new Map<string, WatchedSecret>();
  let registries: readonly ConfiguredRegistry[] = [];
  let fileWatch: FileWatch | undefined;

  const publish = (): void => {
    const faults: SourceFault[] = [];
    const sources = registries.map((registry): Source => {
      const secret = secretOf(registry);
      const common = { registry, secret };
      if (registry.source === undefined) return { ...common, credentials: "managed-by-admin" };
      try {
        const credentials =
          secret === undefined ? readCredentials(registry, environment) : readSecret(registry, secret);
        return { ...common, credentials };
      } catch (error) {
        const isExpected = error instanceof UnusableCredentialsError || error instanceof UnusableSecretError;
        if (!isExpected) throw error;
        const isAsked = secret === undefined || secrets.get(describeSecret(secret))?.isAsked === true;
        if (isAsked) faults.push({ registry: registry.name, message: error.message, secret });
        return { ...common, credentials: "unreadable" };
      }
    });
    onChange(sources, faults);
  };

  const secretOf = ({ source }: ConfiguredRegistry): SecretName | undefined =>
    source?.kind === "secret"
      ? { namespace: source.namespace ?? ownNamespace, name: source.name }
      : undefined;

  const readSecret = (
    registry: ConfiguredRegistry,
    secret: SecretName,
  ): Exclude<Source["credentials"], string> => {
    const name = describeSecret(secret);
    const state = secrets.get(name)?.state ?? "unknown";
    if (state === "missing") throw new UnusableCredentialsError(`Secret ${name} does not exist`);
    if (state === "unknown") throw new UnusableCredentialsError(`Secret ${name} cannot be read`);
    try {
      return credentialsInSecret(state, registry.address);
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
          const secret = secretOf(registry);
          return secret === undefined ? [] : [[describeSecret(secret), secret] as const];
        }),
      );
      for (const [name, watched] of secrets) {
        if (needed.has(name)) continue;
        watched.watch.close();
        secrets.delete(name);
      }
      for (const [name, secret] of needed) if (!secrets.has(name)) secrets.set(name, watch(secret));
      fileWatch?.close();
      fileWatch = watchFiles(credentialFiles(registries), publish);
      publish();
    },
    async settled() {
      await Promise.all([...secrets.values()].map(({ watch: { asked } }) => asked));
    },
    close() {
      fileWatch?.close();
      for (const { watch: secretWatch } of secrets.values()) secretWatch.close();
    },
  };
}

export function describeSecret({ namespace, name }: SecretName): string {
  return `${namespace}/${name}`;
}

export interface FaultReport {
  /** The registries whose credentials cannot be read now. */
  registries(): ReadonlySet<string>;
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
