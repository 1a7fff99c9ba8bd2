/** The command line: commands, flags, help and the exit status. */
import { Command, CommanderError } from "commander";
import { InvalidConfigurationError } from "../config/diagnostics.ts";
import { messageOf } from "../core/error-message.ts";
import { checkCommand } from "./check.ts";
import { completionCommand } from "./completion.ts";
import { consoleCommand } from "./console.ts";
import { doctorCommand } from "./doctor.ts";
import { explainCommand } from "./explain.ts";
import { injectCommand } from "./inject.ts";
import { policyCommand } from "./policy.ts";
import { ReportedError, UsageError, type ProgramIo } from "./program-io.ts";
import { purgeCommand } from "./purge.ts";
import { registriesCommand } from "./registries.ts";
import { registriesDockerConfigCommand } from "./registries-docker-config.ts";
import { registriesExportCommand } from "./registries-export.ts";
import { serveCommand } from "./serve.ts";

export function buildProgram(io: ProgramIo, name = "pullpass"): Command {
  const program = new Command(name)
    .description("Gives every pod the registry credentials its images need.")
    .version(io.version)
    .exitOverride()
    .configureOutput({ writeOut: io.writeOut.bind(io), writeErr: io.writeError.bind(io) })
    .showHelpAfterError(`(${name} --help shows the commands, ${name} COMMAND --help the flags)`);

  serveCommand(program.command("serve").requiredOption(...CONFIG_OPTION), io.environment);

  injectCommand(program.command("inject").option(...CONFIG_OPTION), io);

  explainCommand(program.command("explain").option(...CONFIG_OPTION), io);

  checkCommand(program.command("check").option(...CONFIG_OPTION), io);

  doctorCommand(program.command("doctor").option(...CONFIG_OPTION), io);

  consoleCommand(program.command("console").option(...CONFIG_OPTION), io);

  const registries = program
    .command("registries")
    .description("the registries and their state; without a command it lists them");
  const list = registries.command("list", { isDefault: true });
  registriesCommand(list.option(...CONFIG_OPTION), io);
  registriesExportCommand(registries.command("export").requiredOption(...CONFIG_OPTION), io);
  registriesDockerConfigCommand(registries.command("docker-config").option(...CONFIG_OPTION), io);

  policyCommand(program.command("policy").option(...CONFIG_OPTION), io);

  purgeCommand(program.command("purge"), io);

  completionCommand(program.command("completion"), io);

  return program;
}

/**
 * The exit status: 0; 1 when something failed; 2 for wrong usage or an unusable configuration; 3 for what `policy --strict` finds.
 */
export async function runProgram(program: Command, args: readonly string[], io: ProgramIo): Promise<number> {
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof ReportedError) return error.exitCode;
    const message = messageOf(error);
    if (error instanceof InvalidConfigurationError) {
      io.writeError(`pullpass: the configuration cannot be used:\n${message}\n`);
      return 2;
    }
    io.writeError(`pullpass: ${message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

const CONFIG_OPTION = [
  "--config <file>",
  "configuration, YAML; again for more, which are joined",
  append,
] as const;

/** No list to begin with: it would pass for a flag that was given. */
function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
