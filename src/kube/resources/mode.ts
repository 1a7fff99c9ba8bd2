/** Reads what gives pods their pull secrets in a cluster, with the rights of whoever asks. */
import { POLICY_NAME } from "../../core/admission-policy/render.ts";
import { MANAGER } from "../../core/labels.ts";
import { findMode, type Mode, type Presence } from "../../core/mode.ts";
import type { ApisFor } from "../api.ts";
import { KubeApiError, unlessMissing } from "../errors.ts";

export interface ReadMode {
  readonly mode: Mode;
  /** What was assumed, and what could not be read. */
  readonly notes: readonly string[];
}

/** @throws KubeUnreachableError */
export async function readMode(apisFor: ApisFor): Promise<ReadMode> {
  const { admissionRegistration: api } = apisFor("low");
  const refusals: string[] = [];
  const presenceOf = async (read: Promise<unknown>): Promise<Presence> => {
    try {
      // Or this API server knows no policies.
      return (await unlessMissing(read)) === undefined ? "missing" : "there";
    } catch (error) {
      if (!(error instanceof KubeApiError)) throw error;
      refusals.push(error.message);
      return "not-readable";
    }
  };
  const policy = await presenceOf(api.readMutatingAdmissionPolicy({ name: POLICY_NAME }));
  const webhook = await presenceOf(api.readMutatingWebhookConfiguration({ name: MANAGER }));
  const { mode, assumption } = findMode(policy, webhook);
  return { mode, notes: assumption === undefined ? [] : [assumption, ...refusals] };
}
