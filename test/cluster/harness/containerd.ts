import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { IS_ROUTED } from "./claim-network.ts";
import type { NodeNamespace } from "./node-namespace.ts";
import type { NodeParts } from "./parts.ts";
import { runCommand } from "./run-command.ts";
import type { Daemon } from "./run-daemon.ts";

const NAME = "pullpass-island";

/**
 * A CNI plugin that gives a pod an interface which leads nowhere: both ends of the pair are in the pod. Images are pulled
 * by the node and not by the pod, so that a pod needs no network; one that does asks for the host's.
 *
 * Nothing of it is on the machine itself, no bridge, address or route. Addresses are .32 to .127 of the cluster's loopback
 * network, so that a probe of kubelet, which cannot reach the pod, does not leave the machine either.
 */
const PLUGIN = `#!/bin/sh
set -e
config=$(cat)
state=@STATE@ prefix=@PREFIX@
case $CNI_COMMAND in
ADD)
  mkdir -p "$state"
  for last in $(seq 32 127); do
    mkdir "$state/$last" 2> /dev/null && break
  done
  : > "$state/$last/$CNI_CONTAINERID"
  nsenter --net="$CNI_NETNS" sh -e -c '
    ip link add "$1" type veth peer name "$1-end"
    ip link set "$1-end" up
    ip link set "$1" up
    ip address add "$2/32" dev "$1"' add "$CNI_IFNAME" "$prefix.$last"
  printf '{"cniVersion":"1.0.0","interfaces":[{"name":"%s","sandbox":"%s"}],' "$CNI_IFNAME" "$CNI_NETNS"
  printf '"ips":[{"address":"%s.%s/32","interface":0}],"dns":{}}' "$prefix" "$last"
  ;;
DEL)
  # The interfaces go with the pod's network namespace.
  for file in "$state"/*/"$CNI_CONTAINERID"; do
    [ -e "$file" ] && rm -r "\${file%/*}"
  done
  exit 0
  ;;
VERSION)
  echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'
  ;;
esac
`;

/** The pair has one end on the machine, where the process has a network namespace of its own for that. */
const ROUTED = `  nsenter --net="$CNI_NETNS" ip link add "$CNI_IFNAME" type veth peer name "pod$last"
  nsenter --net="$CNI_NETNS" ip link set "pod$last" netns $$
  nsenter --net="$CNI_NETNS" sh -e -c '
    ip link set lo up
    ip link set "$1" up
    ip address add "$2/32" dev "$1"
    ip route add "$3" dev "$1" scope link
    ip route add default via "$3" dev "$1"' add "$CNI_IFNAME" "$prefix.$last" "$prefix.10"
  ip link set "pod$last" up
  ip route add "$prefix.$last/32" dev "pod$last" src "$prefix.10"
`;
/** Containerd asks this one for every pod as well. */
const LOOPBACK = `#!/bin/sh
cat > /dev/null
case $CNI_COMMAND in
ADD)
  nsenter --net="$CNI_NETNS" ip link set lo up
  echo '{"cniVersion":"0.3.1","interfaces":[{"name":"lo"}]}'
  ;;
VERSION)
  echo '{"cniVersion":"0.3.1","supportedVersions":["0.3.1","1.0.0"]}'
  ;;
esac
`;
const ISLAND = /^ {2}nsenter --net=[^]*?dev "\$1"' add .*\n/m;

export async function writePodNetwork(directory: string, addressPrefix: string): Promise<void> {
  await mkdir(join(directory, "bin"), { recursive: true });
  await mkdir(join(directory, "net.d"), { recursive: true });
  const plugin = (IS_ROUTED ? PLUGIN.replace(ISLAND, () => ROUTED) : PLUGIN)
    .replace("@STATE@", join(directory, "addresses"))
    .replace("@PREFIX@", addressPrefix);
  await writeFile(join(directory, "bin", NAME), plugin, { mode: 0o755 });
  await writeFile(join(directory, "bin", "loopback"), LOOPBACK, { mode: 0o755 });
  const list = { cniVersion: "1.0.0", name: NAME, plugins: [{ type: NAME }] };
  await writeFile(join(directory, "net.d", "10-island.conflist"), JSON.stringify(list));
}

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
    // Containerd 1.6 wants a host, and asks the server once more where that says 404.
    trustRegistry: (name, server, authorityFile) =>
      writeHosts(
        registryDirectory,
        name,
        `server = "${server}"\nca = "${authorityFile}"\n\n[host."${server}"]\n  capabilities = ["pull", "resolve"]\n  ca = "${authorityFile}"\n`,
      ),
  };
}

async function writeHosts(registryDirectory: string, name: string, content: string): Promise<void> {
  await mkdir(join(registryDirectory, name), { recursive: true });
  await writeFile(join(registryDirectory, name, "hosts.toml"), content);
}

/** In the version that containerd 1.6 reads; later ones translate it. Single quotes make TOML's literal strings. */
function configuration(
  { host, parts, directory }: ContainerdOptions,
  registries: string,
  cni: string,
): string {
  return `version = 2
imports = []

[plugins.'io.containerd.internal.v1.opt']
  path = '${directory}/opt'

[plugins.'io.containerd.nri.v1.nri']
  disable = true

[plugins.'io.containerd.grpc.v1.cri']
  sandbox_image = '${PAUSE_IMAGE}'
  stream_server_address = '${host}'
  # Only who has CAP_SYS_RESOURCE may lower the score, and root in a container often has not.
  restrict_oom_score_adj = true

[plugins.'io.containerd.grpc.v1.cri'.registry]
  config_path = '${registries}'

[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc.options]
  BinaryName = '${parts.programs.runc}'

[plugins.'io.containerd.grpc.v1.cri'.cni]
  bin_dir = '${cni}/bin'
  conf_dir = '${cni}/net.d'
`;
}
