/** Lists a collection in pages, so that it never stands in memory as a whole. */
import { elementsOf, isObject, textOf, type JsonObject } from "../core/kubernetes.ts";
import type { KubeClient } from "./client.ts";

export interface Collection {
  /** Such as `/api/v1/secrets`. */
  readonly path: string;
  /** Selectors. */
  readonly query?: Readonly<Record<string, string>>;
  /** Asks for `metadata` alone, which saves the API server and us the rest. */
  readonly metadataOnly?: boolean;
}

/**
 * A page of 200 copies is 400 KB of JSON, and some times that when it is parsed: what pages leave behind is most of what a
 * start takes in memory. A page of the largest Secrets, 1 MiB each, is still 200 MiB.
 */
const PAGE_SIZE = 200;

/**
 * Hands on every object, and returns the resource version to watch from. Reads what is stored, not what some cache of the
 * API server has: with a cache, it ignores the size of pages.
 *
 * @throws KubeApiError 410 when the listing took longer than the API server keeps its state (5 min): start over.
 */
export async function listPages(
  client: KubeClient,
  { path, query, metadataOnly = false }: Collection,
  onObject: (object: JsonObject) => void,
  onPage: () => void,
  pageSize = PAGE_SIZE,
): Promise<string> {
  let continuation: string | undefined;
  for (;;) {
    const page = await client.request({
      method: "GET",
      path,
      query: {
        ...query,
        limit: pageSize.toString(),
        ...(continuation !== undefined && { continue: continuation }),
      },
      ...(metadataOnly && { accept: metadataAccept("PartialObjectMetadataList") }),
    });
    for (const item of elementsOf(page["items"])) if (isObject(item)) onObject(item);
    onPage();
    continuation = textOf(page["metadata"], "continue");
    if (continuation === undefined || continuation === "") {
      return textOf(page["metadata"], "resourceVersion") ?? "";
    }
  }
}

/** https://kubernetes.io/docs/reference/using-api/api-concepts/#metadata-only-fetches; plain JSON where it is not known. */
export function metadataAccept(kind: "PartialObjectMetadata" | "PartialObjectMetadataList"): string {
  return `application/json;as=${kind};g=meta.k8s.io;v=v1,application/json`;
}
