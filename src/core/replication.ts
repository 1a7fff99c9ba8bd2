/** Plans the copies of a namespace: what to write and what to remove, so that it has what it may have, and no more. */
import type { Address } from "./address.ts";
import type { AddressedCredential } from "./credential.ts";
import type { Namespace } from "./kubernetes.ts";
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

/** A pull secret as it has to be, whatever the namespace. */
export interface Copy {
  /** The Secret's name. */
  readonly name: string;
  /** The text under `.dockerconfigjson`. */
  readonly document: string;
  /** The names of the registries in it, in configuration order. */
  readonly registries: readonly string[];
}

/** A Secret that carries our label, as far as a plan goes. */
export interface ExistingCopy {
  readonly uid: string;
  /** `metadata.resourceVersion`: a greater one is newer. */
  readonly version: number;
  /** The text under `.dockerconfigjson`; undefined if there is none, or if the Secret's type is another. */
  readonly document: string | undefined;
  /** The names in its annotation, joined by commas. */
  readonly registries: string | undefined;
  /** Labels and annotations of ours are all as we write them. */
  readonly isMarked: boolean;
  /** False for another type and for `immutable: true`: the API server then takes no new content. */
  readonly isUpdatable: boolean;
}

export type ReplicationAction =
  | { readonly kind: "create"; readonly copy: Copy }
  | { readonly kind: "update"; readonly copy: Copy; readonly uid: string }
  /** Removes and creates, because the Secret cannot be changed in place. */
  | { readonly kind: "replace"; readonly copy: Copy; readonly uid: string }
  | { readonly kind: "remove"; readonly name: string; readonly uid: string };

/** What a namespace has to have. */
export interface WantedCopies {
  readonly copies: readonly Copy[];
  /** Secrets that stay as they are: what has to be in them cannot be read now. */
  readonly kept: ReadonlySet<string>;
  /** The pull secrets that ServiceAccounts are given, those that an admin keeps included, in configuration order. */
  readonly pullSecretNames: readonly string[];
}

const NOTHING: WantedCopies = { copies: [], kept: new Set(), pullSecretNames: [] };

/**
 * The Secret of a namespace that holds, merged, what builds there may use. With a dot, so that no registry has the name by
 * default; the configuration refuses it where it is given.
 */
export const BUILD_SECRET_NAME = "pullpass.build";

/** Says what a namespace has to have; documents are written once, not once a namespace. */
export type CopyCatalog = (namespace: Namespace) => WantedCopies;

export function catalogCopies(sources: readonly Source[]): CopyCatalog {
  const written = sources.map(writeSource);
  // Namespaces that may have the same registries have the same copies.
  const remembered = new Map<string, WantedCopies>();
  return (namespace) => {
    if (!namespace.isOptedIn) return NOTHING;
    const permitted = written
      .filter(({ source }) => isPermittedIn(source.registry, namespace.labels))
      .map((entry) => (isItsSource(entry.source, namespace.name) ? { source: entry.source } : entry));
    const key = permitted
      .map(({ source, document }) => `${source.registry.name} ${document === undefined ? "" : "copied"}`)
      .join();
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const wanted = wantCopies(permitted);
    remembered.set(key, wanted);
    return wanted;
  };
}

/** A source and the document of its own copy, which is the same in all namespaces. */
interface WrittenSource {
  readonly source: Source;
  readonly document?: string;
}

function writeSource(source: Source): WrittenSource {
  const { registry, credentials } = source;
  const isCopied = registry.use.includes("pull") && typeof credentials !== "string";
  return isCopied ? { source, document: writePullDocument(registry, credentials) } : { source };
}

/** In the namespace of the source, under the source's own name, the source is the pull secret. */
function isItsSource({ secret, registry }: Source, namespace: string): boolean {
  return secret?.namespace === namespace && secret.name === registry.secretName;
}

function wantCopies(permitted: readonly WrittenSource[]): WantedCopies {
  const copies: Copy[] = [];
  const kept = new Set<string>();
  const pullSecretNames: string[] = [];
  for (const { source, document } of permitted) {
    const { name, secretName, use } = source.registry;
    if (!use.includes("pull")) continue;
    if (!pullSecretNames.includes(secretName)) pullSecretNames.push(secretName);
    if (document !== undefined) copies.push({ name: secretName, document, registries: [name] });
    else if (source.credentials === "unreadable") kept.add(secretName);
  }
  addBuildSecret(
    permitted.map(({ source }) => source),
    copies,
    kept,
  );
  return { copies, kept, pullSecretNames };
}

/*
 * sources for builds     | the build secret
 * none, or none with keys | none
 * all can be read        | written
 * one cannot be read     | kept as it is; where there is none, written from the others
 */
function addBuildSecret(permitted: readonly Source[], copies: Copy[], kept: Set<string>): void {
  const forBuilds = permitted.filter(({ registry }) => registry.use.includes("build"));
  const readable = forBuilds.flatMap(({ registry, credentials }) =>
    typeof credentials === "string" ? [] : [{ registry, credentials }],
  );
  if (forBuilds.some(({ credentials }) => credentials === "unreadable")) kept.add(BUILD_SECRET_NAME);
  const document = writeBuildDocument(readable);
  if (document === EMPTY_DOCUMENT) return;
  copies.push({
    name: BUILD_SECRET_NAME,
    document,
    registries: readable.map(({ registry }) => registry.name),
  });
}

/*
 * What becomes of one Secret's name.
 *
 * wanted | kept | existing | as wanted | updatable | action
 * yes    |      | no       |           |           | create
 * yes    | no   | yes      | yes       |           | none
 * yes    | no   | yes      | no        | yes       | update
 * yes    | no   | yes      | no        | no        | replace
 *        | yes  | yes      |           |           | none
 * no     | no   | yes      |           |           | remove
 *
 * In a namespace that is on its way out nothing can be created, and everything goes by itself.
 */
export function planReplication(
  namespace: Namespace,
  { copies, kept }: WantedCopies,
  existing: ReadonlyMap<string, ExistingCopy>,
): readonly ReplicationAction[] {
  if (namespace.isTerminating) return [];
  const actions: ReplicationAction[] = [];
  for (const copy of copies) {
    const current = existing.get(copy.name);
    if (current === undefined) actions.push({ kind: "create", copy });
    else if (!kept.has(copy.name) && !isAsWanted(current, copy)) {
      actions.push({ kind: current.isUpdatable ? "update" : "replace", copy, uid: current.uid });
    }
  }
  for (const [name, { uid }] of existing) {
    const isWanted = kept.has(name) || copies.some((copy) => copy.name === name);
    if (!isWanted) actions.push({ kind: "remove", name, uid });
  }
  return actions;
}

function isAsWanted(existing: ExistingCopy, copy: Copy): boolean {
  return (
    existing.isMarked &&
    existing.document === copy.document &&
    existing.registries === copy.registries.join(",")
  );
}
