import { join } from "node:path";
import { runDaemon, type Daemon } from "./run-daemon.ts";
import { sendRequest } from "./send-request.ts";

export interface EtcdOptions {
  readonly program: string;
  readonly host: string;
  readonly directory: string;
  readonly logDirectory: string;
}

export interface Etcd {
  readonly url: string;
  readonly daemon: Daemon;
}

export async function runEtcd({ program, host, directory, logDirectory }: EtcdOptions): Promise<Etcd> {
  const url = `http://${host}:2379`;
  const peerUrl = `http://${host}:2380`;
  const daemon = await runDaemon({
    name: "etcd",
    command: program,
    args: [
      `--data-dir=${join(directory, "etcd")}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      // The data lives no longer than the machine is up. Nobody else votes, so that the election need not wait long.
      "--unsafe-no-fsync",
      "--heartbeat-interval=50",
      "--election-timeout=250",
      "--log-level=warn",
    ],
    logDirectory,
    isReady: async () => (await sendRequest(`${url}/health`)).status === 200,
  });
  return { url, daemon };
}
