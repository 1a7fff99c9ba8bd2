/**
 * `pullpass serve`, but for how long the certificates last that it makes: PULLPASS_TEST_RENEWAL_TIMING holds a
 * RenewalTiming in JSON.
 */
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { serveCommand } from "../../src/cli/serve-command.ts";
import type { RenewalTiming } from "../../src/tls/renewal-timing.ts";

const VARIABLE = "PULLPASS_TEST_RENEWAL_TIMING";

/** How a replica is started with it. */
export function withTiming(timing: RenewalTiming): {
  readonly program: readonly string[];
  readonly env: NodeJS.ProcessEnv;
} {
  return {
    program: [fileURLToPath(import.meta.url)],
    env: { [VARIABLE]: JSON.stringify(timing) },
  };
}

const timing = process.env[VARIABLE];
if (timing !== undefined) {
  const command = new Command("pullpass").requiredOption("--config <file>", "configuration", (file) => [
    file,
  ]);
  await serveCommand(command, process.env, JSON.parse(timing) as RenewalTiming).parseAsync(
    // The first one is the name of the command.
    process.argv.slice(3),
    { from: "user" },
  );
}
