import { writeKeyPair, type Authority } from "./certificates.ts";
import type { Cluster } from "./cluster.ts";
import { installPullpass, PULLPASS_NAMESPACE, type Installation } from "./install-pullpass.ts";
import { createService } from "./kubectl.ts";
import { waitUntil } from "../../wait-until.ts";
import {
  awaitWebhooks,
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
    readonly auth?: object;
    readonly use?: readonly string[];
  }[];
  /** As in pullpass.yaml. */
  readonly providers?: readonly object[];
  /** As in Polyaxon's catalogue. */
  readonly connections?: readonly object[];
  readonly serviceAccounts?: { readonly attach: readonly string[] };
  readonly env?: NodeJS.ProcessEnv;
  /** Further flags of `pullpass serve`. */
  readonly flags?: readonly string[];
  /** Needs a cluster with a node. */
  readonly isPod?: boolean;
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

export interface LogLine {
  readonly msg: string;
  readonly pod?: string;
  readonly controller?: string;
  readonly reason?: string;
}

export interface RunningWebhook {
  /** What it runs with, for the commands that work without a cluster. */
  readonly configFile: string;
  /** What other configurations for the same webhook are made from. */
  readonly registration: WebhookConfigurationOptions;
  /** Replaces the serving certificate by one of that authority, and waits until the process has taken it over. */
  swapCertificate(authority: Authority): Promise<void>;
  /** The reviews of the requests in a namespace so far, oldest first; the log is a fraction of a second behind. */
  reviews(namespace: string): Promise<readonly ReviewLine[]>;
  /** Every line of its log. */
  log(): Promise<readonly LogLine[]>;
  /** Writes the configuration; whoever runs takes it over. */
  readonly configure: Installation["configure"];
  /** One more replica of the same installation, which the webhook's Service does not lead to. */
  readonly startReplica: Installation["startReplica"];
  /** Sends SIGTERM and waits for the end of the process, which stays registered. */
  stop(): Promise<void>;
  /** Starts the process again, at the same address. */
  start(): Promise<void>;
}

/** By default it knows the cluster. */
export const IS_STANDALONE = process.env["PULLPASS_WEBHOOK"] === "standalone";

/** Runs `pullpass serve` as a person installs it: behind a Service of its own namespace, and registered. */
export async function startWebhook(cluster: Cluster, options: WebhookOptions): Promise<RunningWebhook> {
  const { kubectl, authority } = cluster;
  const { registries, providers, connections, serviceAccounts, shutdownDelaySeconds = 0 } = options;
  const configuration = { registries, providers, connections, serviceAccounts };
  const installation = await installPullpass(cluster, configuration);
  const namespace = PULLPASS_NAMESPACE;
  const { host, port, dnsNames } = await createService(kubectl, { namespace, name: "pullpass" });
  const writeCertificate = async (issuer: Authority) => {
    const serving = await issuer.issue({ commonName: "pullpass", hosts: dnsNames });
    return writeKeyPair(installation.directory, "serving", serving);
  };
  const replica = await installation.startReplica({
    name: "pullpass",
    host,
    port,
    certificate: await writeCertificate(authority),
    isStandalone: IS_STANDALONE,
    isPod: options.isPod ?? false,
    env: options.env ?? {},
    flags: [`--shutdown-delay=${String(shutdownDelaySeconds)}`, ...(options.flags ?? [])],
  });

  const registration: WebhookConfigurationOptions = {
    service: { namespace, name: "pullpass", port },
    authorityPem: authority.pem,
    failurePolicy: options.failurePolicy ?? "Ignore",
  };
  const register = options.register ?? ((configuration) => configuration);
  await kubectl.apply(register(webhookConfiguration(registration)));
  await awaitWebhooks(kubectl);
  const logged = async (message: string) => (await replica.log()).filter(({ msg }) => msg === message);
  return {
    configFile: installation.configFile,
    registration,
    async reviews(ofNamespace) {
      const reviews = (await logged("review")) as unknown as readonly ReviewLine[];
      return reviews.filter((review) => review.namespace === ofNamespace);
    },
    async swapCertificate(issuer) {
      const before = (await logged("certificate swapped")).length;
      await writeCertificate(issuer);
      await waitUntil(
        "the certificate to be swapped",
        async () => (await logged("certificate swapped")).length > before,
      );
    },
    log: async () => await replica.log(),
    configure: installation.configure.bind(installation),
    startReplica: installation.startReplica.bind(installation),
    stop: () => replica.stop(),
    start: () => replica.start(),
  };
}
