/** Tells the API server's refusals apart. */
import { asArray, isObject, getString } from "../core/kubernetes.ts";
import { KubeApiError } from "./client.ts";

export function hasStatus(error: unknown, ...statuses: readonly number[]): error is KubeApiError {
  return error instanceof KubeApiError && statuses.includes(error.status);
}

/** What the Status names as the refusal's causes: `{reason, message, field}`. */
export function causesOf({ body }: KubeApiError): readonly unknown[] {
  return isObject(body["details"]) ? asArray(body["details"]["causes"]) : [];
}

export function hasCause(error: KubeApiError, key: "reason" | "field", value: string): boolean {
  return causesOf(error).some((cause) => getString(cause, key) === value);
}
