import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildGoTool } from "./build-go-tool.ts";
import { reportToStandardError, type Cluster } from "./cluster.ts";
import { PULLPASS_NAMESPACE } from "./install-pullpass.ts";
import { runDaemon, type Daemon } from "./run-daemon.ts";
import { CERT_MANAGER } from "./tools.ts";

/** cert-manager as its release has it, but for its webhook, which only checks what people write. */
export async function startCertManager({ kubectl, kubeconfig, network }: Cluster): Promise<Daemon> {
  const directory = await buildGoTool(CERT_MANAGER, reportToStandardError);
  const definitions = `--filename=${join(directory, CERT_MANAGER.keeps ?? "")}`;
  // They are too large for what a client-side apply notes down of them.
  await kubectl.run(["apply", "--server-side", definitions]);
  await kubectl.run(["wait", "--for=condition=Established", definitions, "--timeout=30s"]);
  const logDirectory = join(network.directory, "log");
  return runDaemon({
    name: "cert-manager",
    command: join(directory, "cert-manager"),
    args: [`--kubeconfig=${kubeconfig}`],
    logDirectory,
    isReady: async () => (await readFile(join(logDirectory, "cert-manager.log"), "utf8")).includes("issuing"),
  });
}

interface Certificate {
  readonly status?: { readonly conditions?: readonly { readonly type: string }[] };
}

/** Has it renew a certificate of Pullpass at once, as its own `cmctl renew` does. */
export async function renewCertificate({ kubectl }: Cluster, name: string): Promise<void> {
  const certificate = ["certificate", name, `--namespace=${PULLPASS_NAMESPACE}`];
  const { status } = await kubectl.json<Certificate>("get", ...certificate);
  const conditions = [
    ...(status?.conditions ?? []).filter(({ type }) => type !== "Issuing"),
    {
      type: "Issuing",
      status: "True",
      reason: "ManuallyTriggered",
      message: "a test asked for it",
      lastTransitionTime: new Date().toISOString().replace(/\.\d+/, ""),
    },
  ];
  const patch = `--patch=${JSON.stringify({ status: { conditions } })}`;
  await kubectl.run(["patch", ...certificate, "--subresource=status", "--type=merge", patch]);
}
