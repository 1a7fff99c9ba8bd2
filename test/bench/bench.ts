/**
 * Pullpass beside the smallest Node webhook and the smallest Go webhook, in turns in one run: requests a second over 10
 * connections, and the 99th percentile over 50, by wrk. The server that is asked has one core, wrk the other.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { connect } from "node:net";
import path from "node:path";
import { makeSelfSignedCertificate } from "../../src/tls/x509.ts";
import { buildGoTool } from "../cluster/harness/build-go-tool.ts";
import { SMALLEST_WEBHOOK } from "../cluster/harness/tools.ts";
import { waitUntil } from "../wait-until.ts";
import { benchBodies, type BenchBody } from "./bodies.ts";
import { shippedEnvironment, shippedFlags } from "./shipped-flags.ts";
import { findWrk, type LoadReport } from "./wrk.ts";

/** Many and short: what else a machine does then disturbs all sides alike, and a ratio is the median of each round's. */
const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 15);
const WARM_UP_SECONDS = 5;
const MEASURED_SECONDS = Number(process.env["BENCH_SECONDS"] ?? 1);
const BODIES = benchBodies().slice(0, Number(process.env["BENCH_BODIES"] ?? Infinity));
const SERVER_CORE = "0";
const LOAD_CORE = "1";

const SIDES = ["pullpass", "node", "go"] as const;
type Side = (typeof SIDES)[number];
const PORTS = { pullpass: 18_443, node: 18_444, go: 18_445 } as const;

const root = path.join(import.meta.dirname, "../..");

/** What Pullpass answers to these reviews. */
const PATCH = Buffer.from(
  JSON.stringify([
    { op: "add", path: "/spec/imagePullSecrets", value: [{ name: "pullpass-local" }] },
    { op: "add", path: "/metadata/annotations/pullpass.dev~1injected", value: "local" },
  ]),
).toString("base64");

async function main(): Promise<void> {
  if (availableParallelism() < 2) throw new Error("server and load need a core each, and there is only one");
  const wrk = await findWrk(LOAD_CORE);
  const goWebhook = path.join(await buildGoTool(SMALLEST_WEBHOOK, console.error), "smallest-webhook");
  const directory = mkdtempSync(path.join(tmpdir(), "pullpass-bench-"));
  const children: ChildProcess[] = [];
  try {
    const files = await writeCertificate(directory);
    const pids = {} as Record<Side, number | undefined>;
    const all = commands(goWebhook, files);
    for (const side of SIDES) {
      const [server, reader] = startServer(all[side], path.join(directory, side));
      children.push(server, reader);
      pids[side] = server.pid;
    }
    for (const side of SIDES) await waitUntil(`${side} to listen`, () => isListening(PORTS[side]));
    console.log(
      `Node ${process.version}, ${ROUNDS.toString()} rounds of ${MEASURED_SECONDS.toString()} s a side; medians; load of the machine: ${(loadavg()[0] ?? NaN).toFixed(1)}\n`,
    );
    for (const line of HEADER) console.log(line);
    for (const body of BODIES) {
      for (const connections of [10, 50]) {
        const reports = await measure(wrk, body, connections, pids);
        console.log(tableRow(body, connections, reports));
      }
    }
  } finally {
    for (const child of children) child.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  }
}

/** With the server's processor time for one request, which other work on the machine disturbs less than the clock. */
interface MeasuredReport extends LoadReport {
  readonly cpuMicros: number;
}

type Reports = Readonly<Record<Side, readonly MeasuredReport[]>>;

async function measure(
  wrk: Awaited<ReturnType<typeof findWrk>>,
  { file }: BenchBody,
  connections: number,
  pids: Readonly<Record<Side, number | undefined>>,
): Promise<Reports> {
  const reports: Record<Side, MeasuredReport[]> = { pullpass: [], node: [], go: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const side of SIDES) {
      const url = `https://127.0.0.1:${PORTS[side].toString()}/mutate?timeout=10s`;
      const load = { url, bodyFile: file, connections };
      if (round === 0) await wrk({ ...load, seconds: WARM_UP_SECONDS });
      const cpuBefore = cpuSeconds(pids[side]);
      const report = await wrk({ ...load, seconds: MEASURED_SECONDS });
      const cpuMicros = ((cpuSeconds(pids[side]) - cpuBefore) / report.requests) * 1e6;
      reports[side].push({ ...report, cpuMicros });
    }
  }
  return reports;
}

const HEADER = [
  "| review | connections | Pullpass req/s | Node req/s | Go req/s | of Node's | of Go's | Pullpass p99 ms | Node p99 ms | Go p99 ms | of Node's | Pullpass CPU µs | Node CPU µs | Go CPU µs |",
  "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
];

function tableRow({ name, kibibytes }: BenchBody, connections: number, reports: Reports): string {
  const medians = (figure: keyof MeasuredReport): Readonly<Record<Side, number>> => {
    const medianOf = (side: Side): number => median(reports[side].map((report) => report[figure]));
    return { pullpass: medianOf("pullpass"), node: medianOf("node"), go: medianOf("go") };
  };
  const cellsOf = (figures: Readonly<Record<Side, number>>, digits: number): readonly string[] =>
    SIDES.map((side) => figures[side].toFixed(digits));
  const medianRatio = (figure: keyof MeasuredReport, other: Side): string =>
    median(
      reports.pullpass.map((report, round) => report[figure] / (reports[other][round]?.[figure] ?? NaN)),
    ).toFixed(2);
  const cells = [
    `${name} (${kibibytes.toFixed(1)} KiB)`,
    connections.toString(),
    ...cellsOf(medians("requestsPerSecond"), 0),
    medianRatio("requestsPerSecond", "node"),
    medianRatio("requestsPerSecond", "go"),
    ...cellsOf(medians("p99"), 2),
    medianRatio("p99", "node"),
    ...cellsOf(medians("cpuMicros"), 1),
  ];
  return `| ${cells.join(" | ")} |`;
}

/** Processor time of a process since it began, from Linux. */
function cpuSeconds(pid: number | undefined): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, "latin1");
  const [user = NaN, system = NaN] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  return (user + system) / 100;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

async function writeCertificate(directory: string): Promise<CertificateFiles> {
  const { certificate, privateKey } = await makeSelfSignedCertificate(["localhost", "127.0.0.1"], new Date());
  const files = { certificate: path.join(directory, "tls.crt"), key: path.join(directory, "tls.key") };
  writeFileSync(files.certificate, certificate);
  writeFileSync(files.key, privateKey, { mode: 0o600 });
  return files;
}

function commands(
  goWebhook: string,
  { certificate, key }: CertificateFiles,
): Readonly<Record<Side, readonly string[]>> {
  const node = [process.execPath, ...shippedFlags()];
  const config = path.join(root, "deploy/examples/pullpass.yaml");
  return {
    pullpass: [
      ...[...node, path.join(root, "dist/main.js"), "serve", "--standalone", "--config", config],
      ...["--listen", `127.0.0.1:${PORTS.pullpass.toString()}`, "--admin-listen", "127.0.0.1:0"],
      ...["--tls-cert", certificate, "--tls-key", key],
    ],
    node: [
      ...[...node, path.join(import.meta.dirname, "baseline-server.ts")],
      ...[certificate, key, PORTS.node.toString(), "127.0.0.1", PATCH],
    ],
    go: [goWebhook, `127.0.0.1:${PORTS.go.toString()}`, certificate, key, PATCH],
  };
}

/** What it logs goes through a pipe, as in a container, and is read on the load's core. */
function startServer(
  command: readonly string[],
  pipe: string,
): readonly [server: ChildProcess, reader: ChildProcess] {
  spawnSync("mkfifo", [pipe]);
  const reader = spawn("taskset", ["--cpu-list", LOAD_CORE, "sh", "-c", 'exec cat "$0" >/dev/null', pipe]);
  // For reading, too, so that opening it does not wait for the reader.
  const output = openSync(pipe, "r+");
  const server = spawn("taskset", ["--cpu-list", SERVER_CORE, ...command], {
    cwd: root,
    // Go would start a thread for each core of the machine.
    env: { ...process.env, ...shippedEnvironment(), GOMAXPROCS: "1" },
    stdio: ["ignore", output, "inherit"],
  });
  closeSync(output);
  return [server, reader];
}

async function isListening(port: number): Promise<true> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.destroy();
  return true;
}

await main();
