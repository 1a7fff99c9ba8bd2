/** Decides what a new pod gets. */
import { skip, type Decision } from "./decision.ts";
import type { Pod, PodContext, ServiceAccountFacts } from "./kubernetes.ts";
import {
  BUILD_CONTAINERS_ANNOTATION,
  INJECT_LABEL,
  MIRROR_ANNOTATION,
  REGISTRIES_ANNOTATION,
} from "./labels.ts";
import { planBuilds, type BuildPlan } from "./builds/plan-builds.ts";
import {
  annotationOf,
  describeLocation,
  labelOf,
  listAnnotationOf,
  pullSecretNamesOf,
  visitImages,
} from "./pod.ts";
import { isPermittedIn, selectRegistries, type Registry, type RegistryIndex } from "./registry.ts";
import { WarningList } from "./warning.ts";

/*
 * The first row that holds decides. A pod needs pull secrets for its images and directories for its builders; a builder that
 * has an arrangement of its own, and one for which no registry has credentials, needs none.
 *
 * mirror pod | opted in | pod opted out | needed | lacking | the account allows | decision
 * yes        |          |               |        |         |                    | skip mirror-pod
 * no         | no       |               |        |         |                    | skip namespace-not-opted-in
 * no         | yes      | yes           |        |         |                    | skip pod-opted-out
 * no         | yes      | no            | none   |         |                    | skip no-registry
 * no         | yes      | no            | some   | none    |                    | skip already-present
 * no         | yes      | no            | some   | some    | none of them       | skip mountable-secrets-enforced
 * no         | yes      | no            | some   | some    | some or all        | inject those
 */
export function decide(pod: Pod, context: PodContext, index: RegistryIndex): Decision {
  const { namespace, serviceAccount } = context;
  if (annotationOf(pod, MIRROR_ANNOTATION) !== undefined) return skip("mirror-pod");
  if (!namespace.isOptedIn) return skip("namespace-not-opted-in");
  if (labelOf(pod, INJECT_LABEL) === "disabled") return skip("pod-opted-out");

  const isPermitted = (registry: Registry): boolean => isPermittedIn(registry, namespace.labels);
  const warnings = new WarningList();
  const needed = new Set<Registry>();
  const hasBuilder = addRegistriesOfImages(pod, index, isPermitted, needed, warnings);
  addNamedRegistries(pod, index, isPermitted, needed, warnings);
  const builds =
    hasBuilder || annotationOf(pod, BUILD_CONTAINERS_ANNOTATION) !== undefined
      ? planBuilds(pod, context, index, warnings)
      : NO_BUILDS;
  const isBuildForbidden = builds.findings.some(isForbidden);
  if (needed.size === 0 && builds.injection === undefined && !isBuildForbidden) {
    return skip("no-registry", warnings.texts());
  }

  const present = pullSecretNamesOf(pod);
  const registries: Registry[] = [];
  const secretNames: string[] = [];
  let lackingCount = 0;
  for (const registry of inConfigurationOrder(needed, index)) {
    const { secretName } = registry;
    if (present.includes(secretName)) continue;
    lackingCount++;
    if (!allows(serviceAccount, secretName)) {
      warnings.add(`the service account does not list pull secret ${secretName}, so the pod may not name it`);
      continue;
    }
    registries.push(registry);
    if (!secretNames.includes(secretName)) secretNames.push(secretName);
  }
  if (registries.length === 0 && builds.injection === undefined) {
    const reason = lackingCount > 0 || isBuildForbidden ? "mountable-secrets-enforced" : "already-present";
    return skip(reason, warnings.texts());
  }
  return { kind: "inject", registries, secretNames, build: builds.injection, warnings: warnings.texts() };
}

const NO_BUILDS: BuildPlan = { findings: [], injection: undefined };

function isForbidden({ outcome }: BuildPlan["findings"][number]): boolean {
  return outcome.kind === "skip" && outcome.reason === "mountable-secrets-enforced";
}

/** Returns whether an image is that of a builder. */
function addRegistriesOfImages(
  pod: Pod,
  index: RegistryIndex,
  isPermitted: (registry: Registry) => boolean,
  needed: Set<Registry>,
  warnings: WarningList,
): boolean {
  let hasBuilder = false;
  let coveringBefore: readonly Registry[] | undefined;
  visitImages(pod, (image, field, position) => {
    const lookup = typeof image === "string" ? index.lookUp(image) : NOT_A_TEXT;
    if (lookup.kind === "invalid") {
      warnings.add(`${describeLocation(field, position)}: not an image reference: ${lookup.reason}`);
      return;
    }
    if (lookup.builder !== undefined) hasBuilder = true;
    // A pod's images are mostly covered by the same registries, and what they need is there already.
    if (lookup.covering === coveringBefore) return;
    coveringBefore = lookup.covering;
    for (const registry of selectRegistries(lookup.covering, isPermitted)) needed.add(registry);
  });
  return hasBuilder;
}

const NOT_A_TEXT = { kind: "invalid", reason: "it is not a text" } as const;

/** The registries that the pod's annotation asks for by name, or all that its namespace may have for `*`. */
function addNamedRegistries(
  pod: Pod,
  index: RegistryIndex,
  isPermitted: (registry: Registry) => boolean,
  needed: Set<Registry>,
  warnings: WarningList,
): void {
  for (const name of listAnnotationOf(pod, REGISTRIES_ANNOTATION)) {
    const named = index.byName.get(name);
    const candidates = name === "*" ? index.registries : named === undefined ? [] : [named];
    const permitted = candidates.filter(isPermitted);
    for (const registry of permitted) needed.add(registry);
    // One that is kept from this namespace is not told from one that does not exist: its name is not ours to confirm.
    if (permitted.length === 0 && name !== "*") {
      warnings.add(`${REGISTRIES_ANNOTATION}: this namespace has no registry ${JSON.stringify(name)}`);
    }
  }
}

function inConfigurationOrder(
  needed: ReadonlySet<Registry>,
  { registries }: RegistryIndex,
): Iterable<Registry> {
  return needed.size === 1 ? needed : registries.filter((registry) => needed.has(registry));
}

/** An account that enforces its list allows only what is on it (kubernetes.io/enforce-mountable-secrets). */
function allows(account: ServiceAccountFacts | undefined, secretName: string): boolean {
  return !account?.isMountableSecretsEnforced || account.pullSecretNames.includes(secretName);
}
