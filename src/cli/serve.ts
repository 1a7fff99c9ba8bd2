/** `pullpass serve`: flags in, and what is to be served out. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { InvalidArgumentError, Option, type Command } from "commander";
import type { Environment } from "../config/credentials.ts";
import { HEAL_LABEL, MANAGER } from "../core/labels.ts";
import type { ListenAddress } from "../http/server.ts";
import { RENEWAL_TIMING, type RenewalTiming } from "../tls/plan-renewal.ts";
import { PROGRAM_DIRECTORY_OPTION, UsageError } from "./program-io.ts";
import type { Mode } from "../core/mode.ts";
import type { HealMode } from "../serve/heal.ts";
import type { ServedCluster, ServeOptions } from "../serve/serve.ts";

interface ServeFlags {
  readonly config: readonly string[];
  readonly listen: ListenAddress;
  readonly adminListen: ListenAddress;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsSelfSigned?: true;
  readonly tlsSecret: string;
  readonly webhookName?: string;
  readonly serviceName: string;
  readonly standalone?: true;
  readonly credentialProviderBinDir?: string;
  readonly shutdownDelay: number;
  readonly kubeconfig?: string;
  readonly namespace?: string;
  readonly kubeApiQps?: number;
  readonly kubeApiBurst: number;
  readonly mode: Mode;
  readonly excludeNamespace: readonly string[];
  readonly heal?: HealMode;
  readonly concurrency: number;
  readonly resyncPeriod: number;
  readonly renewalTiming: RenewalTiming;
}

/** Adds the flags and what they do, but for `--config`, which all commands have. */
export function serveCommand(command: Command, environment: Environment): Command {
  addServerOptions(command.description("run the webhook and the replicator"));
  addClusterOptions(command);
  addInjectionOptions(command);
  return command
    .option("--concurrency <number>", "namespaces that are worked on at once", positive, 8)
    .addOption(
      // Tests of renewals cannot wait for months.
      new Option("--renewal-timing <json>", "members of RenewalTiming, in milliseconds")
        .argParser((json): RenewalTiming => ({ ...RENEWAL_TIMING, ...(JSON.parse(json) as object) }))
        .default(RENEWAL_TIMING)
        .hideHelp(),
    )
    .option("--resync-period <minutes>", "interval between full relists", positive, 30)
    .action((flags: ServeFlags) => runServe(flags, environment));
}

function addServerOptions(command: Command): void {
  command
    .addOption(addressOption("--listen", "where reviews are answered, over HTTPS", ":8443"))
    .addOption(
      addressOption("--admin-listen", "where /healthz, /readyz and /metrics are, over HTTP", ":8080"),
    )
    .option("--tls-cert <file>", "serving certificate with its chain, PEM; a change is taken over")
    .option("--tls-key <file>", "its key, PEM")
    .option("--tls-self-signed", "make a certificate on the spot, for a machine without a cluster")
    .option(
      "--tls-secret <name>",
      "where Pullpass keeps its own certificates, if no other --tls flag is given",
      "pullpass-tls",
    )
    .option(
      "--webhook-name <name>",
      "the MutatingWebhookConfiguration that has to trust the certificate before this replica is ready; " +
        `default: ${MANAGER} for Pullpass's own certificates, none for files`,
    )
    .option("--service-name <name>", "the Service that they are for", "pullpass");
}

function addClusterOptions(command: Command): void {
  command
    .option(
      "--standalone",
      "ask no Kubernetes API: every namespace counts as opted in, nothing is replicated",
    )
    .option(...PROGRAM_DIRECTORY_OPTION)
    .option(
      "--shutdown-delay <seconds>",
      "how long to go on after SIGTERM, until endpoints have changed everywhere",
      seconds,
      5,
    )
    .option(
      "--kubeconfig <file>",
      "how the API server is reached; default: as the pod that this is, or as kubectl does",
    )
    .option(
      "--namespace <name>",
      "where Pullpass runs: its Lease, its certificate, and Secrets named without a namespace; " +
        "default: the namespace of the pod, or pullpass outside of a pod",
    )
    .option(
      "--kube-api-qps <number>",
      "requests to the API server per second, over time; default: as many as it accepts",
      positive,
    )
    .option(
      "--kube-api-burst <number>",
      "with --kube-api-qps: how many at once after a quiet time",
      positive,
      100,
    );
}

function addInjectionOptions(command: Command): void {
  command
    .addOption(
      new Option(
        "--mode <mode>",
        "what gives pods their pull secrets: the webhook; a MutatingAdmissionPolicy, which Pullpass keeps up to date and " +
          "which needs Kubernetes 1.36; or the policy, and the webhook what builders need",
      )
        .choices(["webhook", "policy", "policy+webhook"] satisfies readonly Mode[])
        .default("webhook"),
    )
    .option(
      "--exclude-namespace <name>",
      "with a policy: leave the pods of this namespace alone, as those of kube-system and of Pullpass's own; again for more",
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .addOption(
      new Option(
        "--heal [mode]",
        `evict pods that cannot pull and would be given what they lack, in namespaces with the label ${HEAL_LABEL}=enabled; ` +
          "dry-run only logs them",
      )
        .choices(["on", "dry-run"])
        .preset("on"),
    );
}

async function runServe(flags: ServeFlags, environment: Environment): Promise<void> {
  const tls = certificateFlags(flags);
  const cluster = flags.standalone === true ? undefined : await clusterFlags(flags, environment);
  // Loaded only here: the other commands need no server.
  const { serve } = await import("../serve/serve.ts");
  await serve({
    configPaths: flags.config,
    listen: flags.listen,
    adminListen: flags.adminListen,
    tls,
    shutdownDelayMs: flags.shutdownDelay * 1000,
    cluster,
    environment,
  });
}

async function clusterFlags(flags: ServeFlags, environment: Environment): Promise<ServedCluster> {
  // Loaded only here: without a cluster nothing of it is needed.
  const { connect, ownNamespace } = await import("./connect.ts");
  const { kubeconfig, kubeApiQps: perSecond, kubeApiBurst: burst, concurrency } = flags;
  const connection = connect(kubeconfig, environment);
  const { POD_NAME: podName, POD_UID: uid } = environment;
  const { name: namespace, from: namespaceFrom } = ownNamespace(flags, environment, connection);
  const pod =
    podName === undefined ? undefined : { namespace, name: podName, ...(uid !== undefined && { uid }) };
  return {
    connection,
    namespace,
    namespaceFrom,
    identity: `${podName ?? hostname()}_${randomUUID()}`,
    pod,
    requestLimit: perSecond === undefined ? undefined : { perSecond, burst },
    concurrency,
    mode: flags.mode,
    excludedNamespaces: flags.excludeNamespace,
    heal: flags.heal,
    programDirectory: flags.credentialProviderBinDir,
    informerTimings: { relistIntervalMs: flags.resyncPeriod * 60_000 },
  };
}

/*
 * --tls-cert and --tls-key | --tls-self-signed | --standalone | certificates
 * neither                  | no                | no           | self-managed
 * neither                  | no                | yes          | wrong: there is no cluster to keep them in
 * neither                  | yes               |              | one that is made on the spot
 * both                     | no                |              | the files
 * both                     | yes               |              | wrong
 * one of them              |                   |              | wrong
 */
function certificateFlags(flags: ServeFlags): ServeOptions["tls"] {
  const {
    renewalTiming: timing,
    tlsCert,
    tlsKey,
    tlsSelfSigned = false,
    standalone = false,
    webhookName,
  } = flags;
  if (webhookName !== undefined && (standalone || tlsSelfSigned))
    throw new UsageError("--webhook-name cannot be used with --standalone or --tls-self-signed");
  if (flags.mode !== "webhook" && standalone)
    throw new UsageError("--standalone has no cluster to keep a policy in");
  const hasNoFiles = tlsCert === undefined && tlsKey === undefined;
  if (hasNoFiles && tlsSelfSigned) return "self-signed";
  if (hasNoFiles && !standalone) {
    const { tlsSecret: secretName, serviceName } = flags;
    return { secretName, webhookName: webhookName ?? MANAGER, serviceName, timing };
  }
  if (tlsSelfSigned || tlsCert === undefined || tlsKey === undefined) {
    throw new UsageError(
      `serve${standalone ? " --standalone" : ""} needs both --tls-cert and --tls-key, or --tls-self-signed alone`,
    );
  }
  return {
    certificatePath: tlsCert,
    keyPath: tlsKey,
    ...(webhookName === undefined ? {} : { webhookName }),
  };
}

/** `value` is what holds without the flag. */
export function addressOption(flag: string, description: string, value: string): Option {
  return new Option(`${flag} <host:port>`, description)
    .argParser(listenAddress)
    .default(listenAddress(value), value);
}

/** `:8443`, `127.0.0.1:8443`, `[::1]:8443`. */
function listenAddress(value: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new InvalidArgumentError("It has to be HOST:PORT or :PORT.");
  const host = match[1] ?? match[2] ?? "";
  return { host: host === "" ? undefined : host, port };
}

function positive(value: string): number {
  const number = Number(value);
  if (!/^\d+(?:\.\d+)?$/.test(value) || number < 1 || number > 1_000_000)
    throw new InvalidArgumentError("It has to be a number from 1 to 1000000.");
  return number;
}

function seconds(value: string): number {
  const number = Number(value);
  if (!/^\d+(?:\.\d+)?$/.test(value) || number > 3600)
    throw new InvalidArgumentError("It has to be seconds, 0 to 3600.");
  return number;
}
