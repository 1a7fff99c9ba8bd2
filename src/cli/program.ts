/** The command line: commands, flags and help. */
import { Command } from "commander";
import { readConfiguration } from "../config/read.ts";
import type { RegistryIndex } from "../core/registry.ts";
import { checkCommand } from "./check-command.ts";
import { explainCommand } from "./explain-command.ts";
import { indexConfiguration } from "./index-configuration.ts";
import { injectFiles } from "./inject.ts";
import { joinFiles } from "./join-files.ts";
import type { ProgramIo } from "./program-io.ts";
import { purgeCommand } from "./purge-command.ts";
import { readManifests } from "./read-input.ts";
import { serveCommand } from "./serve-command.ts";

/** The program; `parseAsync` throws what a command throws, and CommanderError for help and wrong usage. */
export function buildProgram(io: ProgramIo): Command {
  const program = new Command("pullpass")
    .description("Gives every pod the registry credentials its images need.")
    .version(io.version)
    .exitOverride()
    .configureOutput({ writeOut: io.writeOut.bind(io), writeErr: io.writeError.bind(io) })
    .showHelpAfterError("(pullpass --help shows the commands, pullpass COMMAND --help the flags)");

  serveCommand(withConfig(program.command("serve")), io.environment);

  withConfig(program.command("inject"))
    .description("write manifests with their pull secrets to standard output, and a report to standard error")
    .option(
      "-f, --filename <file>",
      "manifests, YAML or JSON; again for more; - is standard input, the default",
      append,
    )
    .action(
      async ({
        config,
        filename = ["-"],
      }: {
        readonly config: readonly string[];
        readonly filename?: readonly string[];
      }) => {
        const index = readIndex(config);
        const files = await Promise.all(filename.map((name) => readManifests(name, io.readStdin)));
        const injected = injectFiles(files, index);
        io.writeOut(joinFiles(injected.map((file) => file.text)));
        io.writeError(injected.flatMap((file) => file.report.map((line) => `${line}\n`)).join(""));
      },
    );

  explainCommand(withConfig(program.command("explain")), io);

  checkCommand(program.command("check").option(...CONFIG_OPTION), io);

  purgeCommand(program.command("purge"), io);

  return program;
}

function withConfig(command: Command): Command {
  return command.requiredOption(...CONFIG_OPTION);
}

function readIndex(configPaths: readonly string[]): RegistryIndex {
  return indexConfiguration(readConfiguration(configPaths), true);
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
