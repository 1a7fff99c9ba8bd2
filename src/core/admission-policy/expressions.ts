/**
 * The rules of a decision as expressions in CEL, for the API server. What they say is what policy.ts, pod.ts, patch.ts, labels.ts,
 * address.ts and image-reference.ts do: test/cluster/policy-equal.test.ts holds both to the same pods.
 *
 * Each is written for people, too: `kubectl get mutatingadmissionpolicy pullpass -o yaml` shows it. A comment of CEL says which
 * rule it is.
 */
import { INJECTED_ANNOTATION, MIRROR_ANNOTATION, REGISTRIES_ANNOTATION } from "../labels.ts";
import { MAX_ANNOTATIONS_BYTES, MAX_BYTES_PER_CODE_UNIT } from "../patch.ts";
import { MAX_LIST_ENTRIES } from "../pod.ts";
import { text } from "./tables.ts";

/** Without escapes: a regular expression. None of ours holds a quote. */
function raw(pattern: string): string {
  return `r'${pattern}'`;
}

/** What is optional in CEL costs several times as much as what is asked for. */
function hasAnnotation(name: string): string {
  return `(has(object.metadata.annotations) && ${text(name)} in object.metadata.annotations)`;
}

/** The labels of the pod's namespace. */
export const NAMESPACE_LABELS = "namespaceObject.metadata.?labels.orValue({})";

/**
 * A host has at most 253 characters, a port 5, a path 255, a tag 128 and a digest 135. What is longer names no image that
 * could be pulled, and takes long to be matched.
 */
const MAX_IMAGE_LENGTH = 1024;

/** Init containers, containers and image volumes. */
export const IMAGES = `// What kubelet pulls: init containers, containers and image volumes.
(has(object.spec.initContainers) ? object.spec.initContainers.map(c, has(c.image), c.image) : [])
  + (has(object.spec.containers) ? object.spec.containers.map(c, has(c.image), c.image) : [])
  + (has(object.spec.volumes) ? object.spec.volumes.map(v, has(v.image) && has(v.image.reference), v.image.reference) : [])`;

/*
 * As splitDomain in image-reference.ts:
 *
 * first component          | in full
 * (no slash)               | docker.io/library/ + all
 * none of a host           | docker.io/ + all
 * docker.io, index.docker.io | docker.io/, library/ before a lone name, + the rest
 * anything else            | as written
 */
export const REFERENCES = `// Docker Hub's short names in full. A first component is a host if it holds a dot, a colon or a capital, or is localhost.
variables.images.map(i,
  // The ID of an image, 64 hexadecimal digits, is not a name.
  i != "" && i.size() <= ${MAX_IMAGE_LENGTH.toString()} && (i.size() != 64 || !i.matches(${raw("^[a-f0-9]{64}$")})),
  !i.contains("/") ? "docker.io/library/" + i
  : !i.matches(${raw("^(?:localhost|[^/]*[.:A-Z][^/]*)/")}) ? "docker.io/" + i
  : !i.startsWith("docker.io/") && !i.startsWith("index.docker.io/") ? i
  : i.indexOf("/") == i.lastIndexOf("/") ? "docker.io/library/" + i.substring(i.indexOf("/") + 1)
  : "docker.io" + i.substring(i.indexOf("/")))`;

const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
/** The grammar of image-reference.ts. A first component that is no host, such as `a_b.com`, is part of the path. */
const HOST = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const NAME = `(?:${HOST}|${COMPONENT})(?:/${COMPONENT})+`;
const MAX_TAG_LENGTH = 128;
const REFERENCE = `^${NAME}(?::\\w[\\w.-]{0,${(MAX_TAG_LENGTH - 1).toString()}})?(?:@(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}))?$`;
/** The same without a digest, where no tag is too long. Repeats with a number make a pattern slow. */
const SHORT_REFERENCE = `^${NAME}(?::\\w[\\w.-]*)?$`;
/** What of a reference `r` is before its tag and digest. */
const REPOSITORY = `r.find(${raw("^[^/]+/[^:@]+")})`;

/** Whether `r`, Docker Hub's names in full, is a reference; what is none is passed over, as kubelet refuses it. */
const IS_REFERENCE = `r.size() <= ${MAX_TAG_LENGTH.toString()} && !r.contains("@")
    ? r.matches(${raw(SHORT_REFERENCE)})
    : r.size() <= ${(2 * MAX_IMAGE_LENGTH).toString()} && r.matches(${raw(REFERENCE)})
      // A path has at most 255 characters, and a first component that is no host belongs to it; a host has at most 253.
      && [${REPOSITORY}].all(name, name.size() < 253
        || name.matches(${raw("^(?:[^/_]+/)?.{1,255}$")}) && name.matches(${raw("^(?:\\[[^/]*\\]|[^/:]{1,253})[:/]")}))`;

/** Images, or what Docker Hub's short names among them are in full. */
export type References = "images" | "references";

export function repositoriesExpression(references: References): string {
  return `// The repository of each image that is a reference, as host/path/; what is none is passed over, as kubelet refuses it.
variables.${references}.map(r, ${IS_REFERENCE},
  ${REPOSITORY} + "/")`;
}

/** A table that is too long for one expression is several variables with numbers behind the name. */
export type Lookup = (table: "addresses" | "positions" | "selectors", key: string) => string;

/*
 * Whether the namespace may have the registry at position `p`. As selectorMatches in labels.ts:
 *
 * operator     | label absent | value in values | value not in values
 * In           | no           | yes             | no
 * NotIn        | yes          | no              | yes
 * Exists       | no           | yes             | yes
 * DoesNotExist | yes          | no              | no
 */
function permittedExpression(lookUp: Lookup): string {
  return `variables.selectorKeys[p] == "" || ${lookUp("selectors", "variables.selectorKeys[p]")}.value().all(q,
    (q.key in variables.labels && (!has(q.values) || variables.labels[q.key] in q.values.split(",")))
      == (q.operator == "In" || q.operator == "Exists"))`;
}

export interface ClaimOptions {
  /** How many components the paths of addresses have, each once: none other can be the beginning of an image's. */
  readonly depths: readonly number[];
  /** Some registry is not for all namespaces. */
  readonly isLimited: boolean;
}

/** The first components of a repository: the host and `depth` of its path. Empty if it has fewer. */
function headOf(repository: string, depth: number): string {
  return `${repository}.find(${raw(`^(?:[^/]+/){${(depth + 1).toString()}}`)})`;
}

/** One that is kept from the namespace hides no other one. */
function permittedOf(positions: string, lookUp: Lookup): string {
  return `${positions}.filter(p, ${permittedExpression(lookUp)})`;
}

/** Where no host has a `*`: of the addresses that cover an image, the longest is the most specific. */
export function claimedExpression(
  references: References,
  lookUp: Lookup,
  { depths, isLimited }: ClaimOptions,
): string {
  const heads = depths.toReversed().map((depth) => headOf(`(${REPOSITORY} + "/")`, depth));
  const found = `[${heads.join(", ")}].map(address, ${lookUp("addresses", "address")}).unwrapOpt()`;
  const permitted = isLimited
    ? `\n    .map(positions, ${permittedOf("positions", lookUp)}).filter(positions, positions.size() > 0)`
    : "";
  const [head, ...others] = heads;
  const claimed =
    head !== undefined && others.length === 0 && !isLimited
      ? `${lookUp("addresses", head)}.orValue([])`
      : `${found}${permitted}.first().orValue([])`;
  return `// The longest address that begins the repository of an image, as host/path/, claims it for all registries that have that address.
// What is no reference is passed over, as kubelet refuses it.
variables.${references}.map(r, ${IS_REFERENCE},
  ${claimed}).flatten()`;
}

export function coveringExpression(lookUp: Lookup, { depths, isLimited }: ClaimOptions): string {
  return `// The registries that cover each repository: their addresses, as host/path/, begin it, or do so with its host in the place of one that matches it.
variables.repositories.map(r, ([r.substring(0, r.indexOf("/"))] + variables.globs
      .filter(g, r.startsWith(g.prefix) && r.contains(g.tail) && r.matches(g.pattern)).map(g, g.authority))
    .map(authority, [${depths.map((depth) => headOf("r", depth)).join(", ")}].filter(head, head != "").map(head, authority + head.substring(head.indexOf("/")))).flatten()
    .map(address, ${lookUp("addresses", "address")}).unwrapOpt().flatten())${isLimited ? `\n  .map(positions, ${permittedOf("positions", lookUp)})` : ""}`;
}

export const CLAIMED_OF_COVERING = `// The most specific address claims it, which has the lowest rank, for all registries that have that address.
variables.covering.map(positions, positions.size() < 2 ? positions : positions.filter(p,
  variables.ranks[p] == positions.map(other, variables.ranks[other]).min())).flatten()`;

export const NAMED = `// Registries that the pod asks for by name; * is all of them.
object.metadata.annotations[${text(REGISTRIES_ANNOTATION)}].split(",", ${(MAX_LIST_ENTRIES + 1).toString()})
  .transformList(position, name, position < ${MAX_LIST_ENTRIES.toString()}, name.trim())`;

export const PRESENT = `// The pull secrets that the pod names already.
object.spec.imagePullSecrets.map(s, has(s.name), s.name)`;

/** The API server reckons with two comparisons of each entry of a list with each; an expression may cost a million. */
const MAX_DISTINCT_ENTRIES = 256;
/** Of each entry of one list with each of another. */
const MAX_COMPARISONS = 500_000;

/** A pod that asks for all registries may lack thousands, and have them when it is reviewed again. */
export const PRESENT_MAP = `// The same as a map, in which one of thousands is found at once.
(variables.present.size() > ${MAX_DISTINCT_ENTRIES.toString()} ? variables.present : variables.present.distinct()).transformMapEntry(position, name, {name: true})`;

/** @param isLimited some registry is not for all namespaces. */
export function neededExpression(lookUp: Lookup, isLimited: boolean): string {
  const filter = isLimited ? `.filter(p, ${permittedExpression(lookUp)})` : "";
  return `// The positions of what claimed an image and of what the pod asks for, in the order of the configuration.
!${hasAnnotation(REGISTRIES_ANNOTATION)}
  ? (variables.claimed.size() == 1 ? variables.claimed : variables.claimed.distinct().sort())
  : "*" in variables.named
  ? variables.registryNames.transformList(position, name, position)${filter}
  : (variables.claimed + variables.named.map(name, ${lookUp("positions", "name")}).unwrapOpt())
    .distinct().sort()${filter}`;
}

export const LACKING = `// What the pod is given. A mirror pod stands for a static pod of a node, and may not reference Secrets.
variables.needed.filter(p, !(has(object.spec.imagePullSecrets) && (variables.needed.size() > ${MAX_DISTINCT_ENTRIES.toString()} && variables.needed.size() * variables.present.size() > ${MAX_COMPARISONS.toString()}
    ? variables.secretNames[p] in variables.presentMap : variables.secretNames[p] in variables.present))
  && !${hasAnnotation(MIRROR_ANNOTATION)})`;

export const LACKING_MAP = `// The same as a map.
variables.lacking.transformMapEntry(position, p, {p: true})`;

/** Where there are too many to compare each with each. */
export const FIRSTS = `// The first of those that have a pull secret in common, and are lacking.
variables.shared.map(positions, positions.filter(p, p in variables.lackingMap)).filter(positions, positions.size() > 0)
  .map(positions, positions[0]).transformMapEntry(position, p, {p: true})`;

/** @param isShared two registries have the same pull secret. */
export function secretsExpression(isShared: boolean): string {
  const secrets = "variables.lacking.map(p, variables.secretNames[p])";
  if (!isShared) return secrets;
  return `variables.lacking.size() <= ${MAX_DISTINCT_ENTRIES.toString()} ? ${secrets}.distinct()
  : variables.lacking.filter(p, !variables.sharing[p] || p in variables.firsts).map(p, variables.secretNames[p])`;
}

/** The last of the pieces is what comes after as many entries as are read. */
export const BEFORE = `object.metadata.?annotations[?${text(INJECTED_ANNOTATION)}].orValue("").split(",", ${(MAX_LIST_ENTRIES + 1).toString()})`;

export const INJECTED_BEFORE = `// The registries that earlier calls injected.
variables.before.transformList(position, name, position < ${MAX_LIST_ENTRIES.toString()} && name.trim() != "", name.trim())`;

/** Doubles among more than people write stay in it. */
export const INJECTED = `// For people: the registries that this and earlier calls injected.
!${hasAnnotation(INJECTED_ANNOTATION)} ? variables.lacking.map(p, variables.registryNames[p]).join(",")
: ((variables.injectedBefore.size() > ${MAX_DISTINCT_ENTRIES.toString()}
      ? variables.injectedBefore : variables.injectedBefore.distinct())
    + variables.lacking.map(p, variables.registryNames[p]).filter(name,
      variables.injectedBefore.size() * variables.lacking.size() > ${MAX_COMPARISONS.toString()} || !(name in variables.injectedBefore))
    + variables.before.transformList(position, rest, position == ${MAX_LIST_ENTRIES.toString()} && rest != "", rest)).join(",")`;

/*
 * After an empty patch, too, an API server writes the pod as JSON and reads it again, and it evaluates a policy twice for each pod. A
 * test that fails spares it that (k8s.io/apiserver `jsonPatcher`). So would a condition, but then it does not ask again after a
 * webhook has added a container.
 *
 * A patch that does not apply rejects the pod, so the parent of each operation has to exist. Our annotation gives way where it
 * could get the pod refused. Values are maps: an Object of CEL inside of a list makes API servers before 1.36.4 panic
 * (kubernetes/kubernetes#142181).
 */
export const PATCH = `// If nothing is lacking, a test that fails ends it: that costs less than an empty patch.
variables.lacking.size() == 0 ? [JSONPatch{op: "test", path: "/kind", value: "a pod that lacks something"}] : (
  has(object.spec.imagePullSecrets)
    ? variables.secrets.map(s, JSONPatch{op: "add", path: "/spec/imagePullSecrets/-", value: {"name": s}})
    : [JSONPatch{op: "add", path: "/spec/imagePullSecrets", value: variables.secrets.map(s, {"name": s})}]
) + (
  !has(object.metadata.annotations)
    ? [JSONPatch{op: "add", path: "/metadata/annotations", value: {${text(INJECTED_ANNOTATION)}: variables.injected}}]
  // All annotations together may have ${MAX_ANNOTATIONS_BYTES.toString()} bytes, up to ${MAX_BYTES_PER_CODE_UNIT.toString()} a character.
  : object.metadata.annotations.map(key, key + object.metadata.annotations[key]).join("").size()
    + ${text(INJECTED_ANNOTATION)}.size() + variables.injected.size() > ${Math.floor(MAX_ANNOTATIONS_BYTES / MAX_BYTES_PER_CODE_UNIT).toString()}
    ? []
    : [JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey(${text(INJECTED_ANNOTATION)}), value: variables.injected}]
)`;
