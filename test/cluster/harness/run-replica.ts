import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "./cluster.ts";
import { runDaemon } from "./run-daemon.ts";
import { sendRequest } from "../../send-request.ts";
import { waitUntil } from "../../wait-until.ts";

export interface ReplicaOptions {
  /** Of its log; a replica that is started again goes on with it. */
  readonly name: string;
  /** An address of the cluster's network that nobody else listens at. */
  readonly host: string;
  readonly port?: number;
  /** All but where it listens. */
  readonly flags: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** What answers 200 once it is as it should be. Default: `/readyz`. */
  readonly readyPath?: "/healthz" | "/readyz";
  /** Makes the command line that runs another one, such as one in a namespace. Default: that one itself. */
  readonly wrap?: (command: readonly string[]) => readonly string[];
}

/** A line of the log; `msg` says what it is about. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [fact: string]: unknown;
}

/** A process of `pullpass serve`. */
export interface Replica {
  /** Where it answers reviews. */
  readonly url: string;
  /** The log so far, over restarts too; it is a fraction of a second behind. */
  log(): Promise<readonly LogLine[]>;
  /** Why it is not ready, one reason a line; "ok" if it is. */
  readiness(): Promise<string>;
  /** The value of one metric, such as `pullpass_leader` or `pullpass_source_unreadable{registry="hub"}`. */
  metric(name: string): Promise<number | undefined>;
  /** Sends SIGTERM and waits for the end of the process. */
  stop(): Promise<void>;
  /** As `kill -9`. */
  kill(): Promise<void>;
  /** Starts the process again, and waits until it is ready. */
  start(): Promise<void>;
}

const PROGRAM = join(import.meta.dirname, "..", "..", "..", "dist", "main.js");
const ADMIN_PORT = 8080;

/** Starts the program and waits until it is ready. */
export async function runReplica(cluster: Cluster, options: ReplicaOptions): Promise<Replica> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: run npm run build`);
  const { name, host, port = 8443, flags, env } = options;
  const { readyPath = "/readyz" } = options;
  const wrap = options.wrap ?? ((command) => command);
  const adminUrl = `http://${host}:${String(ADMIN_PORT)}`;
  const listen = [`--listen=${host}:${String(port)}`, `--admin-listen=${host}:${String(ADMIN_PORT)}`];
  const [command = "", ...args] = wrap([process.execPath, PROGRAM, "serve", ...listen, ...flags]);
  const run = () =>
    runDaemon({
      name,
      command,
      args,
      logDirectory: join(cluster.network.directory, "log"),
      isReady: async () => (await sendRequest(`${adminUrl}${readyPath}`)).status === 200,
      ...(env === undefined ? {} : { env }),
    });
  let daemon = await run();
  return {
    url: `https://${host}:${String(port)}`,
    async log() {
      const lines = (await readFile(daemon.logFile, "utf8")).split("\n");
      // The last one may not be whole yet.
      return lines.slice(0, -1).map(parseLine);
    },
    async readiness() {
      return (await sendRequest(`${adminUrl}/readyz`)).body.trim();
    },
    async metric(metric) {
      const { body } = await sendRequest(`${adminUrl}/metrics`);
      const line = body.split("\n").find((text) => text.startsWith(`${metric} `));
      return line === undefined ? undefined : Number(line.slice(metric.length));
    },
    stop: () => daemon.stop(),
    async kill() {
      process.kill(daemon.pid, "SIGKILL");
      await daemon.ended;
    },
    async start() {
      daemon = await run();
    },
  };
}

/** Waits until one of the replicas writes, and returns it with the others. */
export async function leaderOf(
  ...replicas: readonly Replica[]
): Promise<{ readonly leader: Replica; readonly others: readonly Replica[] }> {
  const leader = await waitUntil("a replica to lead", async () => {
    const leads = await Promise.all(
      replicas.map((replica) => replica.metric("pullpass_leader").catch(() => undefined)),
    );
    return replicas[leads.indexOf(1)];
  });
  return { leader, others: replicas.filter((replica) => replica !== leader) };
}

/** What is no JSON was written by Node, and says itself what is wrong. */
function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch (cause) {
    throw new Error(`not a line of Pullpass's log: ${line}`, { cause });
  }
}
