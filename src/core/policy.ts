/** Decides what a new pod gets. */
import { skip, type Decision, type ImageFinding } from "./decision.ts";
import { InvalidImageReferenceError, parseImageReference } from "./image-reference.ts";
import type { NamespaceFacts, Pod, ServiceAccountFacts } from "./kubernetes.ts";
import { INJECT_LABEL, MIRROR_ANNOTATION, REGISTRIES_ANNOTATION } from "./labels.ts";
import { annotationOf, describeLocation, imagesOf, labelOf, listAnnotationOf, pullSecretNamesOf, type PodImage } from "./pod.ts";
import { isPermittedIn, matchRegistries, type Registry, type RegistryIndex } from "./registry.ts";
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
export function decide(pod: Pod, context: PodContext, index: RegistryIndex): Decision {
  if (annotationOf(pod, MIRROR_ANNOTATION) !== undefined) return skip("mirror-pod");
  if (!context.namespace.isOptedIn) return skip("namespace-not-opted-in");
  if (labelOf(pod, INJECT_LABEL) === "disabled") return skip("pod-opted-out");

  const isPermitted = (registry: Registry): boolean => isPermittedIn(registry, context.namespace.labels);
  const images = imagesOf(pod).map((image) => findRegistries(image, index, isPermitted));
  const named = registriesNamedBy(pod, index, isPermitted);
  const warnings = [...images.flatMap(warningOf), ...named.warnings];

  const wanted = new Set([...images.flatMap((f) => (f.kind === "parsed" ? f.registries : [])), ...named.registries]);
  if (wanted.size === 0) return { kind: "skip", reason: "no-registry", images, warnings: limitWarnings(warnings) };

  const present = pullSecretNamesOf(pod);
  const needed = index.registries.filter((registry) => wanted.has(registry));
  const lacking = needed.filter((registry) => !present.has(registry.secretName));
  if (lacking.length === 0) {
    return { kind: "skip", reason: "already-present", images, warnings: limitWarnings(warnings) };
  }

  const account = context.serviceAccount;
  const isAllowed = ({ secretName }: Registry): boolean =>
    !account?.isMountableSecretsEnforced || account.pullSecretNames.includes(secretName);
  const registries = lacking.filter(isAllowed);
  for (const registry of lacking.filter((candidate) => !isAllowed(candidate))) {
    warnings.push(`the service account does not list pull secret ${registry.secretName}, so the pod may not name it`);
  }
  if (registries.length === 0) {
    return { kind: "skip", reason: "mountable-secrets-enforced", images, warnings: limitWarnings(warnings) };
  }
  const secretNames = [...new Set(registries.map((registry) => registry.secretName))];
  return { kind: "inject", registries, secretNames, images, warnings: limitWarnings(warnings) };
}

/** Parses one image and finds the registries that it needs. */
export function findRegistries(
  image: PodImage,
  index: RegistryIndex,
  isPermitted: (registry: Registry) => boolean,
): ImageFinding {
  if (typeof image.image !== "string") return { kind: "invalid", image, reason: "it is not a text" };
  try {
    const reference = parseImageReference(image.image);
    return { kind: "parsed", image, reference, registries: matchRegistries(index, reference, isPermitted) };
  } catch (error) {
    if (!(error instanceof InvalidImageReferenceError)) throw error;
    return { kind: "invalid", image, reason: error.reason };
  }
}

/** The registries that the pod's annotation asks for by name, or all that its namespace may have for `*`. */
function registriesNamedBy(
  pod: Pod,
  index: RegistryIndex,
  isPermitted: (registry: Registry) => boolean,
): { readonly registries: readonly Registry[]; readonly warnings: readonly string[] } {
  const registries: Registry[] = [];
  const warnings: string[] = [];
  for (const name of listAnnotationOf(pod, REGISTRIES_ANNOTATION)) {
    const named = name === "*" ? index.registries : [index.byName.get(name)].filter((r) => r !== undefined);
    const permitted = named.filter(isPermitted);
    registries.push(...permitted);
    // A registry that is kept from this namespace is not told from one that does not exist: its name is not our secret to give.
    if (permitted.length === 0 && name !== "*") {
      warnings.push(`annotation ${REGISTRIES_ANNOTATION}: there is no registry ${JSON.stringify(name)} for this namespace`);
    }
  }
  return { registries, warnings };
}

function warningOf(finding: ImageFinding): readonly string[] {
  if (finding.kind === "parsed") return [];
  return [`${describeLocation(finding.image)}: not an image reference: ${finding.reason}`];
}
