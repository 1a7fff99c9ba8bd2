import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { awaitWebhooks } from "./await-webhooks.ts";
import { writeKeyPair, type Authority } from "./certificates.ts";
import type { Cluster } from "./cluster.ts";
import { createNamespace } from "./create-namespace.ts";
import { createService } from "./create-service.ts";
import { runDaemon, type Daemon } from "./run-daemon.ts";
import { sendRequest } from "./send-request.ts";
import { waitUntil } from "./wait-until.ts";
import {
  webhookConfiguration,
  type WebhookConfiguration,
  type WebhookConfigurationOptions,
} from "./webhook-configuration.ts";

export interface WebhookOptions {
  /** As in pullpass.yaml. */
  readonly registries: readonly {
    readonly name: string;
    readonly address: string;
    readonly secretName?: string;
  }[];
  readonly failurePolicy?: "Ignore" | "Fail";
  /** How long it goes on after SIGTERM. Default: not at all, so that tests end soon. */
  readonly shutdownDelaySeconds?: number;
  /** Changes the configuration that it is registered with. */
  readonly register?: (configuration: WebhookConfiguration) => WebhookConfiguration;
}

/** What the webhook wrote to its log about one review. */
export interface ReviewLine {
  readonly namespace: string;
  readonly owner?: string;
  readonly decision: "inject" | "skip";
  readonly registries?: readonly string[];
  readonly reason?: string;
}

/** Only lines with the message `review` have what a review has. */
interface LogLine extends ReviewLine {
  readonly msg: string;
}

export interface RunningWebhook {
  /** What other configurations for the same webhook are made from. */
  readonly registration: WebhookConfigurationOptions;
  /** Replaces the serving certificate by one of that authority, and waits until the process has taken it over. */
  swapCertificate(authority: Authority): Promise<void>;
  /** The reviews of the requests in a namespace so far, oldest first; the log is a fraction of a second behind. */
  reviews(namespace: string): Promise<readonly ReviewLine[]>;
  /** Sends SIGTERM and waits for the end of the process, which stays registered. */
  stop(): Promise<void>;
  /** Starts the process again, at the same address. */
  start(): Promise<void>;
}

const PROGRAM = join(import.meta.dirname, "..", "..", "dist", "main.js");
const NAMESPACE = "pullpass";
const ADMIN_PORT = 8080;

/** Runs `pullpass serve` as a person installs it: behind a Service of its own namespace, and registered. */
export async function startWebhook(cluster: Cluster, options: WebhookOptions): Promise<RunningWebhook> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: run npm run build`);
  const { kubectl, authority } = cluster;
  const directory = join(cluster.network.directory, "webhook");
  await createNamespace(kubectl, NAMESPACE);
  const service = await createService(kubectl, { namespace: NAMESPACE, name: "pullpass" });
  await mkdir(directory, { recursive: true });
  const configFile = join(directory, "pullpass.yaml");
  // JSON is YAML.
  await writeFile(configFile, JSON.stringify({ registries: options.registries }));
  const writeCertificate = async (issuer: Authority) => {
    const serving = await issuer.issue({ commonName: "pullpass", hosts: service.dnsNames });
    return writeKeyPair(directory, "serving", serving);
  };
  const { certificateFile, keyFile } = await writeCertificate(authority);

  const readyUrl = `http://${service.host}:${String(ADMIN_PORT)}/readyz`;
  const run = () =>
    runDaemon({
      name: "pullpass",
      command: process.execPath,
      args: [
        ...[PROGRAM, "serve", "--standalone", `--config=${configFile}`],
        ...[`--listen=${service.host}:${String(service.port)}`],
        ...[`--admin-listen=${service.host}:${String(ADMIN_PORT)}`],
        ...[`--tls-cert=${certificateFile}`, `--tls-key=${keyFile}`],
        `--shutdown-delay=${String(options.shutdownDelaySeconds ?? 0)}`,
      ],
      logDirectory: join(cluster.network.directory, "log"),
      isReady: async () => (await sendRequest(readyUrl)).status === 200,
    });
  let daemon: Daemon = await run();

  const registration: WebhookConfigurationOptions = {
    service: { namespace: NAMESPACE, name: "pullpass", port: service.port },
    authorityPem: authority.pem,
    failurePolicy: options.failurePolicy ?? "Ignore",
  };
  const register = options.register ?? ((configuration) => configuration);
  await kubectl.apply(register(webhookConfiguration(registration)));
  await awaitWebhooks(kubectl);
  const logged = async (message: string) =>
    (await readLog(daemon.logFile)).filter(({ msg }) => msg === message);
  return {
    registration,
    async reviews(namespace) {
      return (await logged("review")).filter((review) => review.namespace === namespace);
    },
    async swapCertificate(issuer) {
      const before = (await logged("certificate swapped")).length;
      await writeCertificate(issuer);
      await waitUntil(
        "the certificate to be swapped",
        async () => (await logged("certificate swapped")).length > before,
      );
    },
    stop: () => daemon.stop(),
    async start() {
      daemon = await run();
    },
  };
}

async function readLog(logFile: string): Promise<readonly LogLine[]> {
  const lines = (await readFile(logFile, "utf8")).split("\n");
  // The last one may not be whole yet.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as LogLine);
}
