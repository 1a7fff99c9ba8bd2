/** Decides what a new pod gets. */
import { skip, type Decision, type ImageFinding } from "./decision.ts";
import type { NamespaceFacts, Pod, ServiceAccountFacts } from "./kubernetes.ts";
import { INJECT_LABEL, MIRROR_ANNOTATION, REGISTRIES_ANNOTATION } from "./labels.ts";
import {
  annotationOf,
  describeLocation,
  imagesOf,
  labelOf,
  listAnnotationOf,
  pullSecretNamesOf,
  type PodImage,
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
  const images = imagesOf(pod).map((image) => find(image, index, isPermitted));
  const { wanted, warnings } = gather(images, registriesNamedBy(pod, index, isPermitted));
  const needed = index.registries.filter((registry) => wanted.has(registry));

  const present = pullSecretNamesOf(pod);
  const lacking = needed.filter((registry) => !present.includes(registry.secretName));
  const forbidden = lacking.filter((registry) => !allows(serviceAccount, registry));
  for (const { secretName } of forbidden) {
    warnings.push(`the service account does not list pull secret ${secretName}, so the pod may not name it`);
  }
  const registries = lacking.filter((registry) => !forbidden.includes(registry));
  const findings = { images, warnings: limitWarnings(warnings) };

  if (needed.length === 0) return { kind: "skip", reason: "no-registry", ...findings };
  if (lacking.length === 0) return { kind: "skip", reason: "already-present", ...findings };
  if (registries.length === 0) return { kind: "skip", reason: "mountable-secrets-enforced", ...findings };
  const secretNames = [...new Set(registries.map((registry) => registry.secretName))];
  return { kind: "inject", registries, secretNames, ...findings };
}

function find(
  image: PodImage,
  index: RegistryIndex,
  isPermitted: (registry: Registry) => boolean,
): ImageFinding {
  if (typeof image.image !== "string") return { kind: "invalid", image, reason: "it is not a text" };
  const lookup = index.lookUp(image.image);
  if (lookup.kind === "invalid") return { kind: "invalid", image, reason: lookup.reason };
  const registries = selectRegistries(lookup.covering, isPermitted);
  return { kind: "parsed", image, reference: lookup.reference, registries };
}

interface NamedRegistries {
  readonly registries: readonly Registry[];
  readonly warnings: readonly string[];
}

/** The registries that the pod's annotation asks for by name, or all that its namespace may have for `*`. */
function registriesNamedBy(
  pod: Pod,
  index: RegistryIndex,
  isPermitted: (registry: Registry) => boolean,
): NamedRegistries {
  const registries: Registry[] = [];
  const warnings: string[] = [];
  for (const name of listAnnotationOf(pod, REGISTRIES_ANNOTATION)) {
    const named =
      name === "*" ? index.registries : [index.byName.get(name)].filter((registry) => registry !== undefined);
    const permitted = named.filter(isPermitted);
    registries.push(...permitted);
    // One that is kept from this namespace is not told from one that does not exist: its name is not ours to confirm.
    if (permitted.length === 0 && name !== "*") {
      warnings.push(`${REGISTRIES_ANNOTATION}: this namespace has no registry ${JSON.stringify(name)}`);
    }
  }
  return { registries, warnings };
}

function gather(
  images: readonly ImageFinding[],
  named: NamedRegistries,
): { readonly wanted: ReadonlySet<Registry>; readonly warnings: string[] } {
  const wanted = new Set(named.registries);
  const warnings = [...named.warnings];
  for (const finding of images) {
    if (finding.kind === "parsed") for (const registry of finding.registries) wanted.add(registry);
    else warnings.push(`${describeLocation(finding.image)}: not an image reference: ${finding.reason}`);
  }
  return { wanted, warnings };
}

/** An account that enforces its list allows only what is on it (kubernetes.io/enforce-mountable-secrets). */
function allows(account: ServiceAccountFacts | undefined, { secretName }: Registry): boolean {
  return !account?.isMountableSecretsEnforced || account.pullSecretNames.includes(secretName);
}
