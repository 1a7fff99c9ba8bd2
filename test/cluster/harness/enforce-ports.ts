/**
 * Has the machine's own packet filter enforce the ports of the chart's NetworkPolicy, because no network plugin is here that
 * would. Only in a network namespace of its own, where all pods are Pullpass's or have no network of their own to use.
 */
import { installManifest } from "./chart.ts";
import type { KubernetesObject } from "./kubectl.ts";
import { runCommand } from "./run-command.ts";

interface Port {
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
}

interface Rule {
  readonly ports: readonly Port[];
}

interface NetworkPolicy extends KubernetesObject {
  readonly spec: { readonly ingress: readonly Rule[]; readonly egress: readonly Rule[] };
}

/** Kubelet's probes come from the node, which every network plugin lets through. */
const PROBES: Port = { port: 8080, protocol: "TCP" };
const CHAIN = "PULLPASS-POLICY";
/** As the pod network names its ends of the pairs. */
const PODS = "pod+";

export interface EnforcedPorts {
  /** How many connections were started that the policy does not allow. */
  dropped(): Promise<number>;
}

export async function enforcePorts(): Promise<EnforcedPorts> {
  const policy = (await installManifest()).find(isNetworkPolicy);
  if (policy === undefined) throw new Error("the chart has no NetworkPolicy");
  const { ingress, egress } = policy.spec;
  const iptables = (...args: readonly string[]) => runCommand("iptables", ["--wait", ...args]);
  const allow = (direction: string, { port, protocol }: Port) => {
    const packets = ["-p", protocol.toLowerCase(), "--dport", String(port)];
    return iptables("-A", CHAIN, direction, PODS, ...packets, "-j", "RETURN");
  };

  await iptables("-N", CHAIN);
  for (const port of egress.flatMap(({ ports }) => ports)) await allow("-i", port);
  for (const port of [...ingress.flatMap(({ ports }) => ports), PROBES]) await allow("-o", port);
  // Answers belong to connections that were allowed.
  await iptables("-A", CHAIN, "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP");
  for (const [hook, direction] of [
    ["INPUT", "-i"],
    ["FORWARD", "-i"],
    ["OUTPUT", "-o"],
    ["FORWARD", "-o"],
  ] as const) {
    await iptables("-I", hook, direction, PODS, "-j", CHAIN);
  }
  return {
    async dropped() {
      const { stdout } = await iptables("-L", CHAIN, "-v", "-x", "-n");
      const packets = /^\s*(\d+)\s+\d+\s+DROP\b/m.exec(stdout)?.[1];
      if (packets === undefined) throw new Error(`there is no such rule in\n${stdout}`);
      return Number(packets);
    },
  };
}

function isNetworkPolicy(object: KubernetesObject): object is NetworkPolicy {
  return object.kind === "NetworkPolicy";
}
