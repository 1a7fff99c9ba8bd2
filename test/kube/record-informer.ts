/** An informer that writes down what it reports. */
import { getString, type JsonObject } from "../../src/core/kubernetes.ts";
import type { Versioned } from "../../src/core/store.ts";
import { Informer, type InformerOptions, type RestartReason } from "../../src/kube/informer.ts";
import { readMetadata } from "../../src/kube/resources/metadata.ts";
import type { Transport } from "../../src/kube/transport.ts";

interface Kept extends Versioned {
  readonly fact: string;
}

export interface Recording {
  readonly informer: Informer<Kept>;
  /** What is known now: name -> what `factOf` keeps, by default the resource version. */
  readonly known: ReadonlyMap<string, string>;
  /** Everything in the order it was reported: after a list `list` and all names, then `change a`, `remove a`. */
  readonly reported: string[];
  readonly restarts: RestartReason[];
  /** `list KubeApiError`, `recovery` and so on. */
  readonly faults: string[];
}

export function recordInformer(
  transport: Pick<Transport, "list" | "watch">,
  options: Pick<InformerOptions<Kept>, "collection" | "timings"> & {
    readonly factOf?: (object: JsonObject) => string;
  },
): Recording {
  const { factOf = versionOf } = options;
  const known = new Map<string, string>();
  const reported: string[] = [];
  const restarts: RestartReason[] = [];
  const faults: string[] = [];
  let isListing = false;
  const informer = new Informer<Kept>({
    transport: {
      async list(request, onItem) {
        isListing = true;
        try {
          return await transport.list(request, onItem);
        } catch (error) {
          isListing = false;
          throw error;
        }
      },
      watch(...watch) {
        if (isListing) reported.push(`list ${[...known.keys()].join(",")}`);
        isListing = false;
        return transport.watch(...watch);
      },
    },
    collection: options.collection,
    timings: { firstMs: 20, maxMs: 200, ...options.timings },
    project: (object) => ({ version: readMetadata(object).version, fact: factOf(object) }),
    onFault(action, error) {
      faults.push(`${action} ${error instanceof Error ? error.name : "?"}`);
    },
    onRecovery: () => faults.push("recovery"),
    onRestart: (reason) => restarts.push(reason),
  });
  informer.subscribe((_, name, current) => {
    if (current === undefined) known.delete(name);
    else known.set(name, current.fact);
    if (!isListing) reported.push(`${current === undefined ? "remove" : "change"} ${name}`);
  });
  informer.start();
  return { informer, known, reported, restarts, faults };
}

function versionOf(object: JsonObject): string {
  return getString(object["metadata"], "resourceVersion") ?? "";
}
