import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { IS_ROUTED } from "./routed.ts";

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
const ISLAND = /^ {2}nsenter --net=[^]*?dev "\$1"' add .*\n/m;

export async function writePodNetwork(directory: string, addressPrefix: string): Promise<void> {
  await mkdir(join(directory, "bin"), { recursive: true });
  await mkdir(join(directory, "net.d"), { recursive: true });
  const plugin = (IS_ROUTED ? PLUGIN.replace(ISLAND, () => ROUTED) : PLUGIN)
    .replace("@STATE@", join(directory, "addresses"))
    .replace("@PREFIX@", addressPrefix);
  await writeFile(join(directory, "bin", NAME), plugin, { mode: 0o755 });
  const list = { cniVersion: "1.0.0", name: NAME, plugins: [{ type: NAME }] };
  await writeFile(join(directory, "net.d", "10-island.conflist"), JSON.stringify(list));
}
