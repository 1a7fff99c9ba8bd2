/** A reflector that writes down what it is told. */
import { getString, type JsonObject } from "../../src/core/kubernetes.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import type { Reflector, ReflectorOptions, RestartReason } from "../../src/kube/reflector.ts";
import { startReflector } from "../../src/kube/start-reflector.ts";

export interface Recording {
  readonly reflector: Reflector;
  /** What is known now: name -> what `toFact` keeps, by default the resource version. */
  readonly known: Map<string, string>;
  /** Everything in the order it was told: `relist a,b`, `change a`, `remove a`. */
  readonly told: string[];
  readonly restarts: RestartReason[];
  /** `list KubeApiError`, `recovery` and so on. */
  readonly faults: string[];
}

export function recordReflector(
  client: KubeClient,
  options: Pick<ReflectorOptions<string>, "collection" | "timings"> & {
    readonly factOf?: (object: JsonObject) => string;
  },
): Recording {
  const { factOf = versionOf } = options;
  const known = new Map<string, string>();
  const told: string[] = [];
  const restarts: RestartReason[] = [];
  const faults: string[] = [];
  const reflector = startReflector<string>({
    client,
    collection: options.collection,
    timings: { firstMs: 20, maxMs: 200, ...options.timings },
    toFact: (object) => ({ key: getString(object["metadata"], "name") ?? "", fact: factOf(object) }),
    listener: {
      onRelist(facts) {
        known.clear();
        for (const [key, fact] of facts) known.set(key, fact);
        told.push(`relist ${[...facts.keys()].join(",")}`);
      },
      onChange(key, fact) {
        known.set(key, fact);
        told.push(`change ${key}`);
      },
      onRemove(key) {
        known.delete(key);
        told.push(`remove ${key}`);
      },
    },
    onFault(action, error) {
      faults.push(`${action} ${error instanceof Error ? error.name : "?"}`);
    },
    onRecovery: () => faults.push("recovery"),
    onRestart: (reason) => restarts.push(reason),
  });
  return { reflector, known, told, restarts, faults };
}

function versionOf(object: JsonObject): string {
  return getString(object["metadata"], "resourceVersion") ?? "";
}
