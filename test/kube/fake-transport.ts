/** A transport over answers that a test makes up: for what a real API server cannot be made to say. */
import { isObject, type JsonObject } from "../../src/core/kubernetes.ts";
import { createApis, type ApisFor } from "../../src/kube/api.ts";
import type { KubeRequest } from "../../src/kube/http-request.ts";
import type { Transport } from "../../src/kube/transport.ts";

/** Bodies are objects again, whoever sent them. */
export function fakeTransport(
  answer: (request: KubeRequest) => JsonObject | Promise<JsonObject>,
): Pick<Transport, "send" | "request"> {
  const request = async (sent: KubeRequest): Promise<JsonObject> => {
    const body: unknown = typeof sent.body === "string" ? JSON.parse(sent.body) : sent.body;
    return answer(isObject(body) || Array.isArray(body) ? { ...sent, body } : sent);
  };
  return { request, send: async (sent) => JSON.stringify(await request(sent)) };
}

export function fakeApis(answer: (request: KubeRequest) => JsonObject | Promise<JsonObject>): ApisFor {
  return createApis(fakeTransport(answer));
}
