/** Decides what a new pod gets. */
import { skip, type Decision } from "./decision.ts";
import type { NamespaceFacts, Pod, ServiceAccountFacts } from "./kubernetes.ts";
import { INJECT_LABEL, MIRROR_ANNOTATION, REGISTRIES_ANNOTATION } from "./labels.ts";
import {
  annotationOf,
  describeLocation,
  labelOf,
  listAnnotationOf,
  pullSecretNamesOf,
  visitImages,
} from "./pod.ts";
import { isPermittedIn, selectRegistries, type Registry, type RegistryIndex } from "./registry.ts";
import { limitWarnings } from "./warning.ts";

/** What the cluster says about the surroundings of a pod. */
export interface PodContext {
  readonly namespace: NamespaceFacts;
  /** Undefined if nothing is known of the pod's service account; then nothing is held against it. */
  readonly serviceAccount: ServiceAccountFacts | undefined;
}

/*
 * The first row that holds decides.
 *
 * mirror pod | opted in | pod opted out | registries needed | secrets lacking | the account allows | decision
 * yes        |          |               |                   |                 |                    | skip mirror-pod
 * no         | no       |               |                   |                 |                    | skip namespace-not-opted-in
 * no         | yes      | yes           |                   |                 |                    | skip pod-opted-out
 * no         | yes      | no            | none              |                 |                    | skip no-registry
 * no         | yes      | no            | some              | none            |                    | skip already-present
 * no         | yes      | no            | some              | some            | none of them       | skip mountable-secrets-enforced
 * no         | yes      | no            | some              | some            | some or all        | inject those
 */
export function decide(pod: Pod, { namespace, serviceAccount }: PodContext, index: RegistryIndex): Decision {
  if (annotationOf(pod, MIRROR_ANNOTATION) !== undefined) return skip("mirror-pod");
  if (!namespace.isOptedIn) return skip("namespace-not-opted-in");
  if (labelOf(pod, INJECT_LABEL) === "disabled") return skip("pod-opted-out");

  const isPermitted = (registry: Registry): boolean => isPermittedIn(registry, namespace.labels);
  const warnings: string[] = [];
  const wanted = new Set<Registry>();
  wantRegistriesOfImages(pod, index, isPermitted, wanted, warnings);
  wantNamedRegistries(pod, index, isPermitted, wanted, warnings);
  if (wanted.size === 0) return skip("no-registry", limitWarnings(warnings));

  const present = pullSecretNamesOf(pod);
  const lacking = index.registries.filter(
    (registry) => wanted.has(registry) && !present.includes(registry.secretName),
  );
  if (lacking.length === 0) return skip("already-present", limitWarnings(warnings));

  const registries = lacking.filter((registry) => allows(serviceAccount, registry));
  for (const { secretName } of lacking.filter((registry) => !registries.includes(registry))) {
    warnings.push(`the service account does not list pull secret ${secretName}, so the pod may not name it`);
  }
  if (registries.length === 0) return skip("mountable-secrets-enforced", limitWarnings(warnings));
  const secretNames = [...new Set(registries.map((registry) => registry.secretName))];
  return { kind: "inject", registries, secretNames, warnings: limitWarnings(warnings) };
}

function wantRegistriesOfImages(
  pod: Pod,
  index: RegistryIndex,
  isPermitted: (registry: Registry) => boolean,
  wanted: Set<Registry>,
  warnings: string[],
): void {
  visitImages(pod, (image, field, position) => {
    const lookup = typeof image === "string" ? index.lookUp(image) : NOT_A_TEXT;
    if (lookup.kind === "invalid") {
      warnings.push(`${describeLocation(field, position)}: not an image reference: ${lookup.reason}`);
      return;
    }
    for (const registry of selectRegistries(lookup.covering, isPermitted)) wanted.add(registry);
  });
}

const NOT_A_TEXT = { kind: "invalid", reason: "it is not a text" } as const;

/** The registries that the pod's annotation asks for by name, or all that its namespace may have for `*`. */
function wantNamedRegistries(
  pod: Pod,
  index: RegistryIndex,
  isPermitted: (registry: Registry) => boolean,
  wanted: Set<Registry>,
  warnings: string[],
): void {
  for (const name of listAnnotationOf(pod, REGISTRIES_ANNOTATION)) {
    const named = index.byName.get(name);
    const candidates = name === "*" ? index.registries : named === undefined ? [] : [named];
    const permitted = candidates.filter(isPermitted);
    for (const registry of permitted) wanted.add(registry);
    // One that is kept from this namespace is not told from one that does not exist: its name is not ours to confirm.
    if (permitted.length === 0 && name !== "*") {
      warnings.push(`${REGISTRIES_ANNOTATION}: this namespace has no registry ${JSON.stringify(name)}`);
    }
  }
}

/** An account that enforces its list allows only what is on it (kubernetes.io/enforce-mountable-secrets). */
function allows(account: ServiceAccountFacts | undefined, { secretName }: Registry): boolean {
  return !account?.isMountableSecretsEnforced || account.pullSecretNames.includes(secretName);
}
