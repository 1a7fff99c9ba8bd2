/** What an API server takes of a policy, and how far it gets with one. What is beyond is an error here, where somebody reads it. */

/** Of one expression (cel-go `ExpressionSizeCodePointLimit`, whose default Kubernetes leaves). */
export const MAX_CODE_POINTS = 100_000;
/** Of one expression (k8s.io/apiserver `PerCallLimit`); all of them may cost ten times that. */
const MAX_COST = 1_000_000;
/** etcd takes 1.5 MiB for a request, and the API server keeps beside the policy who wrote which of its fields. */
const MAX_BYTES = 1024 * 1024;

/** A host with `*`, by what it costs to compare one with it. */
interface ComparedHost {
  readonly glob: { readonly prefix: string; readonly tail: string };
}

export interface PolicyVariable {
  readonly name: string;
  readonly expression: string;
}

export class PolicyTooLargeError extends Error {
  override readonly name = "PolicyTooLargeError";

  constructor(reason: string) {
    super(`the configuration does not fit into a MutatingAdmissionPolicy: ${reason}`);
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
  variables: readonly PolicyVariable[],
  globs: readonly ComparedHost[],
): void {
  for (const { name, expression } of variables) {
    const codePoints = countCodePoints(expression);
    if (codePoints <= MAX_CODE_POINTS) continue;
    throw new PolicyTooLargeError(
      `its expression ${name} would have ${codePoints.toString()} characters, of which an API server takes ${MAX_CODE_POINTS.toString()}`,
    );
  }
  const cost = costOfGlobs(globs);
  if (cost > MAX_COST) {
    throw new PolicyTooLargeError(
      `with ${globs.length.toString()} hosts with * a pod of ${IMAGES.toString()} images would cost about ${cost.toString()}, of which an API server allows ${MAX_COST.toString()}`,
    );
  }
  const bytes = new TextEncoder().encode(JSON.stringify(policy)).length;
  if (bytes <= MAX_BYTES) return;
  throw new PolicyTooLargeError(
    `it would have ${bytes.toString()} bytes, of which etcd takes ${MAX_BYTES.toString()}`,
  );
}

/** A pod of more containers than most, each with an image of its own, with a longer name than most. */
const IMAGES = 20;
const NAME_LENGTH = 100;

/**
 * What it costs to compare hosts with those that have a `*`, one by one, in units of cel-go (interpreter/runtimecost.go): one for a
 * variable, a member and a call, and a tenth for each character that a call reads. All else is looked up, and costs a few
 * hundred for an image, however many registries there are.
 */
function costOfGlobs(globs: readonly ComparedHost[]): number {
  const each = globs.map(
    ({ glob: { prefix, tail } }) => 8 + tenth(prefix.length) + tenth(NAME_LENGTH) * tenth(tail.length),
  );
  return IMAGES * each.reduce((sum, cost) => sum + cost, 0);
}

function tenth(length: number): number {
  return Math.ceil(length / 10);
}
