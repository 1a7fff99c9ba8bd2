/** The smallest Node webhook, behind a Service of its own and registered. */
import { spawn } from "node:child_process";
import path from "node:path";
import { writeKeyPair } from "../cluster/harness/certificates.ts";
import type { Cluster } from "../cluster/harness/cluster.ts";
import { createNamespace, createService } from "../cluster/harness/kubectl.ts";
import { webhookConfiguration } from "../cluster/harness/webhook-configuration.ts";

const NAME = "smallest";

/** Runs with the Node of this process, as Pullpass does here. It answers with `patch`, whatever the pod, in the namespaces with `label`. Returns what stops it. */
export async function startSmallestWebhook(
  { kubectl, authority, network }: Cluster,
  label: Readonly<Record<string, string>>,
  patch: readonly object[],
): Promise<() => void> {
  const namespace = `${NAME}-webhook`;
  await createNamespace(kubectl, namespace);
  const service = await createService(kubectl, { namespace, name: NAME });
  const serving = await authority.issue({ commonName: NAME, hosts: service.dnsNames });
  const { certificateFile, keyFile } = await writeKeyPair(network.directory, NAME, serving);
  const server = spawn(
    process.execPath,
    [
      path.join(import.meta.dirname, "baseline-server.ts"),
      ...[
        certificateFile,
        keyFile,
        service.port.toString(),
        service.host,
        Buffer.from(JSON.stringify(patch)).toString("base64"),
      ],
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const configuration = webhookConfiguration({
    name: NAME,
    service: { namespace, name: NAME, port: service.port },
    authorityPem: authority.pem,
  });
  const [webhook] = configuration.webhooks;
  await kubectl.apply({
    ...configuration,
    webhooks: [{ ...webhook, namespaceSelector: { matchLabels: label } }],
  });
  return () => {
    server.kill("SIGKILL");
  };
}
