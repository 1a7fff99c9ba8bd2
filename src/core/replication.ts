/** Plans the copies of a namespace: what to write and what to remove so that it has exactly the copies that it may have. */
import { type AddressedCredential, encodeBase64 } from "./credential.ts";
import type { Namespace } from "./kubernetes.ts";
import { MANAGED_BY_LABEL, MANAGER } from "./labels.ts";
import { isPermittedIn, type ReplicatedRegistry } from "./registry.ts";
import {
  EMPTY_DOCUMENT,
  writeBuildDocument,
  writePullDocument,
  writePullDocumentWithPrevious,
} from "./write-docker-config.ts";

/** A registry and its credentials, as read from their source. */
export interface Source {
  readonly registry: ReplicatedRegistry;
  /** `managed-by-admin`: the entry has no credentials, because an admin manages the pull secret in the namespaces. */
  readonly credentials: readonly AddressedCredential[] | "unreadable" | "managed-by-admin";
  /** The Secret that the credentials come from, if any. */
  readonly secret: { readonly namespace: string; readonly name: string } | undefined;
}

/** A collision-resistant hash, so that digests can be compared instead of the documents. */
export type Digest = (text: string) => string;

/** A pull secret as Pullpass writes it, in any namespace. */
export interface Copy {
  /** The Secret's name. */
  readonly name: string;
  /** The value under `.dockerconfigjson`: the document in base64. */
  readonly data: string;
  /** The names of the registries in it, in configuration order. */
  readonly registries: readonly string[];
  /** See {@link contentOf}. */
  readonly content: string;
  /** Another content that is as good: one with credentials that are no longer written. A copy with it is left as it is. */
  readonly alternative?: string | undefined;
}

/** Whether a copy needs no write. */
export function isUpToDate(
  { content, alternative }: Pick<Copy, "content" | "alternative">,
  existing: Pick<ExistingCopy, "content">,
): boolean {
  return existing.content !== undefined && [content, alternative].includes(existing.content);
}

/** A Secret that has our label, as far as a plan needs it. Small, however large the Secret is. */
export interface ExistingCopy {
  readonly uid: string;
  /** `metadata.resourceVersion`: a greater one is newer. */
  readonly version: number;
  /**
   * See {@link contentOf}. Undefined if the Secret has no document or a different type, if our labels and annotations are
   * not as we write them, or if Pullpass did not write it.
   */
  readonly content: string | undefined;
  /** From `managedFields`: a tool that clones a copy clones the label, but not the API server's record of who wrote it. */
  readonly isWrittenByUs: boolean;
  /** False for a different type and for `immutable: true`: the API server then rejects new content. */
  readonly isUpdatable: boolean;
}

/**
 * Represents the content of a copy in comparisons: its document in base64, and the names of its registries joined by
 * commas. Only the digest is kept in memory, because a Secret with our label may hold a megabyte, and there may be many.
 */
export function contentOf(data: string, registries: string, digest: Digest): string {
  // The API server writes base64 without line breaks.
  return digest(`${data}\n${registries}`);
}

export type ReplicationAction =
  | { readonly kind: "create"; readonly copy: Copy }
  | { readonly kind: "update"; readonly copy: Copy; readonly uid: string }
  /** Remove and create, because the Secret cannot be updated in place. */
  | { readonly kind: "replace"; readonly copy: Copy; readonly uid: string }
  | { readonly kind: "remove"; readonly name: string; readonly uid: string }
  /** Nothing is written, because the Secret is a source; a person needs to know why. */
  | { readonly kind: "leave"; readonly name: string; readonly reason: LeaveReason };

/** Why a Secret that is a source needs a person's attention, as the reason of an Event. */
export type LeaveReason = keyof typeof LEAVE_REASONS;

/** Each sentence starts with the name of the Secret. */
export const LEAVE_REASONS = {
  SourceHasOurLabel: `is the source of a registry's credentials, but has the label ${MANAGED_BY_LABEL}=${MANAGER}, which marks copies. Pullpass does not change or delete it. Remove the label.`,
  SourceHasNameOfCopy:
    "is the source of a registry's credentials, but the copy of another registry has the same name. Pullpass does not write that copy here, and pods get the source instead. Rename the source, or set secretName of the other registry.",
} as const;

/** What a namespace should have. */
export interface DesiredCopies {
  readonly copies: readonly Copy[];
  /** The names of copies to leave as they are, because their credentials cannot be read now. */
  readonly retained: ReadonlySet<string>;
  /** Copies that no known registry has, and that are left as they are, because not all registries are known. */
  readonly unlisted: UnlistedCopies;
  /** The names of the Secrets in this namespace that are sources. */
  readonly sources: ReadonlySet<string>;
  /** The registries that the namespace may have, by name, and the name of the pull secret of each. */
  readonly registries: ReadonlyMap<string, string>;
  /** The pull secrets to attach to ServiceAccounts, including those that an admin manages, in configuration order. */
  readonly pullSecretNames: readonly string[];
}

/** The names of copies whose registries cannot be read now. */
export type UnlistedCopies = Pick<ReadonlySet<string>, "has" | "size">;

/** Nobody knows which registries there are besides those that are known. */
export const ALL_UNLISTED: UnlistedCopies = { has: () => true, size: Infinity };

const NO_NAMES: ReadonlySet<string> = new Set();
const NO_COPIES: DesiredCopies = {
  ...{ copies: [], retained: NO_NAMES, unlisted: NO_NAMES, sources: NO_NAMES },
  ...{ registries: new Map<string, string>(), pullSecretNames: [] },
};

/**
 * The Secret that merges all credentials that builds in a namespace may use. The dot keeps it apart from the default names
 * of copies, and the configuration rejects it as a `secretName`.
 */
export const BUILD_SECRET_NAME = "pullpass.build";

export type DesiredCopiesFor = (namespace: Namespace) => DesiredCopies;

/** Prepares the copies of all sources: each document is written once, not once per namespace. */
export function prepareCopies(
  sources: readonly Source[],
  digest: Digest,
  unlisted: UnlistedCopies = NO_NAMES,
): DesiredCopiesFor {
  const prepared = sources.map((source) => prepareSource(source, digest));
  const sourceNames = namesByNamespace(sources);
  // Namespaces that may have the same registries share their copies.
  const cache = new Map<string, DesiredCopies>();
  return (namespace) => {
    const desired = namespace.isOptedIn ? permittedIn(namespace) : NO_COPIES;
    const names = sourceNames.get(namespace.name);
    return names === undefined ? desired : { ...desired, sources: names };
  };

  function permittedIn(namespace: Namespace): DesiredCopies {
    const permitted = prepared
      .filter(({ source }) => isPermittedIn(source.registry, namespace.labels))
      .map((entry) => (isPullSecretItself(entry.source, namespace.name) ? { source: entry.source } : entry));
    const key = permitted
      .map(({ source, copy }) => `${source.registry.name} ${copy === undefined ? "" : "copied"}`)
      .join();
    const cached = cache.get(key);
    if (cached !== undefined) return cached;
    const desired = { ...combine(permitted, unlisted.size > 0, digest), unlisted };
    cache.set(key, desired);
    return desired;
  }
}

/** The names of the registries that were added or removed, or whose credentials changed. */
export function registriesChanged(before: readonly Source[], after: readonly Source[]): readonly string[] {
  const [old, current] = [before, after].map(
    (sources) => new Map(sources.map((source) => [source.registry.name, fingerprint(source)])),
  );
  const names = new Set([...before, ...after].map(({ registry }) => registry.name));
  return [...names].filter((name) => old?.get(name) !== current?.get(name));
}

function fingerprint({ credentials }: Source): string {
  if (typeof credentials === "string") return credentials;
  return JSON.stringify(
    credentials.map(({ address, username, password }) => [address.text, username, password]),
  );
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
interface PreparedSource {
  readonly source: Source;
  readonly copy?: Copy;
}

function prepareSource(source: Source, digest: Digest): PreparedSource {
  const { registry, credentials } = source;
  if (!registry.use.includes("pull") || typeof credentials === "string") return { source };
  const write = (document: string): Copy => writeCopy(registry.secretName, document, [registry.name], digest);
  const copy = write(writePullDocument(registry, credentials));
  if (credentials.every(({ previous }) => previous === undefined)) return { source, copy };
  const withPrevious = write(writePullDocumentWithPrevious(registry, credentials));
  const isInGrace = credentials.some(({ previous }) => previous?.isInGrace);
  // What has the previous credential keeps it until the next one comes: one write for each change, and not two.
  return { source, copy: isInGrace ? withPrevious : { ...copy, alternative: withPrevious.content } };
}

function writeCopy(name: string, document: string, registries: readonly string[], digest: Digest): Copy {
  const data = encodeBase64(document);
  return { name, data, registries, content: contentOf(data, registries.join(","), digest) };
}

/** In its own namespace, a source with the name of the copy serves as the pull secret. */
function isPullSecretItself({ secret, registry }: Source, namespace: string): boolean {
  return secret?.namespace === namespace && secret.name === registry.secretName;
}

function combine(
  permitted: readonly PreparedSource[],
  isIncomplete: boolean,
  digest: Digest,
): Omit<DesiredCopies, "unlisted"> {
  const copies: Copy[] = [];
  const retained = new Set<string>();
  const pullSecretNames = new Set<string>();
  for (const { source, copy } of permitted) {
    const { secretName, use } = source.registry;
    if (!use.includes("pull")) continue;
    pullSecretNames.add(secretName);
    if (copy !== undefined) copies.push(copy);
    else if (source.credentials === "unreadable") retained.add(secretName);
  }
  const build = combineForBuilds(permitted.map(({ source }) => source));
  if (build.isRetained || isIncomplete) retained.add(BUILD_SECRET_NAME);
  if (build.document !== EMPTY_DOCUMENT) {
    copies.push(writeCopy(BUILD_SECRET_NAME, build.document, build.registries, digest));
  }
  const registries = new Map(
    permitted.map(({ source: { registry } }) => [registry.name, registry.secretName]),
  );
  return { ...NO_COPIES, copies, retained, registries, pullSecretNames: [...pullSecretNames] };
}

/*
 * sources for builds      | the build secret
 * none, or none with keys | none
 * all can be read         | written
 * one cannot be read      | retained; if there is none, written from the others
 */
function combineForBuilds(permitted: readonly Source[]): {
  readonly isRetained: boolean;
  readonly document: string;
  readonly registries: readonly string[];
} {
  const forBuilds = permitted.filter(({ registry }) => registry.use.includes("build"));
  const readable = forBuilds.flatMap(({ registry, credentials }) =>
    typeof credentials === "string" ? [] : [{ registry, credentials }],
  );
  return {
    isRetained: forBuilds.some(({ credentials }) => credentials === "unreadable"),
    document: writeBuildDocument(readable),
    registries: readable.map(({ registry }) => registry.name),
  };
}

/*
 * The action for each name of a Secret. Existing: has our label.
 *
 * source | desired | retained | existing | by us | as desired | updatable | action
 * yes    | yes     |          |          |       |            |           | leave: SourceHasNameOfCopy
 * yes    | no      |          | yes      |       |            |           | leave: SourceHasOurLabel
 * yes    | no      |          | no       |       |            |           | none
 * no     | yes     |          | no       |       |            |           | create
 * no     | yes     | no       | yes      |       | yes        |           | none
 * no     | yes     | no       | yes      |       | no         | yes       | update
 * no     | yes     | no       | yes      |       | no         | no        | replace
 * no     |         | yes      | yes      |       |            |           | none
 * no     | no      | unlisted | yes      |       |            |           | none
 * no     | no      | no       | yes      | yes   |            |           | remove
 * no     | no      | no       | yes      | no    |            |           | none: a clone of a copy, maybe meant as a source
 *
 * In a namespace that is being deleted, nothing can be created, and Kubernetes deletes everything.
 */
export function planReplication(
  namespace: Namespace,
  { copies, retained, unlisted, sources }: DesiredCopies,
  existing: ReadonlyMap<string, ExistingCopy>,
): readonly ReplicationAction[] {
  if (namespace.isTerminating) return [];
  const actions: ReplicationAction[] = [];
  for (const copy of copies) {
    const { name } = copy;
    const current = existing.get(name);
    if (sources.has(name)) actions.push({ kind: "leave", name, reason: "SourceHasNameOfCopy" });
    else if (current === undefined) actions.push({ kind: "create", copy });
    else if (!retained.has(name) && !isUpToDate(copy, current)) {
      actions.push({ kind: current.isUpdatable ? "update" : "replace", copy, uid: current.uid });
    }
  }
  for (const [name, { uid, isWrittenByUs }] of existing) {
    if (copies.some((copy) => copy.name === name)) continue;
    if (sources.has(name)) actions.push({ kind: "leave", name, reason: "SourceHasOurLabel" });
    else if (isWrittenByUs && !retained.has(name) && !unlisted.has(name)) {
      actions.push({ kind: "remove", name, uid });
    }
  }
  return actions;
}
