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
  return (pod, injection) => {
    const plan = planPatch(pod, injection);
    const key = keyOf(plan);
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const encoded = Buffer.from(JSON.stringify(writePatch(plan)), "utf8").toString("base64");
    if (key.length <= MAX_KEY_LENGTH) {
      if (remembered.size >= MAX_REMEMBERED) remembered.clear();
      remembered.set(key, encoded);
    }
    return encoded;
  };
}

/** Names of secrets hold no comma and no blank, and the annotation's text comes last, so that no two plans share a key. */
function keyOf({ secretNames, injected, hasSecretList, annotations }: PatchPlan): string {
  return `${hasSecretList ? "+" : "-"} ${annotations} ${secretNames.join(",")} ${injected}`;
}
