import { join } from "node:path";
import { runDaemon, type Daemon } from "./run-daemon.ts";

export interface SchedulerOptions {
  readonly program: string;
  readonly host: string;
  readonly kubeconfig: string;
  readonly directory: string;
  readonly logDirectory: string;
}

export function runScheduler(options: SchedulerOptions): Promise<Daemon> {
  const { program, host, kubeconfig, directory, logDirectory } = options;
  return runDaemon({
    name: "kube-scheduler",
    command: program,
    args: [
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      `--bind-address=${host}`,
      `--cert-dir=${join(directory, "scheduler")}`,
      "--leader-elect=false",
    ],
    logDirectory,
  });
}
