/** Namespaces: who opted in, which registries they may have, and which copies are there or blocked. */
import {
  describeProblem,
  formatSelector,
  parseSelector,
  REGISTRIES_ANNOTATION,
  selectorMatches,
} from "../core/labels.ts";
import { asArray, getString, isObject } from "../core/kubernetes.ts";
import { isPermittedIn } from "../core/registry.ts";
import { BUILD_SECRET_NAME } from "../core/replication.ts";
import { hasStatus } from "../kube/errors.ts";
import { listObjects } from "../kube/list.ts";
import { isManaged } from "../kube/resources/copies.ts";
import { readMetadata } from "../kube/resources/metadata.ts";
import type { Transport } from "../kube/transport.ts";
import type { NamespaceDetails, NamespaceList, NamespaceRow, State } from "./api.ts";
import type { ClusterView, StoredNamespace } from "./cluster-view.ts";
import { ConsoleError } from "./errors.ts";

export interface NamespaceQuery {
  /** A part of the name, or a label selector as kubectl takes it. */
  readonly filter: string;
  readonly offset: number;
  readonly isOptedInOnly: boolean;
}

/** Rows of one page. */
const PAGE_SIZE = 100;

export async function listNamespaces(
  { filter, offset, isOptedInOnly }: NamespaceQuery,
  view: ClusterView,
  stuckPods: ReadonlyMap<string, number>,
): Promise<NamespaceList> {
  await Promise.all([view.namespaces.ready(), view.registries.ready()]);
  const selects = selection(filter);
  const all = view.namespaces.entries();
  const selected = all
    .filter(([name, namespace]) => (!isOptedInOnly || namespace.isOptedIn) && selects(name, namespace))
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const { registries } = view.joined();
  const start = Math.max(0, Math.min(offset, selected.length - 1));
  const first = start - (start % PAGE_SIZE);
  const rows = selected.slice(first, first + PAGE_SIZE).map(([name, namespace]): NamespaceRow => ({
    name,
    isOptedIn: namespace.isOptedIn,
    isTerminating: namespace.isTerminating,
    registries: registries
      .filter((registry) => isPermittedIn(registry, namespace.labels))
      .map((registry) => registry.name),
    problems: namespace.problems.map((problem) => describeProblem(problem, namespace.labels)),
    stuckPods: stuckPods.get(name) ?? 0,
  }));
  return {
    rows,
    unread: [view.namespaces.refusal() ?? []].flat(),
    total: selected.length,
    optedIn: all.filter(([, { isOptedIn }]) => isOptedIn).length,
    offset: first,
  };
}

/** What could be a part of a name is one: `team` finds team-a, and `team=a` is about labels. */
function selection(filter: string): (name: string, namespace: StoredNamespace) => boolean {
  const text = filter.trim();
  if (/^[a-z0-9-]*$/.test(text)) return (name) => name.includes(text);
  const selector = parseSelector(text);
  if (selector === undefined)
    throw new ConsoleError(
      422,
      "invalid",
      "not a label selector, such as team=a,tier!=test or env in (dev,test)",
    );
  return (_, { labels }) => selectorMatches(selector, labels);
}

/** The Secrets of one namespace that are copies or are in the way of one, by their metadata alone. */
export async function readNamespaceDetails(
  name: string,
  view: ClusterView,
  transport: Pick<Transport, "list">,
): Promise<NamespaceDetails> {
  await Promise.all([view.namespaces.ready(), view.registries.ready()]);
  const namespace = view.namespaces.get("", name);
  if (namespace === undefined) throw new ConsoleError(404, "not-found", `there is no namespace ${name}`);
  const permitted = view.joined().registries.filter((registry) => isPermittedIn(registry, namespace.labels));
  const wanted = new Map<string, string[]>();
  const want = (secret: string, registry: string): unknown =>
    wanted.getOrInsertComputed(secret, () => []).push(registry);
  for (const registry of namespace.isOptedIn && !namespace.isTerminating ? permitted : []) {
    if (registry.source !== undefined && registry.use.includes("pull"))
      want(registry.secretName, registry.name);
    if (registry.buildSource?.kind === "build-secret") want(BUILD_SECRET_NAME, registry.name);
  }
  const { found, unread } = await readSecrets(name, transport);
  for (const [secret, { registries }] of found)
    if (registries !== undefined && !wanted.has(secret)) wanted.set(secret, [...registries]);
  return {
    labels: formatSelector({ matchLabels: namespace.labels }),
    copies: [...wanted].map(([secret, registries]) => ({
      secret,
      registries,
      state: unread.length > 0 ? { level: "quiet", words: "Not known" } : stateOf(found.get(secret)),
    })),
    unread,
  };
}

interface FoundSecret {
  /** Undefined for a Secret that is not Pullpass's. */
  readonly registries: readonly string[] | undefined;
  /** Who wrote it last, as the API server notes it. */
  readonly manager: string;
}

async function readSecrets(
  namespace: string,
  transport: Pick<Transport, "list">,
): Promise<{ readonly found: ReadonlyMap<string, FoundSecret>; readonly unread: readonly string[] }> {
  try {
    const collection = { path: `/api/v1/namespaces/${namespace}/secrets`, metadataOnly: true };
    const secrets = await listObjects(transport, collection, (object) => {
      const { name, annotations } = readMetadata(object);
      const registries = (getString(annotations, REGISTRIES_ANNOTATION) ?? "").split(",");
      const metadata = isObject(object["metadata"]) ? object["metadata"] : {};
      const managers = asArray(metadata["managedFields"]).flatMap(
        (record) => getString(record, "manager") ?? [],
      );
      const isOurs = isManaged(object);
      return [
        name,
        {
          registries: isOurs ? registries.filter((each) => each !== "") : undefined,
          manager: managers.at(-1) ?? "",
        },
      ] as const;
    });
    return { found: new Map(secrets), unread: [] };
  } catch (error) {
    if (!hasStatus(error, 403)) throw error;
    return { found: new Map(), unread: [error.message] };
  }
}

function stateOf(secret: FoundSecret | undefined): State {
  if (secret === undefined) return { level: "busy", words: "Not written yet" };
  if (secret.registries !== undefined) return { level: "good", words: "There" };
  const by = secret.manager === "" ? "" : `, written by ${secret.manager}`;
  return { level: "bad", words: `Blocked by a Secret that is not Pullpass's${by}` };
}
