/**
 * The rules of a decision as expressions in CEL, for the API server. What they say is what policy.ts, pod.ts, patch.ts, labels.ts,
 * address.ts and image-reference.ts do: test/cluster/policy-equal.test.ts holds both to the same pods.
 *
 * Each is written for people, too: `kubectl get mutatingadmissionpolicy pullpass -o yaml` shows it. A comment of CEL says which
 * rule it is.
 */
import type { Address } from "./address.ts";
import { INJECTED_ANNOTATION, REGISTRIES_ANNOTATION, type LabelSelector } from "./labels.ts";
import { MAX_ANNOTATIONS_BYTES, MAX_BYTES_PER_CODE_UNIT } from "./patch.ts";
import { MAX_LIST_ENTRIES } from "./pod.ts";

/** A literal of CEL: its escapes are those of JSON, of which names and addresses need none. */
export function text(value: string): string {
  return JSON.stringify(value);
}

/** Without escapes: a regular expression. None of ours holds a quote. */
function raw(pattern: string): string {
  return `r'${pattern}'`;
}

/** The labels of the pod's namespace. */
export const NAMESPACE_LABELS = "namespaceObject.metadata.?labels.orValue({})";

/*
 * operator     | label absent | value in values | value not in values
 * In           | no           | yes             | no
 * NotIn        | yes          | no              | yes
 * Exists       | no           | yes             | yes
 * DoesNotExist | yes          | no              | no
 */
export function selectorExpression({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const isThere = (key: string): string => `${text(key)} in variables.labels`;
  const isOneOf = (key: string, values: readonly string[]): string =>
    `${isThere(key)} && variables.labels[${text(key)}] in [${values.map(text).join(", ")}]`;
  const requirements = [
    ...Object.entries(matchLabels).map(([key, value]) => isOneOf(key, [value])),
    ...matchExpressions.map(({ key, operator, values = [] }) => {
      switch (operator) {
        case "In":
          return isOneOf(key, values);
        case "NotIn":
          return `!(${isOneOf(key, values)})`;
        case "Exists":
          return isThere(key);
        case "DoesNotExist":
          return `!(${isThere(key)})`;
      }
    }),
  ];
  return requirements.length === 0 ? "true" : requirements.join(" && ");
}

/** What says whether an address covers an image's `host/path/`. */
export interface AddressTest {
  /** It begins like this; all there is to it where the address has no `*`. */
  readonly prefix: string;
  /** It contains this. Of no other meaning than that the glob is rarely tried, which takes a hundred times as long. */
  readonly tail?: string;
  /** It matches this, in which each `*` is any run without a dot. */
  readonly glob?: string;
}

/*
 * host                 | prefix           | tail            | glob
 * without *            | all of it        |                 |
 * with *, with dots    | before the first | after the last  | the host
 * with *, without dots | none             | port and path   | the host, or an IPv6 address in brackets, which has no dots
 */
export function addressTest({ text: address, host, port, path, isWildcard }: Address): AddressTest {
  if (!isWildcard) return { prefix: `${address}/` };
  const end = `${port === "" ? "" : `:${port}`}/${path === "" ? "" : `${path}/`}`;
  const glob = (run: string): string => host.replaceAll(".", "\\.").replaceAll("*", run);
  const endPattern = end.replaceAll(".", "\\.");
  if (!host.includes(".")) {
    const pattern = `^(?:${glob("[^.:/\\[]*")}|\\[${glob("[^.\\]]*")}\\])${endPattern}`;
    return { prefix: "", tail: end, glob: pattern };
  }
  return {
    prefix: host.slice(0, host.indexOf("*")),
    tail: `${host.slice(host.lastIndexOf("*") + 1)}${end}`,
    glob: `^${glob("[^.:/]*")}${endPattern}`,
  };
}

/**
 * A host has at most 253 characters, a port 5, a path 255, a tag 128 and a digest 135. What is longer names no image that
 * could be pulled, and takes long to be matched.
 */
const MAX_IMAGE_LENGTH = 1024;

/** Init containers, containers and image volumes. */
export const IMAGES = `// What kubelet pulls: init containers, containers and image volumes, each image once.
(object.spec.?initContainers.orValue([]).map(c, c.?image.orValue(""))
  + object.spec.?containers.orValue([]).map(c, c.?image.orValue(""))
  + object.spec.?volumes.orValue([]).map(v, v.?image.?reference.orValue("")))
  // The ID of an image, 64 hexadecimal digits, is not a name.
  .filter(i, i != "" && i.size() <= ${MAX_IMAGE_LENGTH.toString()} && !i.matches(${raw("^[a-f0-9]{64}$")}))
  .distinct()`;

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
  !i.contains("/") ? "docker.io/library/" + i
  : !i.matches(${raw("^(?:localhost|[^/]*[.:A-Z][^/]*)/")}) ? "docker.io/" + i
  : i.matches(${raw("^(?:index\\.)?docker\\.io/[^/]*$")}) ? "docker.io/library/" + i.substring(i.indexOf("/") + 1)
  : i.startsWith("index.docker.io/") ? i.substring(6)
  : i)`;

const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
/** The grammar of image-reference.ts. A first component that is no host, such as `a_b.com`, is part of the path. */
const HOST = `(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const REFERENCE = `^(?:${HOST}|${COMPONENT})(?:/${COMPONENT})+(?::\\w[\\w.-]{0,127})?(?:@(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}))?$`;

export const REPOSITORIES = `// The repository of each image that is a reference, as host/path/; what is none is passed over, as kubelet refuses it.
variables.references
  .filter(r, r.matches(${raw(REFERENCE)}))
  .map(r, r.find(${raw("^[^/]+/[^:@]+")}) + "/")
  // A path has at most 255 characters, and a first component that is no host belongs to it; a host has at most 253.
  .filter(r, r.matches(${raw("^(?:[^/_]+/)?.{1,255}/$")}) && r.matches(${raw("^(?:\\[[^/]*\\]|[^/:]{1,253})[:/]")}))
  .distinct()`;

/** @param hasGlobs some registry has a `*` in its address. */
export function claimedExpression(hasGlobs: boolean): string {
  const covers = hasGlobs
    ? "r.startsWith(e.prefix) && (!has(e.glob) || r.contains(e.tail) && r.matches(e.glob))"
    : "r.startsWith(e.prefix)";
  return `// The most specific address that covers a repository claims it: the lowest rank.
variables.repositories
  .map(r, variables.registries.map(e, ${covers}, e.rank))
  .filter(ranks, ranks.size() > 0)
  .map(ranks, ranks.min())`;
}

/** Reads a list in an annotation as listAnnotationOf in pod.ts does; the piece behind as many entries as are read is the last. */
function splitAnnotation(annotation: string): string {
  return `object.metadata.?annotations[?${text(annotation)}].orValue("").split(",", ${(MAX_LIST_ENTRIES + 1).toString()})`;
}

export const NAMED = `// Registries that the pod asks for by name; * is all of them.
${splitAnnotation(REGISTRIES_ANNOTATION)}
  .transformList(position, name, position < ${MAX_LIST_ENTRIES.toString()}, name.trim())`;

export const LACKING = `// What the pod is given, in the order of the configuration: what claimed an image and what it asks for, less what it names.
variables.registries.filter(e,
  (e.rank in variables.claimed || e.name in variables.named || "*" in variables.named)
  && !object.spec.?imagePullSecrets.orValue([]).exists(s, s.?name.orValue("") == e.secret))`;

/** @param isShared two registries have the same pull secret. */
export function secretsExpression(isShared: boolean): string {
  return `variables.lacking.map(e, e.secret)${isShared ? ".distinct()" : ""}`;
}

export const INJECTED = `// For people: the registries that this and earlier calls injected.
(${splitAnnotation(INJECTED_ANNOTATION)}
  .transformList(position, name, position < ${MAX_LIST_ENTRIES.toString()} && name.trim() != "", name.trim())
  + variables.lacking.map(e, e.name)
  + ${splitAnnotation(INJECTED_ANNOTATION)}
  .transformList(position, rest, position == ${MAX_LIST_ENTRIES.toString()} && rest != "", rest))
  .distinct().join(",")`;

/*
 * A patch that does not apply rejects the pod, so the parent of each operation has to exist. Our annotation gives way where it
 * could get the pod refused. Values are maps: an Object of CEL inside of a list makes API servers before 1.36.4 panic
 * (kubernetes/kubernetes#142181).
 */
export const PATCH = `variables.lacking.size() == 0 ? [] : (
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
