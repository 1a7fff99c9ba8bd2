/** `pullpass check`: every error and every warning about a configuration. */
import type { Command } from "commander";
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import { readCredentials, UnusableCredentialsError, type Environment } from "../config/credentials.ts";
import {
  formatDiagnostic,
  inReadingOrder,
  InvalidConfigurationError,
  type Diagnostic,
} from "../config/diagnostics.ts";
import { readConfiguration } from "../config/read.ts";
import { findCredentialWarnings, findWarnings } from "../config/warnings.ts";
import { ReportedError, UsageError, type ProgramIo } from "./program-io.ts";
import type { SecretSources } from "./secret-sources.ts";

interface CheckFlags {
  readonly config?: readonly string[];
  readonly login?: true;
  readonly pull?: readonly string[];
  readonly kubeconfig?: string;
  readonly namespace?: string;
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
    .option(
      "--kubeconfig <file>",
      "with --login: the cluster that Secrets are read from; default: as for serve",
    )
    .option(
      "--namespace <name>",
      "with --login: where Secrets are that are named without a namespace; default: as for serve",
    )
    .action(async (files: readonly string[], flags: CheckFlags) => {
      const { config = [], login = false, pull = [] } = flags;
      const configPaths = [...config, ...files];
      if (configPaths.length === 0)
        command.error("error: missing argument 'file', or option '--config <file>'");
      if (!login && pull.length > 0) throw new UsageError("--pull asks a registry: add --login");
      const configuration = readForCheck(configPaths, io);
      const { lines, errorCount } = checkConfiguration(configuration, io.environment);
      writeLines(lines, io);
      const hasFailedLogin = login && (await askRegistries(configuration, flags, io));
      if (errorCount > 0) throw new ReportedError(2);
      if (hasFailedLogin) throw new ReportedError(1);
    });
}

function readForCheck(configPaths: readonly string[], io: ProgramIo): Configuration {
  try {
    return readConfiguration(configPaths);
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

/** Checks what a valid configuration refers to: credentials are read and thrown away. */
export function checkConfiguration(configuration: Configuration, environment: Environment): CheckReport {
  const results = configuration.registries.map((registry) => checkCredentials(registry, environment));
  const errors = results.flatMap((result) => result.error ?? []);
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
  ];
  return { lines, errorCount: errors.length };
}

function checkCredentials(
  registry: ConfiguredRegistry,
  environment: Environment,
): { readonly error?: Diagnostic; readonly warnings: readonly Diagnostic[] } {
  try {
    return { warnings: findCredentialWarnings(registry, readCredentials(registry, environment)) };
  } catch (error) {
    if (!(error instanceof UnusableCredentialsError)) throw error;
    return { error: { location: registry.locate(error.field), message: error.reason }, warnings: [] };
  }
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toString()} ${number === 1 ? one : many}`;
}

/** Prints what the registries answer, and returns whether a login failed. */
async function askRegistries(
  configuration: Configuration,
  { pull = [], kubeconfig, namespace }: CheckFlags,
  io: ProgramIo,
): Promise<boolean> {
  // Loaded only here: the other commands need no network.
  const { checkLogins, planPulls } = await import("./check-login.ts");
  const pulls = planPulls(pull, configuration);
  if (pulls.faults.length > 0) throw new UsageError(pulls.faults.join("\n"));
  const { environment } = io;
  const secrets = configuration.registries.some(({ source }) => source?.kind === "secret")
    ? await openSecretSources(kubeconfig, namespace, environment)
    : undefined;
  try {
    const lines = await checkLogins(configuration, pulls, { environment, readSecretSource: secrets?.read });
    writeLines(
      lines.map(({ text }) => text),
      io,
    );
    return lines.some(({ isFailure }) => isFailure);
  } finally {
    secrets?.close();
  }
}

/** Undefined if nothing says how a cluster is reached. @throws UsageError if `--kubeconfig` does, and cannot be used. */
async function openSecretSources(
  kubeconfig: string | undefined,
  namespace: string | undefined,
  environment: Environment,
): Promise<SecretSources | undefined> {
  const { connect, NoApiServerError, ownNamespace } = await import("./connect.ts");
  const { readSecretSources } = await import("./secret-sources.ts");
  try {
    const connection = connect(kubeconfig, environment);
    const { name } = ownNamespace({ kubeconfig, namespace }, environment, connection);
    return readSecretSources(connection, name);
  } catch (error) {
    if (error instanceof NoApiServerError && kubeconfig === undefined) return undefined;
    throw error;
  }
}

function writeLines(lines: readonly string[], io: ProgramIo): void {
  io.writeOut(lines.map((line) => `${line}\n`).join(""));
}
