import type { JsonObject } from "../../src/core/kubernetes.ts";
import { KubeApiError, type KubeClient, type KubeRequest } from "../../src/kube/client.ts";

export interface LeaseStore extends Pick<KubeClient, "request" | "watch" | "close"> {
  /** Undefined if there is none. */
  spec(): JsonObject | undefined;
  /** Every request from now on goes through it: for faults, which a real API server shows only by chance. */
  meddle: (request: KubeRequest, answer: () => JsonObject) => Promise<JsonObject>;
}

/** One Lease, taken and refused as a real API server does, and a watch that hears nothing. */
export function createLeaseStore(): LeaseStore {
  let version = 0;
  let stored: JsonObject | undefined;
  const refuse = (status: number, reason: string): never => {
    throw new KubeApiError(status, reason, {}, reason);
  };
  const answer = ({ method, body }: KubeRequest): JsonObject => {
    const sent = body as { readonly metadata: JsonObject; readonly spec: JsonObject };
    if (method === "POST" && stored !== undefined) refuse(409, "AlreadyExists");
    if (method !== "POST" && stored === undefined) refuse(404, "NotFound");
    if (method === "PUT" && sent.metadata["resourceVersion"] !== String(version)) refuse(409, "Conflict");
    if (method === "GET") return stored ?? {};
    version++;
    stored = structuredClone({ ...sent, metadata: { ...sent.metadata, resourceVersion: String(version) } });
    return stored;
  };
  const store: LeaseStore = {
    spec: () => stored?.["spec"] as JsonObject | undefined,
    meddle: (_request, answered) => Promise.resolve().then(answered),
    request: (request) => store.meddle(request, () => answer(request)),
    watch: (_request, _onEvent, signal) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          resolve();
        });
      }),
    close: () => undefined,
  };
  return store;
}
