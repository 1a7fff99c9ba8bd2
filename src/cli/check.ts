/** `pullpass check`: every error and every warning about a configuration. */
import type { Command } from "commander";
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import { readCredentials, UnusableCredentialsError, type Environment } from "../config/credentials.ts";
import { formatDiagnostic, inReadingOrder, InvalidConfigurationError } from "../config/diagnostics.ts";
import {
  askProviders,
  providedCredentials,
  reportProviders,
  type AskedProviders,
  type ProviderReport,
} from "./check-providers.ts";
import { REGISTRY_KIND } from "../config/registry-crd.ts";
import { providersWithoutPrograms } from "../config/providers.ts";
import { findCredentialWarnings, findWarnings } from "../config/warnings.ts";
import { count } from "./count.ts";
import {
  NoApiServerError,
  PROGRAM_DIRECTORY_OPTION,
  ReportedError,
  UsageError,
  type ProgramIo,
} from "./program-io.ts";
import {
  readRegistriesAndFaults,
  withSecrets,
  type Faults,
  type RegistryFlags,
  type SecretFlags,
} from "./registries-source.ts";
import type { ReadSecretSource } from "./secret-sources.ts";

interface CheckFlags extends RegistryFlags, SecretFlags {
  readonly login?: true;
  readonly pull?: readonly string[];
  readonly credentialProviderBinDir?: string;
}

/** Adds the arguments, the flags and the action. `--config` is there already, because other commands have it, too. */
export function checkCommand(command: Command, io: ProgramIo): Command {
  return command
    .description("show every error and every warning about a configuration")
    .argument("[file...]", "configuration, as with --config")
    .option("--login", "ask each registry whether its credentials work; exit status 1 if some do not")
    .option(
      "--pull <image...>",
      "with --login: ask also whether the image may be pulled, of the registry that covers it",
    )
    .option(...PROGRAM_DIRECTORY_OPTION)
    .option("--from-cluster", "check the ClusterRegistries of the cluster, too, beside those of the files")
    .option(
      "--kubeconfig <file>",
      "with --from-cluster or --login: the cluster that registries and Secrets are read from; default: as for serve",
    )
    .option(
      "--namespace <name>",
      "with --login: where Secrets are that are named without a namespace; default: as for serve",
    )
    .action(async (files: readonly string[], flags: CheckFlags) => {
      const { config = [], login = false, pull = [], fromCluster } = flags;
      const configPaths = [...config, ...files];
      if (configPaths.length === 0 && fromCluster !== true)
        command.error("error: missing argument 'file', or option '--config <file>' or '--from-cluster'");
      if (!login && pull.length > 0) throw new UsageError("--pull asks a registry: add --login");
      const { configuration, faults } = await readForCheck({ ...flags, config: configPaths }, io);
      const { credentialProviderBinDir: programDirectory } = flags;
      const { environment } = io;
      const asked =
        programDirectory === undefined
          ? undefined
          : await askProviders(configuration, { directory: programDirectory, environment });
      const { lines, errorCount } = checkConfiguration(configuration, environment, { faults, asked });
      writeLines(lines, io);
      const hasFailedLogin = login && (await askRegistries(configuration, flags, io, asked));
      if (errorCount > 0) throw new ReportedError(2);
      if (hasFailedLogin) throw new ReportedError(1);
    });
}

async function readForCheck(
  flags: RegistryFlags,
  io: ProgramIo,
): Promise<{ readonly configuration: Configuration; readonly faults: Faults }> {
  try {
    return await readRegistriesAndFaults(flags, io);
  } catch (error) {
    if (!(error instanceof InvalidConfigurationError)) throw error;
    io.writeOut(error.message.replaceAll(/^/gm, "error: ") + "\n");
    throw new ReportedError(2);
  }
}

export interface CheckReport {
  readonly lines: readonly string[];
  readonly errorCount: number;
}

export interface CheckedBesides {
  /** Of registry objects. */
  readonly faults?: Faults;
  /** Undefined if nobody says in which directory the programs of providers are. */
  readonly asked?: AskedProviders | undefined;
}

/** Checks what a valid configuration refers to: credentials are read and thrown away. */
export function checkConfiguration(
  configuration: Configuration,
  environment: Environment,
  { faults = new Map(), asked }: CheckedBesides = {},
): CheckReport {
  const results = configuration.registries.map((registry) => checkCredentials(registry, environment, asked));
  const errors = [
    ...results.flatMap((result) => result.errors),
    ...(asked === undefined ? providersWithoutPrograms(configuration, undefined) : []),
    ...Array.from(faults, ([name, { message }]) => ({
      location: { file: `${REGISTRY_KIND} ${name}`, line: undefined, path: [] },
      message,
    })),
  ];
  const warnings = [...findWarnings(configuration), ...results.flatMap((result) => result.warnings)];
  const files = new Set(configuration.registries.map(({ locate }) => locate([]).file));
  const summary = [
    count(configuration.registries.length, "registry", "registries"),
    count(errors.length, "error"),
    count(warnings.length, "warning"),
  ];
  const lines = [
    ...errors.map((error) => `error: ${formatDiagnostic(error)}`),
    ...inReadingOrder(warnings, [...files]).map((warning) => `warning: ${formatDiagnostic(warning)}`),
    summary.join(", "),
    ...results.flatMap((result) => result.lines),
  ];
  return { lines, errorCount: errors.length };
}

function checkCredentials(
  registry: ConfiguredRegistry,
  environment: Environment,
  asked: AskedProviders | undefined,
): ProviderReport {
  if (registry.source?.kind === "provider") return reportProviders(registry, asked?.get(registry.name) ?? []);
  try {
    const credentials = readCredentials(registry, environment);
    return { errors: [], warnings: findCredentialWarnings(registry, credentials), lines: [] };
  } catch (error) {
    if (!(error instanceof UnusableCredentialsError)) throw error;
    const fault = { location: registry.locate(error.field), message: error.reason };
    return { errors: [fault], warnings: [], lines: [] };
  }
}

/** Prints what the registries answer, and returns whether a login failed. */
async function askRegistries(
  configuration: Configuration,
  flags: CheckFlags,
  io: ProgramIo,
  asked: AskedProviders = new Map(),
): Promise<boolean> {
  // Loaded only here: the other commands need no network.
  const { checkLogins, planPulls } = await import("./check-login.ts");
  const pulls = planPulls(flags.pull ?? [], configuration);
  if (pulls.faults.length > 0) throw new UsageError(pulls.faults.join("\n"));
  const provided = new Map(Array.from(asked, ([name, each]) => [name, providedCredentials(each)]));
  const ask = (readSecretSource?: ReadSecretSource): ReturnType<typeof checkLogins> =>
    checkLogins(configuration, pulls, { environment: io.environment, readSecretSource, provided });
  const lines = await withSecrets(configuration.registries, flags, io, ask).catch((error: unknown) => {
    if (error instanceof NoApiServerError && flags.kubeconfig === undefined) return ask();
    throw error;
  });
  writeLines(
    lines.map(({ text }) => text),
    io,
  );
  return lines.some(({ isFailure }) => isFailure);
}

function writeLines(lines: readonly string[], io: ProgramIo): void {
  io.writeOut(lines.map((line) => `${line}\n`).join(""));
}
