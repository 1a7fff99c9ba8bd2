/** client-node's typed APIs, on our transport. */
import {
  AdmissionregistrationV1Api,
  AuthenticationV1Api,
  AuthorizationV1Api,
  BatchV1Api,
  CoordinationV1Api,
  CoreV1Api,
  createConfiguration,
  CustomObjectsApi,
  PolicyV1Api,
  ResponseContext,
  ServerConfiguration,
  wrapHttpLibrary,
  type Configuration,
  type RequestContext,
} from "@kubernetes/client-node";
import type { Priority } from "../replicator/ports.ts";
import type { KubeRequest } from "./http-request.ts";
import type { Transport } from "./transport.ts";

export interface KubeApis {
  readonly core: CoreV1Api;
  readonly coordination: CoordinationV1Api;
  readonly admissionRegistration: AdmissionregistrationV1Api;
  readonly customObjects: CustomObjectsApi;
  readonly batch: BatchV1Api;
  readonly policy: PolicyV1Api;
  readonly authentication: AuthenticationV1Api;
  readonly authorization: AuthorizationV1Api;
}

/** The APIs whose requests have that priority; without one they do not wait for the client's rate. */
export type ApisFor = (priority?: Priority) => KubeApis;

/** Taken when a write is asked for; what it returns is asked just before the write is sent. */
export type WriteGuard = () => () => boolean;

/** Their methods throw what the transport throws, and no ApiException, which would quote the answer's body. */
export function createApis(transport: Pick<Transport, "send">, guard?: WriteGuard): ApisFor {
  const create = (priority?: Priority): KubeApis => {
    const configuration = configurationFor(async (context) => {
      const request = requestOf(context, priority);
      const mayBeSent = request.method === "GET" ? undefined : guard?.();
      return transport.send(mayBeSent === undefined ? request : { ...request, mayBeSent });
    });
    return {
      core: new CoreV1Api(configuration),
      coordination: new CoordinationV1Api(configuration),
      admissionRegistration: new AdmissionregistrationV1Api(configuration),
      customObjects: new CustomObjectsApi(configuration),
      batch: new BatchV1Api(configuration),
      policy: new PolicyV1Api(configuration),
      authentication: new AuthenticationV1Api(configuration),
      authorization: new AuthorizationV1Api(configuration),
    };
  };
  const byPriority = { high: create("high"), low: create("low"), none: create() };
  return (priority) => byPriority[priority ?? "none"];
}

function configurationFor(send: (request: RequestContext) => Promise<string>): Configuration {
  return createConfiguration({
    // The transport knows the server; the generated code wants an absolute URL.
    baseServer: new ServerConfiguration("https://kubernetes", {}),
    httpApi: wrapHttpLibrary({
      async send(request) {
        const text = await send(request);
        const body = {
          text: () => Promise.resolve(text),
          binary: () => Promise.resolve(Buffer.from(text)),
          stream: () => null,
        };
        // Every status of 400 and above was thrown, and the generated code treats all others alike.
        return new ResponseContext(200, { "content-type": "application/json" }, body);
      },
    }),
  });
}

function requestOf(context: RequestContext, priority: Priority | undefined): KubeRequest {
  const { pathname, searchParams } = new URL(context.getUrl());
  const { "Content-Type": contentType, Accept: accept } = context.getHeaders();
  const body: unknown = context.getBody();
  return {
    method: context.getHttpMethod() as KubeRequest["method"],
    path: pathname,
    query: Object.fromEntries(searchParams),
    ...(body !== undefined && { body }),
    ...(contentType !== undefined && { contentType }),
    // The generated code asks for several types at once, and nobody answers with another one than JSON.
    ...(accept?.startsWith("application/json;as=") === true && { accept }),
    ...(priority !== undefined && { priority }),
  };
}
