/**
 * Pullpass against the smallest Node HTTPS server, in turns in one run: requests a second over 10 connections, and the
 * 99th percentile over 50. Server and load are on different cores where the system lets them be.
 */
import { fork, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { makeSelfSignedCertificate } from "../../src/tls/self-signed.ts";
import { benchBodies, type BenchBody } from "./bodies.ts";
import type { LoadOrder, LoadReport } from "./load-worker.ts";
import { shippedEnvironment, shippedFlags } from "./shipped-flags.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 5);
const WARM_UP_MS = 5_000;
const MEASURED_MS = Number(process.env["BENCH_SECONDS"] ?? 3) * 1000;
const SERVER_CORE = "0";
const LOAD_CORE = "1";
const PORTS = { pullpass: 18_443, smallest: 18_444 } as const;

type Side = keyof typeof PORTS;

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, "../..");
const node = process.execPath;
/** Both sides have them. */
const flags = shippedFlags();
const canPin = cpus().length > 1 && spawnSync("taskset", ["-c", SERVER_CORE, "true"]).status === 0;

async function main(): Promise<void> {
  const directory = mkdtempSync(path.join(tmpdir(), "pullpass-bench-"));
  const children: ChildProcess[] = [];
  try {
    const { certificate, privateKey } = await makeSelfSignedCertificate(
      ["localhost", "127.0.0.1"],
      new Date(),
    );
    const files = { certificate: path.join(directory, "tls.crt"), key: path.join(directory, "tls.key") };
    writeFileSync(files.certificate, certificate);
    writeFileSync(files.key, privateKey, { mode: 0o600 });

    const pullpass = startServer(pullpassArguments(files));
    const smallest = startServer(baselineArguments(files));
    const load = startLoad();
    children.push(pullpass, smallest, load);
    await setTimeout(1_500);

    const version = spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim();
    const cores = canPin ? "server and load on a core each" : "server and load share the cores";
    console.log(
      `Node ${version}, ${cores}, ${ROUNDS.toString()} rounds of ${(MEASURED_MS / 1000).toString()} s a side; medians\n`,
    );
    for (const line of table(
      await measureAll(load, certificate, { pullpass: pullpass.pid, smallest: smallest.pid }),
    ))
      console.log(line);
  } finally {
    for (const child of children) child.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  }
}

/** With the server's processor time for one request, which other work on the machine disturbs less than the clock. */
interface MeasuredReport extends LoadReport {
  readonly cpuMicros: number;
}

interface Row {
  readonly body: BenchBody;
  readonly connections: number;
  readonly reports: Readonly<Record<Side, readonly MeasuredReport[]>>;
}

async function measureAll(
  load: ChildProcess,
  ca: string,
  pids: Readonly<Record<Side, number | undefined>>,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const body of benchBodies().slice(0, Number(process.env["BENCH_BODIES"] ?? 3))) {
    for (const connections of [10, 50]) {
      const reports: Record<Side, MeasuredReport[]> = { pullpass: [], smallest: [] };
      for (let round = 0; round < ROUNDS; round++) {
        for (const side of ["pullpass", "smallest"] as const) {
          const order = { host: "127.0.0.1", port: PORTS[side], ca, body: body.body.toString(), connections };
          if (round === 0) await runOrder(load, { ...order, durationMs: WARM_UP_MS });
          const cpuBefore = cpuSeconds(pids[side]);
          const report = await runOrder(load, { ...order, durationMs: MEASURED_MS });
          const requests = (report.requestsPerSecond * MEASURED_MS) / 1000;
          reports[side].push({
            ...report,
            cpuMicros: ((cpuSeconds(pids[side]) - cpuBefore) / requests) * 1e6,
          });
        }
      }
      rows.push({ body, connections, reports });
    }
  }
  return rows;
}

function table(rows: readonly Row[]): readonly string[] {
  const header = [
    "| review | connections | Pullpass req/s | smallest req/s | ratio | Pullpass p99 ms | smallest p99 ms | ratio | Pullpass CPU µs | smallest CPU µs | ratio |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
  ];
  return [...header, ...rows.map(tableRow)];
}

function tableRow({ body, connections, reports }: Row): string {
  const medianOf = (side: Side, figure: keyof MeasuredReport): number =>
    median(reports[side].map((report) => report[figure]));
  const rate = {
    ours: medianOf("pullpass", "requestsPerSecond"),
    theirs: medianOf("smallest", "requestsPerSecond"),
  };
  const p99 = { ours: medianOf("pullpass", "p99"), theirs: medianOf("smallest", "p99") };
  const cpu = { ours: medianOf("pullpass", "cpuMicros"), theirs: medianOf("smallest", "cpuMicros") };
  const cells = [
    `${body.name} (${(body.body.length / 1024).toFixed(1)} KiB)`,
    connections.toString(),
    rate.ours.toFixed(0),
    rate.theirs.toFixed(0),
    (rate.ours / rate.theirs).toFixed(2),
    p99.ours.toFixed(2),
    p99.theirs.toFixed(2),
    (p99.ours / p99.theirs).toFixed(2),
    cpu.ours.toFixed(0),
    cpu.theirs.toFixed(0),
    (cpu.ours / cpu.theirs).toFixed(2),
  ];
  return `| ${cells.join(" | ")} |`;
}

/** Processor time of a process since it began, from Linux; NaN elsewhere. */
function cpuSeconds(pid: number | undefined): number {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, "latin1");
    const [user = NaN, system = NaN] = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 13)
      .map(Number);
    return (user + system) / 100;
  } catch {
    return NaN;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

function pullpassArguments(files: { readonly certificate: string; readonly key: string }): readonly string[] {
  const config = path.join(root, "deploy/examples/pullpass.yaml");
  return [
    ...[path.join(root, "dist/main.js"), "serve", "--standalone", "--config", config],
    ...["--listen", `127.0.0.1:${PORTS.pullpass.toString()}`, "--admin-listen", "127.0.0.1:0"],
    ...["--tls-cert", files.certificate, "--tls-key", files.key],
  ];
}

function baselineArguments(files: { readonly certificate: string; readonly key: string }): readonly string[] {
  return [path.join(here, "baseline-server.ts"), files.certificate, files.key, PORTS.smallest.toString()];
}

/** What it logs goes through a pipe, as in a container, and is read on the load's core. */
function startServer(args: readonly string[]): ChildProcess {
  const command = [...(canPin ? ["taskset", "-c", SERVER_CORE] : []), node, ...flags, ...args];
  const child = spawn(command[0] ?? node, command.slice(1), {
    cwd: root,
    env: { ...process.env, ...shippedEnvironment() },
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout.resume();
  return child;
}

function startLoad(): ChildProcess {
  const worker = path.join(here, "load-worker.ts");
  const child = fork(worker, { execPath: node, cwd: root });
  if (canPin && child.pid !== undefined)
    spawnSync("taskset", ["-a", "-p", "-c", LOAD_CORE, child.pid.toString()]);
  return child;
}

function runOrder(load: ChildProcess, order: LoadOrder): Promise<LoadReport> {
  return new Promise((resolve, reject) => {
    load.once("message", (report) => {
      load.off("exit", reject);
      resolve(report as LoadReport);
    });
    load.once("exit", reject);
    load.send(order);
  });
}

await main();
