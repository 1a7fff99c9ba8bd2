/** Lists a collection: in pages, for the API server's sake, and of each page one object after the other, for ours. */
import { getString, type JsonObject } from "../core/kubernetes.ts";
import type { Transport } from "./transport.ts";

export interface Collection {
  /** Such as `/api/v1/secrets`. */
  readonly path: string;
  /** Selectors. */
  readonly query?: Readonly<Record<string, string>>;
  /** Asks for `metadata` alone, which saves the API server and us the rest. */
  readonly metadataOnly?: boolean;
}

/** What the API server has in memory for us: 200 copies are 400 KB of JSON, and the largest Secrets 200 MiB. */
const PAGE_SIZE = 200;

/**
 * Hands on every object, and returns the resource version to watch from. Reads what is stored, not what some cache of the
 * API server has: with a cache, it ignores the size of pages.
 *
 * @throws KubeApiError 410 when the listing took longer than the API server keeps its state (5 min): start over.
 */
export async function listPages(
  client: Pick<Transport, "list">,
  { path, query, metadataOnly = false }: Collection,
  onObject: (object: JsonObject) => void,
  onPage: () => void,
  pageSize = PAGE_SIZE,
): Promise<string> {
  let continuation: string | undefined;
  for (;;) {
    const page = await client.list(
      {
        method: "GET",
        path,
        query: {
          ...query,
          limit: pageSize.toString(),
          ...(continuation !== undefined && { continue: continuation }),
        },
        ...(metadataOnly && { accept: metadataAccept("PartialObjectMetadataList") }),
      },
      onObject,
    );
    onPage();
    continuation = getString(page["metadata"], "continue");
    if (continuation === undefined || continuation === "") {
      return getString(page["metadata"], "resourceVersion") ?? "";
    }
  }
}

/** What `read` makes of each object of a collection; those of which it makes nothing are left out. */
export async function listObjects<T>(
  client: Pick<Transport, "list">,
  collection: Collection,
  read: (object: JsonObject) => T | undefined,
): Promise<readonly T[]> {
  const found: T[] = [];
  const add = (object: JsonObject): void => {
    const one = read(object);
    if (one !== undefined) found.push(one);
  };
  await listPages(client, collection, add, () => undefined);
  return found;
}

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches; plain JSON where it is not known. */
export function metadataAccept(kind: "PartialObjectMetadata" | "PartialObjectMetadataList"): string {
  return `application/json;as=${kind};g=meta.k8s.io;v=v1,application/json`;
}
