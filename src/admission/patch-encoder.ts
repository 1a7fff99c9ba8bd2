/** Encodes patches for the answer. */
import type { Injection } from "../core/decision.ts";
import type { Pod } from "../core/kubernetes.ts";
import { planPatch, writePatch, type PatchPlan } from "../core/patch.ts";

/** A few registries give a few combinations; more than this is somebody's own annotations. */
const MAX_REMEMBERED = 1024;
/** Keys hold what a pod's creator wrote into our annotation; longer ones would be a way to fill our memory. */
const MAX_KEY_LENGTH = 512;

/** The patch for a pod as JSON in standard base64 with padding, which is how the API server reads bytes. */
export type PatchEncoder = (pod: Pod, injection: Injection) => string;

/** Remembers what it encoded: the same few patches go out again and again, and writing one costs more than deciding on it. */
export function patchEncoder(): PatchEncoder {
  const remembered = new Map<string, string>();
  const encode = (plan: PatchPlan): string => {
    // What builders get depends on where they stand in their pod, and is rare enough to be written each time.
    if (plan.buildOperations.length > 0) return write(plan);
    const key = keyOf(plan);
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const encoded = write(plan);
    if (key.length <= MAX_KEY_LENGTH) {
      if (remembered.size >= MAX_REMEMBERED) remembered.clear();
      remembered.set(key, encoded);
    }
    return encoded;
  };
  // Replicas come in a row, and comparing two plans costs less than the key of one.
  let last: { readonly plan: PatchPlan; readonly encoded: string } | undefined;
  return (pod, injection) => {
    const plan = planPatch(pod, injection);
    if (last === undefined || !isSamePlan(last.plan, plan)) last = { plan, encoded: encode(plan) };
    return last.encoded;
  };
}

function write(plan: PatchPlan): string {
  return Buffer.from(JSON.stringify(writePatch(plan)), "utf8").toString("base64");
}

function isSamePlan(one: PatchPlan, other: PatchPlan): boolean {
  return (
    one.injected === other.injected &&
    one.hasSecretList === other.hasSecretList &&
    one.annotations === other.annotations &&
    one.buildOperations === other.buildOperations &&
    one.secretNames.length === other.secretNames.length &&
    one.secretNames.every((name, position) => name === other.secretNames[position])
  );
}

/** Names of secrets hold no comma and no blank, and the annotation's text comes last, so that no two plans share a key. */
function keyOf({ secretNames, injected, hasSecretList, annotations }: PatchPlan): string {
  return `${hasSecretList ? "+" : "-"} ${annotations} ${secretNames.join(",")} ${injected}`;
}
