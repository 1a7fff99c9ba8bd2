/** Who somebody is to the API server, and what they may do, as they may ask themselves. */
import { getString, isObject } from "../../core/kubernetes.ts";
import type { ApisFor } from "../api.ts";

/**
 * The user's name as the API server has it.
 *
 * @throws KubeApiError 401 for a token that it does not accept
 */
export async function whoAmI(apisFor: ApisFor): Promise<string> {
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const review: unknown = await apisFor("high").authentication.createSelfSubjectReview({ body });
  const status = isObject(review) ? review["status"] : undefined;
  return getString(isObject(status) ? status["userInfo"] : undefined, "username") ?? "";
}

export interface ResourceAttributes {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  /** Absent: in all of them, or for what has none. */
  readonly namespace?: string;
}

export async function mayI(apisFor: ApisFor, resourceAttributes: ResourceAttributes): Promise<boolean> {
  const body = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes },
  };
  const { status } = await apisFor("high").authorization.createSelfSubjectAccessReview({ body });
  return status?.allowed === true;
}
