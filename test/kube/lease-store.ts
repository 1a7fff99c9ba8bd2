import type { JsonObject } from "../../src/core/kubernetes.ts";
import type { ApisFor } from "../../src/kube/api.ts";
import { KubeApiError } from "../../src/kube/errors.ts";
import type { KubeRequest } from "../../src/kube/http-request.ts";
import { fakeApis } from "./fake-transport.ts";

export interface LeaseStore {
  readonly apisFor: ApisFor;
  readonly answer: (request: KubeRequest) => Promise<JsonObject>;
  /** Undefined if there is none. */
  spec(): JsonObject | undefined;
  /** Every request from now on goes through it: for faults, which a real API server shows only by chance. */
  meddle: (request: KubeRequest, answer: () => JsonObject) => Promise<JsonObject>;
}

/** One Lease, accepted and refused as by a real API server. */
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
    apisFor: fakeApis((request) => store.answer(request)),
    answer: (request) => store.meddle(request, () => answer(request)),
    spec: () => stored?.["spec"] as JsonObject | undefined,
    meddle: (_request, answered) => Promise.resolve().then(answered),
  };
  return store;
}
