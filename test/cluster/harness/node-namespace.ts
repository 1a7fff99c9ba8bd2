import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runDaemon, type Daemon, type DaemonOptions } from "./run-daemon.ts";

/**
 * The namespaces in which a node's containerd and kubelet run, so that they change nothing on the machine.
 *
 * The first process of a PID namespace takes all others with it when it ends, containers and their shims too; with the
 * last process the mount namespace goes, and with it every mount that was made in it.
 */
export interface NodeNamespace {
  /** Ends everything that runs inside, and waits until the processes that wait for it outside have seen it. */
  stop(): Promise<void>;
  /** Runs a daemon inside. */
  run(options: DaemonOptions): Promise<Daemon>;
  /** A command line that runs another one inside. */
  enter(
    command: string,
    args: readonly string[],
  ): { readonly command: string; readonly args: readonly string[] };
}

/** Directories that kubelet, containerd and runc write to by default, some of them without a setting for it. */
const PRIVATE_DIRECTORIES = ["/run", "/var/lib", "/var/log"];

/** What kubelet sets on the machine that it believes to own. */
const PRIVATE_SYSCTLS = [
  "vm/overcommit_memory",
  "vm/panic_on_oom",
  "kernel/panic",
  "kernel/panic_on_oops",
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
];

const SCRIPT = `
set -e
state=$1 pause=$2
for directory in ${PRIVATE_DIRECTORIES.join(" ")}; do
  mkdir -p "$state$directory"
  mount --bind "$state$directory" "$directory"
done
for name in ${PRIVATE_SYSCTLS.join(" ")}; do
  [ -e "/proc/sys/$name" ] || continue
  mkdir -p "$state/sysctl/\${name%/*}"
  cat "/proc/sys/$name" > "$state/sysctl/$name"
  mount --bind "$state/sysctl/$name" "/proc/sys/$name"
done
: > "$state/ready"
exec "$pause"
`;

export async function createNodeNamespace(
  stateDirectory: string,
  pause: string,
  logDirectory: string,
): Promise<NodeNamespace> {
  await mkdir(stateDirectory, { recursive: true });
  const script = join(stateDirectory, "init.sh");
  await writeFile(script, SCRIPT);
  const init = await runDaemon({
    name: "node-init",
    command: "unshare",
    args: [
      ...["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"],
      ...["--", "sh", script, stateDirectory, pause],
    ],
    logDirectory,
    isReady: () => existsSync(join(stateDirectory, "ready")),
  });
  const namespaces = `/proc/${String(init.pid)}/ns`;
  const enter = (command: string, args: readonly string[]) => ({
    command: "nsenter",
    args: [`--mount=${namespaces}/mnt`, `--pid=${namespaces}/pid_for_children`, "--", command, ...args],
  });
  const daemons = [init];
  return {
    enter,
    async run(options) {
      const daemon = await runDaemon({ ...options, ...enter(options.command, options.args) });
      daemons.push(daemon);
      return daemon;
    },
    async stop() {
      // The child of unshare is the first process inside. Whoever waits outside for one inside must live until
      // then: a zombie whose parent is gone stays until the machine's first process finds it.
      const file = `/proc/${String(init.pid)}/task/${String(init.pid)}/children`;
      const children = existsSync(file) ? await readFile(file, "utf8") : "";
      for (const pid of children.split(" ").filter(Boolean)) process.kill(Number(pid), "SIGKILL");
      await Promise.all(daemons.map(({ ended }) => ended));
    },
  };
}
