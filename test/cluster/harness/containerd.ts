import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NodeNamespace } from "./node-namespace.ts";
import type { NodeParts } from "./parts.ts";
import { writePodNetwork } from "./pod-network.ts";
import { runCommand } from "./run-command.ts";
import type { Daemon } from "./run-daemon.ts";

/** The name under which containerd knows the first process of every pod. */
export const PAUSE_IMAGE = "pullpass.dev/pause:v0";

export interface ContainerdOptions {
  readonly parts: NodeParts;
  readonly namespace: NodeNamespace;
  readonly directory: string;
  readonly logDirectory: string;
  readonly host: string;
  /** Pods take their addresses from here. */
  readonly podAddressPrefix: string;
}

export interface Containerd {
  readonly daemon: Daemon;
  ctr(...args: readonly string[]): Promise<string>;
  /**
   * Tells the node where a registry is: whoever pulls from `name` (such as `docker.io`) is sent to `server`. Taken into
   * account from the next pull on.
   */
  trustRegistry(name: string, server: string, authorityFile: string): Promise<void>;
}

export async function runContainerd(options: ContainerdOptions): Promise<Containerd> {
  const { parts, namespace, directory, logDirectory } = options;
  const registryDirectory = join(directory, "certs.d");
  const cniDirectory = join(directory, "cni");
  await mkdir(registryDirectory, { recursive: true });
  await writePodNetwork(cniDirectory, options.podAddressPrefix);
  const configFile = join(directory, "containerd.toml");
  await writeFile(configFile, configuration(options, registryDirectory, cniDirectory));
  // A registry that no test runs is looked for nowhere else: the tests reach nothing outside of the machine.
  await writeHosts(registryDirectory, "_default", `server = "https://${options.host}:1"\n`);

  const ctr = async (...args: readonly string[]) => {
    const entered = namespace.enter(parts.ctr, ["--namespace=k8s.io", ...args]);
    return (await runCommand(entered.command, entered.args)).stdout;
  };
  const daemon = await namespace.run({
    name: "containerd",
    command: parts.containerd,
    args: [`--config=${configFile}`],
    logDirectory,
    env: { PATH: `${parts.containerdDirectory}:${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` },
    isReady: async () => (await ctr("version")) !== "",
  });
  return {
    daemon,
    ctr,
    trustRegistry: (name, server, authorityFile) =>
      writeHosts(
        registryDirectory,
        name,
        `server = "${server}"\n\n[host."${server}"]\n  capabilities = ["pull", "resolve"]\n  ca = "${authorityFile}"\n`,
      ),
  };
}

async function writeHosts(registryDirectory: string, name: string, content: string): Promise<void> {
  await mkdir(join(registryDirectory, name), { recursive: true });
  await writeFile(join(registryDirectory, name, "hosts.toml"), content);
}

/** Single quotes make TOML's literal strings. */
function configuration(
  { host, parts, directory }: ContainerdOptions,
  registries: string,
  cni: string,
): string {
  return `version = 3
imports = []

[plugins.'io.containerd.internal.v1.opt']
  path = '${directory}/opt'

[plugins.'io.containerd.nri.v1.nri']
  disable = true

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '${PAUSE_IMAGE}'

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '${registries}'

[plugins.'io.containerd.cri.v1.runtime']
  # Only who has CAP_SYS_RESOURCE may lower the score, and root in a container often has not.
  restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = '${parts.programs.runc}'

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['${cni}/bin']
  conf_dir = '${cni}/net.d'
  use_internal_loopback = true

[plugins.'io.containerd.grpc.v1.cri']
  stream_server_address = '${host}'
`;
}
