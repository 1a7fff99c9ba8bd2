/**
 * What an API server takes of a policy, and how far it gets with one. What is beyond is an error here, where somebody reads it:
 * the API server would refuse the policy, or pass it by with the pods that cost too much.
 */
import type { AddressTest } from "./policy-expressions.ts";

/** Of one expression (cel-go `ExpressionSizeCodePointLimit`, whose default Kubernetes leaves). */
export const MAX_CODE_POINTS = 100_000;
/** Of one expression (k8s.io/apiserver `PerCallLimit`). All of them together may cost ten times that (`RuntimeCELCostBudget`). */
const MAX_COST = 1_000_000;
/** etcd takes 1.5 MiB for a request, and the API server keeps beside the policy who wrote which of its fields. */
const MAX_BYTES = 1024 * 1024;

/** A pod of more containers than people write, each with an image of its own, and a name of more characters than they have. */
const IMAGES = 20;
const NAME_LENGTH = 100;

export class PolicyTooLargeError extends Error {
  override readonly name = "PolicyTooLargeError";

  constructor(reason: string) {
    super(`the configuration does not fit in a MutatingAdmissionPolicy: ${reason}`);
  }
}

export function countCodePoints(expression: string): number {
  let count = 0;
  for (const _ of expression) count++;
  return count;
}

/** @throws PolicyTooLargeError */
export function requireWithinLimits(
  policy: unknown,
  variables: readonly { readonly name: string; readonly expression: string }[],
  tests: readonly AddressTest[],
): void {
  for (const { name, expression } of variables) {
    const codePoints = countCodePoints(expression);
    if (codePoints > MAX_CODE_POINTS)
      throw new PolicyTooLargeError(
        `${name} has ${codePoints.toString()} characters, and an expression at most ${MAX_CODE_POINTS.toString()}`,
      );
  }
  const cost = costOfClaims(tests);
  if (cost > MAX_COST)
    throw new PolicyTooLargeError(
      `with its ${tests.length.toString()} registries a pod of ${IMAGES.toString()} images costs ${cost.toString()}, and the API server gives up at ${MAX_COST.toString()}`,
    );
  const bytes = new TextEncoder().encode(JSON.stringify(policy)).length;
  if (bytes > MAX_BYTES)
    throw new PolicyTooLargeError(
      `it would have ${bytes.toString()} bytes, and etcd takes about ${MAX_BYTES.toString()}`,
    );
}

/**
 * What comparing every image with every registry costs, the dearest of all expressions, in units of cel-go's runtimecost.go: one
 * for a variable, a member or a call, and a tenth of one for each character that a call reads.
 */
function costOfClaims(tests: readonly AddressTest[]): number {
  let each = 0;
  const globs = new Map<string, number>();
  for (const { prefix, tail, glob } of tests) {
    each += 8 + tenth(prefix.length);
    if (tail === undefined || glob === undefined) continue;
    each += 4 + tenth(NAME_LENGTH) * tenth(tail.length);
    const cost = 12 + tenth(NAME_LENGTH + 1) * Math.ceil(glob.length / 4);
    globs.set(tail, (globs.get(tail) ?? 0) + cost);
  }
  return IMAGES * (each + Math.max(0, ...globs.values()));
}

function tenth(length: number): number {
  return Math.ceil(length / 10);
}
