/** Waits for the API server at the start, and finds out whether it lets us read what we need. */
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../core/error-message.ts";
import { asArray } from "../core/kubernetes.ts";
import { WEBHOOK_CONFIGURATIONS_PATH } from "../kube/resources/certificates.ts";
import { KubeApiError, unlessMissing } from "../kube/errors.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { createApis } from "../kube/api.ts";
import { metadataAccept } from "../kube/list.ts";
import { RequestRate } from "../kube/request-rate.ts";
import { Transport } from "../kube/transport.ts";

export interface WaitOptions {
  readonly connection: KubeConnection;
  /** Where Pullpass runs. */
  readonly namespace: string;
  /** In that namespace. */
  readonly leaseName: string;
  /** The MutatingWebhookConfiguration, if one is watched. */
  readonly webhookName: string | undefined;
  /** Called with one line whenever there is another reason to wait. */
  readonly onWaiting: (reason: string) => void;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/** The API server, or what is needed to ask it, says no, and it will not say anything else later. */
export class ClusterRefusedError extends Error {
  override readonly name = "ClusterRefusedError";
}

/** An API server that has just started refuses credentials and rights until it has read its own rules: for a moment. */
const MAX_REFUSALS = 3;
const PAUSE_MS = 1_000;
/** Somebody waits for a word about it. What hangs is asked again. */
const TIMEOUT_MS = 5_000;

/** https://nodejs.org/api/tls.html#x509-certificate-error-codes; the last two are Node's own. */
const MISTRUST =
  /^(?:UNABLE_TO_\w+|CERT_\w+|CRL_\w+|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|INVALID_(?:CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|ERR_TLS_CERT_ALTNAME_INVALID)$/;

type Finding =
  | { readonly kind: "reached" }
  | { readonly kind: "waiting"; readonly reason: string }
  | { readonly kind: "refused"; readonly error: ClusterRefusedError };

/**
 * | what happens                                            | finding |
 * | ------------------------------------------------------- | ------- |
 * | a token file is missing, or a kubeconfig's plugin fails | refused |
 * | that plugin does not end                                | waiting |
 * | we do not trust the API server's certificate            | refused |
 * | no connection, no answer in time                        | waiting |
 * | 408, 429, 500 and above                                 | waiting |
 * | 400 and above otherwise                                 | refused |
 * | our namespace does not exist                            | refused |
 * | everything is answered                                  | reached |
 *
 * @throws ClusterRefusedError, with one line that says what to change, after three refusals in a row.
 */
export async function waitForApiServer(options: WaitOptions): Promise<void> {
  const { connection, onWaiting, signal } = options;
  const rate = new RequestRate({ concurrency: 8 });
  const transport = new Transport({ connection, rate, timeoutMs: TIMEOUT_MS });
  const close = (): void => {
    transport.close();
  };
  signal.addEventListener("abort", close);
  const isStopped = (): boolean => signal.aborted;
  try {
    let lastReason: string | undefined;
    for (let refusals = 0; !signal.aborted;) {
      const finding = await askForAll(transport, options);
      if (finding.kind === "reached") return;
      refusals = finding.kind === "refused" ? refusals + 1 : 0;
      if (finding.kind === "refused" && refusals === MAX_REFUSALS) throw finding.error;
      const reason = finding.kind === "waiting" ? finding.reason : undefined;
      if (reason !== undefined && reason !== lastReason && !isStopped()) onWaiting(reason);
      lastReason = reason;
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    close();
  }
}

async function askForAll(transport: Transport, options: WaitOptions): Promise<Finding> {
  const { connection, namespace, leaseName, webhookName } = options;
  const server = connection.server.href.replace(/\/$/, "");
  const accept = metadataAccept("PartialObjectMetadataList");
  const list = (path: string, query: Readonly<Record<string, string>> = {}) =>
    transport.request({ method: "GET", path, query: { limit: "1", ...query }, accept });
  const named = (name: string) => ({ fieldSelector: `metadata.name=${name}` });

  const access = await findAccess(connection);
  if (access.kind !== "reached") return access;
  try {
    const [found] = await Promise.all([
      list("/api/v1/namespaces", named(namespace)),
      list("/api/v1/secrets"),
      list("/api/v1/serviceaccounts"),
      webhookName === undefined ? undefined : list(WEBHOOK_CONFIGURATIONS_PATH, named(webhookName)),
      unlessMissing(createApis(transport)().coordination.readNamespacedLease({ namespace, name: leaseName })),
    ]);
    if (asArray(found["items"]).length > 0) return { kind: "reached" };
    return refused(
      `the namespace ${namespace} does not exist in the cluster at ${server}: create it, or name the one that Pullpass runs in with --namespace`,
    );
  } catch (error) {
    return findingOf(error, server);
  }
}

async function findAccess(connection: WaitOptions["connection"]): Promise<Finding> {
  const late = new AbortController();
  const tooLate = sleep(TIMEOUT_MS, "too late", { signal: late.signal }).catch(() => "too late");
  try {
    if ((await Promise.race([connection.access(), tooLate])) !== "too late") return { kind: "reached" };
    return { kind: "waiting", reason: "the kubeconfig's credential plugin has not answered yet" };
  } catch (error) {
    return refused(
      `${oneLine(error)}: Pullpass needs a ServiceAccount's token or a user of a kubeconfig`,
      error,
    );
  } finally {
    late.abort();
  }
}

function findingOf(error: unknown, server: string): Finding {
  if (!(error instanceof KubeApiError)) {
    if (!isMistrust(error))
      return { kind: "waiting", reason: `the API server ${server} is not reached: ${oneLine(error)}` };
    return refused(
      `the certificate of the API server ${server} is not trusted: ${oneLine(error)}: correct the server or its certificate authority in the kubeconfig`,
      error,
    );
  }
  const { status } = error;
  if (status >= 500 || status === 408 || status === 429)
    return { kind: "waiting", reason: `the API server ${server} is not ready: ${oneLine(error)}` };
  const advice =
    status === 401
      ? "renew the token or the certificate that Pullpass logs in with"
      : status === 403
        ? "give Pullpass the rights in deploy/pullpass/templates/rbac.yaml and certificate-rbac.yaml"
        : "check that this is the address of a Kubernetes API server";
  return refused(`the API server ${server} refuses ${oneLine(error)}: ${advice}`, error);
}

function refused(message: string, cause?: unknown): Finding {
  return { kind: "refused", error: new ClusterRefusedError(message, { cause }) };
}

/** What fetched the answer may wrap the system's error. */
function isMistrust(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ("code" in error && MISTRUST.test(String(error.code))) || isMistrust(error.cause);
}

/** Plugins write what they like. */
function oneLine(error: unknown): string {
  return messageOf(error).trim().replaceAll(/\s+/g, " ");
}
