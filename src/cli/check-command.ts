/** The flags of `pullpass check`. */
import type { Command } from "commander";
import type { Configuration } from "../config/configuration.ts";
import { InvalidConfigurationError } from "../config/diagnostics.ts";
import { readConfiguration } from "../config/read.ts";
import { checkConfiguration } from "./check.ts";
import type { SecretSources } from "./secret-sources.ts";
import { planPulls } from "./login-plan.ts";
import { ownNamespace } from "./own-namespace.ts";
import { ReportedError, UsageError, type ProgramIo } from "./program-io.ts";

interface CheckFlags {
  readonly config?: readonly string[];
  readonly login?: true;
  readonly pull?: readonly string[];
  readonly kubeconfig?: string;
  readonly namespace?: string;
}

/** Adds the arguments, the flags and what they do, but for `--config`, which other commands have, too. */
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
      const { config = [], login, pull = [] } = flags;
      const configPaths = [...config, ...files];
      if (configPaths.length === 0)
        command.error("error: missing argument 'file', or option '--config <file>'");
      if (login !== true && pull.length > 0) throw new UsageError("--pull asks a registry: add --login");
      const configuration = readForCheck(configPaths, io);
      const { lines, errorCount } = checkConfiguration(configuration, io.environment);
      writeLines(lines, io);
      const hasFailedLogin = login === true && (await askRegistries(configuration, flags, io));
      if (errorCount > 0) throw new ReportedError(2);
      if (hasFailedLogin) throw new ReportedError(1);
    });
}

/** Prints what the registries say, and returns whether a login failed. */
async function askRegistries(
  configuration: Configuration,
  { pull = [], kubeconfig, namespace }: CheckFlags,
  io: ProgramIo,
): Promise<boolean> {
  const pulls = planPulls(pull, configuration);
  if (pulls.faults.length > 0) throw new UsageError(pulls.faults.join("\n"));
  // Loaded only here: the other commands need no network.
  const { checkLogins } = await import("./check-login.ts");
  const { environment } = io;
  const secrets = configuration.registries.some(({ source }) => source?.kind === "secret")
    ? await openSecretSources(kubeconfig, namespace, environment)
    : undefined;
  const results = await checkLogins(configuration, pulls, {
    environment,
    ...(secrets === undefined ? {} : { readSecretSource: secrets.read }),
  });
  secrets?.close();
  writeLines(
    results.map(({ text }) => text),
    io,
  );
  return results.some(({ isFailure }) => isFailure);
}

/** Undefined where no cluster is known of, unless one was named. */
async function openSecretSources(
  kubeconfig: string | undefined,
  namespace: string | undefined,
  environment: ProgramIo["environment"],
): Promise<SecretSources | undefined> {
  const { connect, NoApiServerError } = await import("./connect.ts");
  const { readSecretSources } = await import("./secret-sources.ts");
  try {
    const connection = connect(kubeconfig, environment);
    const { name } = ownNamespace({ kubeconfig, namespace }, environment, connection);
    return readSecretSources(connection, name);
  } catch (error) {
    if (!(error instanceof NoApiServerError)) throw error;
    if (kubeconfig === undefined) return undefined;
    throw new UsageError(error.message, { cause: error });
  }
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

function writeLines(lines: readonly string[], io: ProgramIo): void {
  io.writeOut(lines.map((line) => `${line}\n`).join(""));
}
