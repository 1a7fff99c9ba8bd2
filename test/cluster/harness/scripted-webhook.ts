import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { Authority } from "./certificates.ts";
import { createNamespace, createService, type Kubectl, type ServiceAddress } from "./kubectl.ts";
import type { PodObject } from "./pods.ts";

export interface Review {
  readonly request: { readonly uid: string; readonly object: PodObject };
}

export type Answerer = (response: ServerResponse, review: Review) => void;

export interface ScriptedWebhook {
  readonly service: ServiceAddress;
  stop(): Promise<void>;
}

/** A webhook that does what a test says, by the path that it is called at. */
export async function startScriptedWebhook(
  { kubectl, authority }: { readonly kubectl: Kubectl; readonly authority: Authority },
  name: string,
  paths: Readonly<Record<string, Answerer>>,
): Promise<ScriptedWebhook> {
  await createNamespace(kubectl, name);
  const service = await createService(kubectl, { namespace: name, name });
  const serving = await authority.issue({ commonName: name, hosts: service.dnsNames });
  const server = createServer({ cert: serving.certificatePem, key: serving.keyPem }, (request, response) => {
    const { pathname } = new URL(request.url ?? "", "https://webhook");
    void readReview(request).then((review) => paths[pathname]?.(response, review));
  });
  await once(server.listen(service.port, service.host), "listening");
  return {
    service,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Allows what the review asks, and adds a patch where one is given. */
export function allow(response: ServerResponse, uid: string, patch?: readonly object[]): void {
  const patched =
    patch === undefined
      ? {}
      : { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") };
  response.setHeader("content-type", "application/json");
  response.end(
    JSON.stringify({
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      response: { uid, allowed: true, ...patched },
    }),
  );
}

async function readReview(request: IncomingMessage): Promise<Review> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString("utf8")) as Review;
}
