#!/usr/bin/env node
/** The process: its arguments, its environment, its streams and its exit status, and nothing else. */
import { readFileSync } from "node:fs";
import { parse } from "node:path";
import { buffer } from "node:stream/consumers";
import { isatty } from "node:tty";
import { CommanderError } from "commander";
import { complete } from "./cli/completion.ts";
import { ReportedError, UsageError, type ProgramIo } from "./cli/program-io.ts";
import { buildProgram } from "./cli/program.ts";
import { InvalidConfigurationError } from "./config/diagnostics.ts";
import { messageOf } from "./core/error-message.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const io: ProgramIo = {
  version,
  environment: process.env,
  readStdin: () => buffer(process.stdin),
  isTerminal: isatty(1),
  writeOut: (output) => void process.stdout.write(output),
  writeError: (output) => void process.stderr.write(output),
};

/** 0; 1 when something failed; 2 for wrong usage or an unusable configuration; 3 for what `policy --strict` finds. */
function exitCodeFor(error: unknown): number {
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

// A reader such as `head` may have seen enough.
process.stdout.on("error", () => process.exit());

const [, path = "", ...args] = process.argv;
const calledAs = parse(path).name;
const program = buildProgram(io, calledAs.startsWith("kubectl") ? "kubectl pullpass" : "pullpass");

try {
  // Before anything else: the words of a line that somebody is still writing must not run.
  if (calledAs === "kubectl_complete-pullpass") io.writeOut(complete(program, args));
  else if (args[0] === "__complete") io.writeOut(complete(program, args.slice(1)));
  else await program.parseAsync(args, { from: "user" });
} catch (error) {
  process.exitCode = exitCodeFor(error);
}

// What was written goes out first. What still hangs then, such as a kubeconfig's plugin or a DNS query, is not waited for.
const streams = [process.stdout, process.stderr];
await Promise.all(streams.map((stream) => new Promise((resolve) => stream.write("", resolve))));
process.exit();
