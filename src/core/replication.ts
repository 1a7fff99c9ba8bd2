/** Plans the copies of a namespace: what to write and what to remove, so that it has what it may have, and no more. */
import type { Address } from "./address.ts";
import { type AddressedCredential, encodeBase64 } from "./credential.ts";
import type { Namespace } from "./kubernetes.ts";
import { MANAGED_BY_LABEL, MANAGER } from "./labels.ts";
import { isPermittedIn, type Registry } from "./registry.ts";
import { EMPTY_DOCUMENT, writeBuildDocument, writePullDocument } from "./write-docker-config.ts";

/** What copies need of one entry of the configuration. */
export interface ReplicatedRegistry extends Registry {
  /** The concrete hosts behind an address with `*`. */
  readonly hosts: readonly Address[];
}

/** A registry and its credentials as its source has them now. */
export interface Source {
  readonly registry: ReplicatedRegistry;
  /** `unreadable` for now; or `kept-by-admin`: there is no source, an admin keeps the pull secret in the namespaces. */
  readonly credentials: readonly AddressedCredential[] | "unreadable" | "kept-by-admin";
  /** The Secret that the credentials come from, if they come from one. */
  readonly secret: { readonly namespace: string; readonly name: string } | undefined;
}

/** Makes a short text of a long one: the same of equal texts, and never the same of different ones. */
export type Digest = (text: string) => string;

/** A pull secret as it has to be, whatever the namespace. */
export interface Copy {
  /** The Secret's name. */
  readonly name: string;
  /** The value under `.dockerconfigjson`: the document in base64. */
  readonly data: string;
  /** The names of the registries in it, in configuration order. */
  readonly registries: readonly string[];
  /** See {@link contentOf}. */
  readonly content: string;
}

/** A Secret that carries our label, as far as a plan goes. A few short texts, whatever is in the Secret. */
export interface ExistingCopy {
  readonly uid: string;
  /** `metadata.resourceVersion`: a greater one is newer. */
  readonly version: number;
  /**
   * See {@link contentOf}; undefined if there is no document, if the Secret's type is another, if labels and annotations of
   * ours are not as we write them, or if it was not written by us.
   */
  readonly content: string | undefined;
  /** Whoever copies a copy copies its label, but not the API server's record of who wrote it. */
  readonly isWrittenByUs: boolean;
  /** False for another type and for `immutable: true`: the API server then takes no new content. */
  readonly isUpdatable: boolean;
}

/**
 * Stands for the content of a copy where two are compared: its document in base64, and the names of its registries joined
 * by commas. A Secret that carries our label may hold a megabyte, and there may be many.
 */
export function contentOf(data: string, registries: string, digest: Digest): string {
  // Base64 as the API server writes it has no line break.
  return digest(`${data}\n${registries}`);
}

export type ReplicationAction =
  | { readonly kind: "create"; readonly copy: Copy }
  | { readonly kind: "update"; readonly copy: Copy; readonly uid: string }
  /** Removes and creates, because the Secret cannot be changed in place. */
  | { readonly kind: "replace"; readonly copy: Copy; readonly uid: string }
  | { readonly kind: "remove"; readonly name: string; readonly uid: string }
  /** The Secret is a source: nothing is done, and somebody has to know why. */
  | { readonly kind: "leave"; readonly name: string; readonly reason: LeaveReason };

/** Why a Secret that is a source needs a person's attention, as the reason of an Event. */
export type LeaveReason = keyof typeof LEAVE_REASONS;

/** Each follows the name of the Secret. */
export const LEAVE_REASONS = {
  SourceHasOurLabel: `is the source of a registry's credentials, but has the label ${MANAGED_BY_LABEL}=${MANAGER}, which marks copies. Pullpass does not change or delete it. Remove the label.`,
  SourceHasNameOfCopy:
    "is the source of a registry's credentials, but the copy of another registry has the same name. Pullpass does not write that copy here, and pods get the source instead. Rename the source, or set secretName of the other registry.",
} as const;

/** What a namespace has to have. */
export interface WantedCopies {
  readonly copies: readonly Copy[];
  /** Secrets that stay as they are: what has to be in them cannot be read now. */
  readonly kept: ReadonlySet<string>;
  /** The names of the Secrets of this namespace that are sources. */
  readonly sources: ReadonlySet<string>;
  /** The pull secrets that ServiceAccounts are given, those that an admin keeps included, in configuration order. */
  readonly pullSecretNames: readonly string[];
}

const NO_NAMES: ReadonlySet<string> = new Set();
const NOTHING: WantedCopies = { copies: [], kept: NO_NAMES, sources: NO_NAMES, pullSecretNames: [] };

/**
 * The Secret of a namespace that holds, merged, what builds there may use. With a dot, so that no registry has the name by
 * default; the configuration refuses it where it is given.
 */
export const BUILD_SECRET_NAME = "pullpass.build";

/** Says what a namespace has to have; documents are written once, not once a namespace. */
export type CopyCatalog = (namespace: Namespace) => WantedCopies;

export function catalogCopies(sources: readonly Source[], digest: Digest): CopyCatalog {
  const written = sources.map((source) => writeSource(source, digest));
  const sourceNames = namesByNamespace(sources);
  // Namespaces that may have the same registries have the same copies.
  const remembered = new Map<string, WantedCopies>();
  return (namespace) => {
    const wanted = namespace.isOptedIn ? wantIn(namespace) : NOTHING;
    const names = sourceNames.get(namespace.name);
    return names === undefined ? wanted : { ...wanted, sources: names };
  };

  function wantIn(namespace: Namespace): WantedCopies {
    const permitted = written
      .filter(({ source }) => isPermittedIn(source.registry, namespace.labels))
      .map((entry) => (isItsSource(entry.source, namespace.name) ? { source: entry.source } : entry));
    const key = permitted
      .map(({ source, copy }) => `${source.registry.name} ${copy === undefined ? "" : "copied"}`)
      .join();
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const wanted = wantCopies(permitted, digest);
    remembered.set(key, wanted);
    return wanted;
  }
}

/** The names of the registries that were added, that were removed, or whose credentials are others now. */
export function registriesChanged(before: readonly Source[], after: readonly Source[]): readonly string[] {
  const [old, current] = [before, after].map(
    (sources) =>
      new Map(sources.map(({ registry, credentials }) => [registry.name, JSON.stringify(credentials)])),
  );
  const names = new Set([...before, ...after].map(({ registry }) => registry.name));
  return [...names].filter((name) => old?.get(name) !== current?.get(name));
}

function namesByNamespace(sources: readonly Source[]): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, Set<string>>();
  for (const { secret } of sources) {
    if (secret === undefined) continue;
    names.set(secret.namespace, (names.get(secret.namespace) ?? new Set()).add(secret.name));
  }
  return names;
}

/** A source and its own copy, which is the same in all namespaces. */
interface WrittenSource {
  readonly source: Source;
  readonly copy?: Copy;
}

function writeSource(source: Source, digest: Digest): WrittenSource {
  const { registry, credentials } = source;
  if (!registry.use.includes("pull") || typeof credentials === "string") return { source };
  const document = writePullDocument(registry, credentials);
  return { source, copy: writeCopy(registry.secretName, document, [registry.name], digest) };
}

function writeCopy(name: string, document: string, registries: readonly string[], digest: Digest): Copy {
  const data = encodeBase64(document);
  return { name, data, registries, content: contentOf(data, registries.join(","), digest) };
}

/** In the namespace of the source, under the source's own name, the source is the pull secret. */
function isItsSource({ secret, registry }: Source, namespace: string): boolean {
  return secret?.namespace === namespace && secret.name === registry.secretName;
}

function wantCopies(permitted: readonly WrittenSource[], digest: Digest): WantedCopies {
  const copies: Copy[] = [];
  const kept = new Set<string>();
  const pullSecretNames: string[] = [];
  for (const { source, copy } of permitted) {
    const { secretName, use } = source.registry;
    if (!use.includes("pull")) continue;
    if (!pullSecretNames.includes(secretName)) pullSecretNames.push(secretName);
    if (copy !== undefined) copies.push(copy);
    else if (source.credentials === "unreadable") kept.add(secretName);
  }
  const buildSecret = wantBuildSecret(permitted.map(({ source }) => source));
  if (buildSecret.isKept) kept.add(BUILD_SECRET_NAME);
  if (buildSecret.document !== EMPTY_DOCUMENT) {
    copies.push(writeCopy(BUILD_SECRET_NAME, buildSecret.document, buildSecret.registries, digest));
  }
  return { ...NOTHING, copies, kept, pullSecretNames };
}

/*
 * sources for builds     | the build secret
 * none, or none with keys | none
 * all can be read        | written
 * one cannot be read     | kept as it is; where there is none, written from the others
 */
function wantBuildSecret(permitted: readonly Source[]): {
  readonly isKept: boolean;
  readonly document: string;
  readonly registries: readonly string[];
} {
  const forBuilds = permitted.filter(({ registry }) => registry.use.includes("build"));
  const readable = forBuilds.flatMap(({ registry, credentials }) =>
    typeof credentials === "string" ? [] : [{ registry, credentials }],
  );
  return {
    isKept: forBuilds.some(({ credentials }) => credentials === "unreadable"),
    document: writeBuildDocument(readable),
    registries: readable.map(({ registry }) => registry.name),
  };
}

/*
 * What is done for one name of a Secret. Existing is what carries our label.
 *
 * source | wanted | kept | existing | by us | as wanted | updatable | action
 * yes    | yes    |      |          |       |           |           | leave: SourceHasNameOfCopy
 * yes    | no     |      | yes      |       |           |           | leave: SourceHasOurLabel
 * yes    | no     |      | no       |       |           |           | none
 * no     | yes    |      | no       |       |           |           | create
 * no     | yes    | no   | yes      |       | yes       |           | none
 * no     | yes    | no   | yes      |       | no        | yes       | update
 * no     | yes    | no   | yes      |       | no        | no        | replace
 * no     |        | yes  | yes      |       |           |           | none
 * no     | no     | no   | yes      | yes   |           |           | remove
 * no     | no     | no   | yes      | no    |           |           | none: somebody copied a copy, maybe to make a source of it
 *
 * In a namespace that is being deleted nothing can be created, and everything is deleted without us.
 */
export function planReplication(
  namespace: Namespace,
  { copies, kept, sources }: WantedCopies,
  existing: ReadonlyMap<string, ExistingCopy>,
): readonly ReplicationAction[] {
  if (namespace.isTerminating) return [];
  const actions: ReplicationAction[] = [];
  for (const copy of copies) {
    const { name } = copy;
    const current = existing.get(name);
    if (sources.has(name)) actions.push({ kind: "leave", name, reason: "SourceHasNameOfCopy" });
    else if (current === undefined) actions.push({ kind: "create", copy });
    else if (!kept.has(name) && current.content !== copy.content) {
      actions.push({ kind: current.isUpdatable ? "update" : "replace", copy, uid: current.uid });
    }
  }
  for (const [name, { uid, isWrittenByUs }] of existing) {
    if (copies.some((copy) => copy.name === name)) continue;
    if (sources.has(name)) actions.push({ kind: "leave", name, reason: "SourceHasOurLabel" });
    else if (isWrittenByUs && !kept.has(name)) actions.push({ kind: "remove", name, uid });
  }
  return actions;
}
