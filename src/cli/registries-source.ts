/** The registries that a command works with: those of the file, those of the cluster, and their credentials. */
import type { Command } from "commander";
import type {
  Configuration,
  ConfiguredRegistry,
  CredentialSource,
  SecretSource,
} from "../config/configuration.ts";
import { readCredentials, UnusableCredentialsError } from "../config/credentials.ts";
import { formatDiagnostic } from "../config/diagnostics.ts";
import { readConfiguration } from "../config/read.ts";
import { REGISTRY_API, REGISTRY_API_VERSION, REGISTRY_KIND } from "../config/registry-crd.ts";
import { asRegistryObject, joinRegistryObjects } from "../config/registry-objects.ts";
import type { AddressedCredential } from "../core/credential.ts";
import type { JsonObject } from "../core/kubernetes.ts";
import type { RegistryFault } from "../core/registry-status.ts";
import type { ProgramIo } from "./program-io.ts";
import type { ReadSecretSource } from "./secret-sources.ts";

export interface RegistryFlags {
  readonly config?: readonly string[];
  readonly fromCluster?: true;
  readonly kubeconfig?: string;
}

/** Why ClusterRegistries are not used, by their names. */
export type Faults = ReadonlyMap<string, RegistryFault>;

/** Ends the command unless one of the two says where registries are. */
export function requireRegistries(command: Command, { config, fromCluster }: RegistryFlags): void {
  if (config !== undefined || fromCluster === true) return;
  command.error("error: required option '--config <file>' or '--from-cluster' not specified");
}

/** A warning for each ClusterRegistry that is not used. */
export async function readRegistries(flags: RegistryFlags, io: ProgramIo): Promise<Configuration> {
  const { configuration, faults } = await readRegistriesAndFaults(flags, io);
  warnOfFaults(faults, io);
  return configuration;
}

export async function readRegistriesAndFaults(
  { config = [], fromCluster, kubeconfig }: RegistryFlags,
  io: ProgramIo,
): Promise<{ readonly configuration: Configuration; readonly faults: Faults }> {
  const configuration = readConfiguration(config);
  if (fromCluster !== true) return { configuration, faults: new Map() };
  const objects = await readRegistryObjects(kubeconfig, io);
  const { registries, faults } = joinRegistryObjects(configuration, objects.map(asRegistryObject));
  return { configuration: { ...configuration, registries }, faults };
}

/**
 * All ClusterRegistries as the API server sends them; without their CRD there are none, which standard error says.
 *
 * @throws NoApiServerError, KubeApiError, KubeUnreachableError
 */
export async function readRegistryObjects(
  kubeconfig: string | undefined,
  io: ProgramIo,
): Promise<readonly JsonObject[]> {
  // Loaded only here: the rest needs no cluster.
  const { withTransport } = await import("./connect.ts");
  const { isNotFound } = await import("../kube/errors.ts");
  const { listObjects } = await import("../kube/list.ts");
  const path = `/apis/${REGISTRY_API_VERSION}/${REGISTRY_API.plural}`;
  try {
    return await withTransport(kubeconfig, io.environment, (transport) =>
      listObjects(transport, { path }, (object) => object),
    );
  } catch (error) {
    if (!isNotFound(error)) throw error;
    io.writeError(
      `the cluster has no ClusterRegistries: its API server does not know ${REGISTRY_API_VERSION}\n`,
    );
    return [];
  }
}

export function warnOfFaults(faults: Faults, io: ProgramIo): void {
  for (const [name, { message }] of faults)
    io.writeError(`warning: ${REGISTRY_KIND} ${name} is not used: ${message}\n`);
}

export function isSecretSource(source: CredentialSource | undefined): source is SecretSource {
  return source?.kind === "secret" || source?.kind === "offered-secret";
}

export interface SecretFlags {
  readonly kubeconfig?: string;
  readonly namespace?: string;
}

/**
 * Connects to the cluster for as long as `use` takes, if credentials are in Secrets.
 *
 * @throws NoApiServerError before it calls `use`
 */
export async function withSecrets<T>(
  registries: readonly ConfiguredRegistry[],
  flags: SecretFlags,
  { environment }: ProgramIo,
  use: (read: ReadSecretSource | undefined) => Promise<T>,
): Promise<T> {
  if (!registries.some(({ source }) => isSecretSource(source))) return use(undefined);
  // Loaded only here: the rest needs no cluster.
  const { ownNamespace, withTransport } = await import("./connect.ts");
  const { secretReader } = await import("./secret-sources.ts");
  return withTransport(flags.kubeconfig, environment, (transport, connection) =>
    use(secretReader(transport, ownNamespace(flags, environment, connection).name)),
  );
}

/** A registry and its credentials, or what is wrong with them, as a line without anything secret. */
export type RegistryCredentials =
  | { readonly registry: ConfiguredRegistry; readonly credentials: readonly AddressedCredential[] }
  | { readonly registry: ConfiguredRegistry; readonly fault: string };

/** The credentials of each registry as `serve` reads them; none for one whose Secrets an admin keeps. */
export function readAllCredentials(
  registries: readonly ConfiguredRegistry[],
  flags: SecretFlags,
  io: ProgramIo,
): Promise<readonly RegistryCredentials[]> {
  return withSecrets(registries, flags, io, (read) =>
    Promise.all(
      registries.map(async (registry) => {
        const { source, address, locate } = registry;
        try {
          const credentials =
            read !== undefined && isSecretSource(source)
              ? await read(source, address)
              : readCredentials(registry, io.environment);
          return { registry, credentials };
        } catch (error) {
          if (!(error instanceof UnusableCredentialsError)) throw error;
          const fault = formatDiagnostic({ location: locate(error.field), message: error.reason });
          return { registry, fault };
        }
      }),
    ),
  );
}
