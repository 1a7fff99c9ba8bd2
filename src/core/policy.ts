/** Decides what a new pod gets. */
import { type BuildFinding, type Decision, skip, type SkipReason } from "./decision.ts";
import { planBuilds, type BuildPlan } from "./builds/plan-builds.ts";
import type { Pod, PodContext, ServiceAccountInfo } from "./kubernetes.ts";
import { INJECT_LABEL, MIRROR_ANNOTATION, REGISTRIES_ANNOTATION } from "./labels.ts";
import {
  annotationOf,
  describeLocation,
  labelOf,
  listAnnotationOf,
  lookUpImages,
  missingPullSecrets,
  type PodImage,
} from "./pod.ts";
import { quote } from "./quote.ts";
import { isPermittedIn, type Registry, type RegistryIndex } from "./registry.ts";
import { LABELS_UNKNOWN, WarningList } from "./warning.ts";

/*
 * The first row that holds decides. A pod needs pull secrets for its images and directories for its builders; a builder that
 * has an arrangement of its own, and one for which no registry has credentials, needs none.
 *
 * mirror pod | opted in | opted out | needed               | lacking | may be given         | decision
 * yes        |          |           |                      |         |                      | skip mirror-pod
 * no         | no       |           |                      |         |                      | skip namespace-not-opted-in
 * no         | yes      | yes       |                      |         |                      | skip pod-opted-out
 * no         | yes      | no        | none                 |         |                      | skip no-registry
 * no         | yes      | no        | none but for labels  |         |                      | skip labels-unknown
 *            |          |           | that are not known   |         |                      |
 * no         | yes      | no        | some                 | none    |                      | skip already-present
 * no         | yes      | no        | some                 | some    | none, by its account | skip mountable-secrets-enforced
 * no         | yes      | no        | directories alone,   | some    | none                 | skip too-many-builders
 *            |          |           | for too many         |         |                      |
 * no         | yes      | no        | some                 | some    | some or all          | inject those
 */
export function decide(pod: Pod, context: PodContext, index: RegistryIndex): Decision {
  return decideInDetail(pod, context, index).decision;
}

/** A decision, and what was found out about each builder on the way, those that get nothing included. */
export interface DetailedDecision {
  readonly decision: Decision;
  readonly findings: readonly BuildFinding[];
}

export function decideInDetail(pod: Pod, context: PodContext, index: RegistryIndex): DetailedDecision {
  const { namespace } = context;
  if (annotationOf(pod, MIRROR_ANNOTATION) !== undefined) return withoutFindings("mirror-pod");
  if (!namespace.isOptedIn) return withoutFindings("namespace-not-opted-in");
  if (labelOf(pod, INJECT_LABEL) === "disabled") return withoutFindings("pod-opted-out");

  const warnings = new WarningList();
  const images = lookUpImages(pod, index);
  const needed = findNeeded(pod, images, namespace.labels, index, warnings);
  const builds = planBuilds(pod, images, context, index, warnings);
  return { decision: decideOn(pod, needed, builds, context, index, warnings), findings: builds.findings };
}

function withoutFindings(reason: SkipReason): DetailedDecision {
  return { decision: skip(reason), findings: [] };
}

/** The rows from the fourth on. */
function decideOn(
  pod: Pod,
  { needed, isPartlyUnknown }: Needed,
  builds: BuildPlan,
  { serviceAccount }: PodContext,
  index: RegistryIndex,
  warnings: WarningList,
): Decision {
  const forbidden = builds.findings.map(forbiddenBecause).find((reason) => reason !== undefined);
  if (needed.size === 0 && builds.injection === undefined && forbidden === undefined) {
    return skip(isPartlyUnknown ? "labels-unknown" : "no-registry", warnings.texts());
  }
  const missing = missingPullSecrets(
    pod,
    Array.from(needed, ({ secretName }) => secretName),
  );
  const registries: Registry[] = [];
  const secretNames = new Set<string>();
  for (const registry of inConfigurationOrder(needed, index)) {
    const { secretName } = registry;
    if (!missing.has(secretName)) continue;
    if (!allows(serviceAccount, secretName)) {
      warnings.add(
        () => `the service account does not list pull secret ${secretName}, so the pod may not name it`,
      );
      continue;
    }
    registries.push(registry);
    secretNames.add(secretName);
  }
  if (registries.length === 0 && builds.injection === undefined) {
    const isForbidden = missing.size > 0 ? "mountable-secrets-enforced" : forbidden;
    return skip(isForbidden ?? "already-present", warnings.texts());
  }
  return {
    kind: "inject",
    registries,
    secretNames: [...secretNames],
    build: builds.injection,
    warnings: warnings.texts(),
  };
}

/** Why a builder does not get the directory that it needs, where that is a reason for the whole pod. */
function forbiddenBecause({ outcome }: BuildFinding): SkipReason | undefined {
  if (outcome.kind === "mount") return undefined;
  const { reason } = outcome;
  return reason === "mountable-secrets-enforced" || reason === "too-many-builders" ? reason : undefined;
}

/** What a pod's images and its annotation ask for. */
interface Needed {
  readonly needed: ReadonlySet<Registry>;
  /** A registry was left out that asks for labels of the namespace, which are not known. */
  readonly isPartlyUnknown: boolean;
}

function findNeeded(
  pod: Pod,
  images: readonly PodImage[],
  labels: PodContext["namespace"]["labels"],
  index: RegistryIndex,
  warnings: WarningList,
): Needed {
  const isPermitted = (registry: Registry): boolean => isPermittedIn(registry, labels);
  const needed = new Set<Registry>();

  // Each address is judged once, however many of the pod's images it covers.
  const judged = new Map<readonly Registry[], boolean>();
  const judge = (withOneAddress: readonly Registry[]): boolean => {
    const permitted = withOneAddress.filter(isPermitted);
    for (const registry of permitted) needed.add(registry);
    return permitted.length > 0;
  };
  for (const { lookup, field, position } of images) {
    if (lookup.kind === "invalid") {
      warnings.add(() => `${describeLocation(field, position)}: not an image reference: ${lookup.reason}`);
      continue;
    }
    for (const withOneAddress of lookup.covering) {
      if (judged.getOrInsertComputed(withOneAddress, judge)) break;
    }
  }
  const isPartlyUnknown =
    labels === "unknown" && judged.keys().some((withOneAddress) => !withOneAddress.every(isPermitted));
  if (isPartlyUnknown) warnings.add(() => LABELS_UNKNOWN);

  const named = listAnnotationOf(pod, REGISTRIES_ANNOTATION);
  for (const name of named.entries) {
    const registry = index.byName.get(name);
    const candidates = name === "*" ? index.registries : registry === undefined ? [] : [registry];
    const permitted = candidates.filter(isPermitted);
    for (const candidate of permitted) needed.add(candidate);
    // One that is kept from this namespace is not told from one that does not exist: its name is not ours to confirm.
    if (permitted.length === 0 && name !== "*") {
      warnings.add(() => `${REGISTRIES_ANNOTATION}: this namespace has no registry ${quote(name)}`);
    }
  }
  if (named.rest !== "") warnings.add(() => `${REGISTRIES_ANNOTATION}: it is too long to be read to its end`);
  return { needed, isPartlyUnknown };
}

function inConfigurationOrder(
  needed: ReadonlySet<Registry>,
  { registries }: RegistryIndex,
): Iterable<Registry> {
  return needed.size === 1 ? needed : registries.filter((registry) => needed.has(registry));
}

/** An account that enforces its list allows only what is on it (kubernetes.io/enforce-mountable-secrets). */
function allows(account: ServiceAccountInfo | undefined, secretName: string): boolean {
  return !account?.isMountableSecretsEnforced || account.pullSecretNames.has(secretName);
}
