/**
 * Answers reviews.
 *
 * | what is seen                                  | HTTP | answer           | warning | metric `reason`         |
 * | --------------------------------------------- | ---- | ---------------- | ------- | ----------------------- |
 * | wrong method, path, content type; too large   | 4xx  | one line         |         | (http/app)              |
 * | no JSON, no AdmissionReview, no uid           | 400  | one line         |         | (http/app)              |
 * | an operation other than CREATE, a subresource | 200  | allowed          |         | not-a-create, not-a-pod |
 * | another kind than a Pod                       | 200  | allowed          |         | not-a-pod               |
 * | a request or a pod of a shape we do not know  | 200  | allowed          | yes     | unknown-shape           |
 * | a pod's creation                              | 200  | allowed, perhaps | perhaps | of the decision         |
 * |                                               |      | with a patch     |         |                         |
 */
import { skip, SKIP_REASONS, type Decision } from "../core/decision.ts";
import { elementsOf, isObject, textOf, type JsonObject, type Pod } from "../core/kubernetes.ts";
import { asPod } from "../core/pod.ts";
import { decide } from "../core/policy.ts";
import { patchEncoder } from "./patch-encoder.ts";
import type { AdmissionPorts, ReviewHandler } from "./ports.ts";

/** The handler over what is known of the cluster and the configuration. It does not throw, whatever the request holds. */
export function reviewHandler(ports: AdmissionPorts): ReviewHandler {
  const encode = patchEncoder();
  return ({ request }) => {
    const namespace = textOf(request, "namespace") ?? "";
    const pod = asPod(request["object"]);
    const owner = pod === undefined ? undefined : ownerOf(pod);
    const decision = decideRequest(request, pod, namespace, ports);
    const patch = pod !== undefined && decision.kind === "inject" ? encode(pod, decision) : undefined;
    return { answer: { patch, warnings: decision.warnings }, decision, namespace, owner };
  };
}

function decideRequest(
  request: JsonObject,
  pod: Pod | undefined,
  namespace: string,
  ports: AdmissionPorts,
): Decision {
  const { operation, kind, subResource } = request;
  if (typeof operation !== "string" || !isObject(kind)) return unknownShape();
  if (operation !== "CREATE") return skip("not-a-create");
  const isPodKind = kind["kind"] === "Pod" && kind["version"] === "v1" && !isNamed(kind["group"]);
  if (!isPodKind || isNamed(subResource)) return skip("not-a-pod");
  if (pod === undefined || namespace === "") return unknownShape();

  const context = {
    namespace: ports.namespace(namespace),
    buildSecret: ports.buildSecret(namespace),
    serviceAccount: ports.serviceAccount(namespace, textOf(pod.spec, "serviceAccountName") ?? "default"),
  };
  return decide(pod, context, ports.registries());
}

function unknownShape(): Decision {
  return skip("unknown-shape", [`pullpass: nothing injected: ${SKIP_REASONS["unknown-shape"]}`]);
}

/** The API server leaves empty texts out, so absent and empty say the same. */
function isNamed(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

function ownerOf(pod: Pod): string | undefined {
  const owners = elementsOf(pod.metadata["ownerReferences"]).filter(isObject);
  const owner = owners.find((candidate) => candidate["controller"] === true);
  const kind = textOf(owner, "kind");
  const name = textOf(owner, "name");
  return kind === undefined || name === undefined ? undefined : `${kind}/${name}`;
}
