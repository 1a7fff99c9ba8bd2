import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "./cluster.ts";

/** Makes the API server write every request of Pullpass to its log. */
export const AUDIT_FLAGS: readonly string[] = [
  `--audit-policy-file=${join(import.meta.dirname, "audit-policy.yaml")}`,
  "--audit-log-path=-",
];

/** A request as the API server saw it. */
export interface AuditedRequest {
  /** As RBAC names it: a list and a watch are other things than a get. */
  readonly verb: string;
  readonly apiGroup: string;
  /** With its subresource, as `clusterregistries/status`. */
  readonly resource: string;
  /** Empty for a request about the whole cluster. */
  readonly namespace: string;
  /** Empty for a collection. */
  readonly name: string;
  /** Of HTTP. */
  readonly status: number;
  /** Unix time, in milliseconds. */
  readonly at: number;
}

interface AuditEvent {
  readonly kind?: string;
  readonly stage?: string;
  readonly verb: string;
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly requestReceivedTimestamp: string;
}

/** Every request of Pullpass so far, oldest first; one that is under way is not among them, but for watches. */
export async function auditedRequests(
  cluster: Pick<Cluster, "apiServerLog">,
): Promise<readonly AuditedRequest[]> {
  const lines = (await readFile(cluster.apiServerLog, "utf8")).split("\n");
  return lines.flatMap((line) => {
    if (!line.startsWith('{"kind":"Event"')) return [];
    const { verb, stage, objectRef, responseStatus, requestReceivedTimestamp } = JSON.parse(
      line,
    ) as AuditEvent;
    // A watch is there as it begins, and again as it ends.
    if (verb === "watch" && stage === "ResponseComplete" && responseStatus?.code === 200) return [];
    const { apiGroup = "", namespace = "", name = "", subresource } = objectRef ?? {};
    const resource = [objectRef?.resource ?? "", ...(subresource === undefined ? [] : [subresource])].join(
      "/",
    );
    const at = Date.parse(requestReceivedTimestamp);
    return [{ verb, apiGroup, resource, namespace, name, status: responseStatus?.code ?? 0, at }];
  });
}

const WRITING_VERBS: ReadonlySet<string> = new Set(["create", "update", "patch", "delete"]);

/** Writes of Pullpass that came true, as `create secrets team-a/pullpass-hub`; those of its Lease do not count. */
export async function auditedWrites(
  cluster: Pick<Cluster, "apiServerLog">,
  namespace?: string,
): Promise<readonly string[]> {
  const writes = (await auditedRequests(cluster)).filter(
    (request) =>
      WRITING_VERBS.has(request.verb) &&
      request.status < 300 &&
      (request.resource === "secrets" || request.resource === "serviceaccounts") &&
      (namespace === undefined || request.namespace === namespace),
  );
  return writes.map((request) => `${request.verb} ${request.resource} ${request.namespace}/${request.name}`);
}
