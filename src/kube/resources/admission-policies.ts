/** The MutatingAdmissionPolicy that Pullpass keeps, and its binding. */
import { PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { POLICY_NAME, type AdmissionPolicy } from "../../core/admission-policy/render.ts";
import { MANAGER } from "../../core/labels.ts";
import type { ApisFor } from "../api.ts";
import { isConflict, isNotFound, KubeNotSentError, unlessMissing } from "../errors.ts";

const GROUP_PATH = "/apis/admissionregistration.k8s.io/v1";
export const POLICIES_PATH = `${GROUP_PATH}/mutatingadmissionpolicies`;
export const POLICY_BINDINGS_PATH = `${GROUP_PATH}/mutatingadmissionpolicybindings`;

/** `not-served`: the API server knows no such objects, before Kubernetes 1.36. */
export type PolicyOutcome = "written" | "not-served" | "not-leading";

export interface PolicyWriter {
  /** By server-side apply, which writes nothing where nothing is different. */
  apply(policy: AdmissionPolicy): Promise<PolicyOutcome>;
  /** What was found alone: whoever wrote it again since then wants it. It is not an error if it is gone. */
  remove(found: FoundPolicy): Promise<PolicyOutcome>;
}

/** By uid; undefined if there is none. */
export interface FoundPolicy {
  readonly policy: string | undefined;
  readonly binding: string | undefined;
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

    async remove({ policy, binding }) {
      const only = (uid: string) => ({ name: POLICY_NAME, body: { preconditions: { uid } } });
      try {
        if (binding !== undefined)
          await apis().deleteMutatingAdmissionPolicyBinding(only(binding)).catch(unlessGone);
        if (policy !== undefined) await apis().deleteMutatingAdmissionPolicy(only(policy)).catch(unlessGone);
        return "written";
      } catch (error) {
        return outcomeOf(error);
      }
    },
  };
}

/** What is there now. It takes the right to delete and no other: the deletion is not carried out. */
export async function findPolicy(apisFor: ApisFor): Promise<FoundPolicy> {
  const { admissionRegistration } = apisFor("high");
  const trial = { name: POLICY_NAME, dryRun: "All" };
  const binding = await unlessMissing(admissionRegistration.deleteMutatingAdmissionPolicyBinding(trial));
  const policy = await unlessMissing(admissionRegistration.deleteMutatingAdmissionPolicy(trial));
  return { binding: binding?.details?.uid, policy: policy?.details?.uid };
}

function unlessGone(error: unknown): void {
  if (!isNotFound(error) && !isConflict(error)) throw error;
}

function outcomeOf(error: unknown): PolicyOutcome {
  if (error instanceof KubeNotSentError) return "not-leading";
  if (isNotFound(error)) return "not-served";
  throw error;
}
