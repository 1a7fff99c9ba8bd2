#!/usr/bin/env node
/** The process: its arguments, its environment, its streams and its exit status, and nothing else. */
import { readFileSync } from "node:fs";
import { parse } from "node:path";
import { buffer } from "node:stream/consumers";
import { isatty } from "node:tty";
import { complete } from "./cli/completion.ts";
import type { ProgramIo } from "./cli/program-io.ts";
import { buildProgram, runProgram } from "./cli/program.ts";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const io: ProgramIo = {
  version,
  environment: process.env,
  pages: new URL("../dist/web/", import.meta.url),
  readStdin: () => buffer(process.stdin),
  isTerminal: isatty(1),
  writeOut: (output) => void process.stdout.write(output),
  writeError: (output) => void process.stderr.write(output),
};

// A reader such as `head` may have seen enough.
process.stdout.on("error", () => process.exit());

const [, path = "", ...args] = process.argv;
const calledAs = parse(path).name;
const program = buildProgram(io, calledAs.startsWith("kubectl") ? "kubectl pullpass" : "pullpass");

// Before anything else: the words of a line that somebody is still writing must not run.
if (calledAs === "kubectl_complete-pullpass") io.writeOut(complete(program, args));
else if (args[0] === "__complete") io.writeOut(complete(program, args.slice(1)));
else process.exitCode = await runProgram(program, args, io);

// What was written goes out first. What still hangs then, such as a kubeconfig's plugin or a DNS query, is not waited for.
const streams = [process.stdout, process.stderr];
await Promise.all(streams.map((stream) => new Promise((resolve) => stream.write("", resolve))));
process.exit();
