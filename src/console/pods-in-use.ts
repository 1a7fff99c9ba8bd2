/** Which running pods pull with a registry's credentials, by the annotation in which the webhook or the policy wrote what it gave them. */
import { getString } from "../core/kubernetes.ts";
import { INJECTED_ANNOTATION } from "../core/labels.ts";
import { hasStatus } from "../kube/errors.ts";
import { listPages } from "../kube/list.ts";
import { readMetadata } from "../kube/resources/metadata.ts";
import type { Transport } from "../kube/transport.ts";
import type { PodsInUse } from "./api.ts";
import type { ClusterView } from "./cluster-view.ts";

/** Null if this person may not list pods. */
export type CountPodsInUse = (registry: string) => Promise<PodsInUse | null>;

const MAX_EXAMPLES = 5;
/** Metadata of a pod is 2 KB: a page is 1 MB. */
const PAGE_SIZE = 500;
/** One look at the pods of the cluster serves every registry until then. */
const KEPT_MS = 5_000;
/** Of the time: a cluster with 50,000 pods takes seconds to list. */
const MAX_SHARE_OF_LISTING = 0.1;

type Counts = ReadonlyMap<string, PodsInUse>;

export function createPodsInUse(
  view: Pick<ClusterView, "joined" | "registries">,
  transport: Pick<Transport, "list">,
): CountPodsInUse {
  let counting: Promise<Counts | null> | undefined;
  let isDueAt = 0;

  async function count(): Promise<Counts | null> {
    const startedAt = performance.now();
    try {
      const names = view.joined().registries.map(({ name }) => name);
      return await countPods(
        new Set([...names, ...view.registries.entries().map(([name]) => name)]),
        transport,
      );
    } catch (error) {
      if (hasStatus(error, 403)) return null;
      throw error;
    } finally {
      const tookMs = performance.now() - startedAt;
      isDueAt = performance.now() + Math.max(KEPT_MS, tookMs / MAX_SHARE_OF_LISTING);
    }
  }

  return async (registry) => {
    if (counting === undefined || performance.now() >= isDueAt) {
      isDueAt = Infinity;
      counting = count();
      // What failed is asked again.
      counting.catch(() => (counting = undefined));
    }
    const counts = await counting;
    return counts && (counts.get(registry) ?? { count: 0, examples: [] });
  };
}

/** Whoever creates a pod may write anything into its annotations. */
async function countPods(
  registries: ReadonlySet<string>,
  transport: Pick<Transport, "list">,
): Promise<Counts> {
  const counts = new Map<string, { count: number; examples: PodsInUse["examples"] }>();
  const collection = {
    path: "/api/v1/pods",
    query: { fieldSelector: "status.phase=Running" },
    metadataOnly: true,
  };
  await listPages(
    transport,
    collection,
    (object) => {
      const { namespace, name, annotations } = readMetadata(object);
      const injected = getString(annotations, INJECTED_ANNOTATION) ?? "";
      for (const registry of registries.intersection(new Set(injected.split(",")))) {
        const known = counts.getOrInsertComputed(registry, () => ({ count: 0, examples: [] }));
        known.count++;
        if (known.examples.length < MAX_EXAMPLES) known.examples = [...known.examples, { namespace, name }];
      }
    },
    () => undefined,
    PAGE_SIZE,
  );
  return counts;
}
