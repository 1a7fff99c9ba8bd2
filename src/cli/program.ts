/** The command line: commands, flags and help. */
import { Command } from "commander";
import { checkCommand } from "./check.ts";
import { explainCommand } from "./explain.ts";
import { injectCommand } from "./inject.ts";
import type { ProgramIo } from "./program-io.ts";
import { purgeCommand } from "./purge.ts";
import { serveCommand } from "./serve.ts";

/** The program; `parseAsync` throws what a command throws, and CommanderError for help and wrong usage. */
export function buildProgram(io: ProgramIo): Command {
  const program = new Command("pullpass")
    .description("Gives every pod the registry credentials its images need.")
    .version(io.version)
    .exitOverride()
    .configureOutput({ writeOut: io.writeOut.bind(io), writeErr: io.writeError.bind(io) })
    .showHelpAfterError("(pullpass --help shows the commands, pullpass COMMAND --help the flags)");

  serveCommand(withConfig(program.command("serve")), io.environment);

  injectCommand(withConfig(program.command("inject")), io);

  explainCommand(withConfig(program.command("explain")), io);

  checkCommand(program.command("check").option(...CONFIG_OPTION), io);

  purgeCommand(program.command("purge"), io);

  return program;
}

function withConfig(command: Command): Command {
  return command.requiredOption(...CONFIG_OPTION);
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
