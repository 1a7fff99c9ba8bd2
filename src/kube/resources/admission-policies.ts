/** The MutatingAdmissionPolicy that Pullpass keeps, and its binding. */
import { PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { POLICY_NAME, type AdmissionPolicy } from "../../core/admission-policy/render.ts";
import { MANAGER } from "../../core/labels.ts";
import type { ApisFor } from "../api.ts";
import { isNotFound, KubeNotSentError } from "../errors.ts";

const GROUP_PATH = "/apis/admissionregistration.k8s.io/v1";
export const POLICIES_PATH = `${GROUP_PATH}/mutatingadmissionpolicies`;
export const POLICY_BINDINGS_PATH = `${GROUP_PATH}/mutatingadmissionpolicybindings`;

/** `not-served`: the API server knows no such objects, before Kubernetes 1.36. */
export type PolicyOutcome = "written" | "not-served" | "not-leading";

export interface PolicyWriter {
  /** By server-side apply, which writes nothing where nothing is different. */
  apply(policy: AdmissionPolicy): Promise<PolicyOutcome>;
  /** It is not an error if there are none. */
  remove(): Promise<PolicyOutcome>;
}

export function createPolicyWriter(apisFor: ApisFor): PolicyWriter {
  const apis = (): ReturnType<ApisFor>["admissionRegistration"] => apisFor("high").admissionRegistration;
  const apply = { name: POLICY_NAME, fieldManager: MANAGER, force: true };
  const headers = setHeaderOptions("Content-Type", PatchStrategy.ServerSideApply);
  return {
    // A policy without a binding does nothing, and a binding without a policy refuses pods.
    async apply({ policy, binding }) {
      try {
        await apis().patchMutatingAdmissionPolicy({ ...apply, body: policy }, headers);
        await apis().patchMutatingAdmissionPolicyBinding({ ...apply, body: binding }, headers);
        return "written";
      } catch (error) {
        return outcomeOf(error);
      }
    },

    async remove() {
      try {
        await apis().deleteMutatingAdmissionPolicyBinding({ name: POLICY_NAME }).catch(unlessNotFound);
        await apis().deleteMutatingAdmissionPolicy({ name: POLICY_NAME }).catch(unlessNotFound);
        return "written";
      } catch (error) {
        return outcomeOf(error);
      }
    },
  };
}

function unlessNotFound(error: unknown): void {
  if (!isNotFound(error)) throw error;
}

function outcomeOf(error: unknown): PolicyOutcome {
  if (error instanceof KubeNotSentError) return "not-leading";
  if (isNotFound(error)) return "not-served";
  throw error;
}
