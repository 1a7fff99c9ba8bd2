/** The watches: what they tell goes to the webhook's facts and to the replicator. */
import type { JsonObject, Namespace } from "../core/kubernetes.ts";
import { MANAGED_BY_LABEL, MANAGER } from "../core/labels.ts";
import type { AccountFacts } from "../kube/account-facts.ts";
import type { Intern } from "../kube/intern.ts";
import { readCopy } from "../kube/read-copy.ts";
import { readMetadata } from "../kube/read-metadata.ts";
import { readNamespace } from "../kube/read-namespace.ts";
import { secretsPath } from "../kube/secrets.ts";
import { readServiceAccountMetadata } from "../kube/service-accounts.ts";
import type { ReflectorOptions } from "../kube/reflector.ts";
import type { Replicator } from "../replicator/controller.ts";
import { accountListener, copyListener, namespaceListener } from "./listeners.ts";
import { describeSecret, type SecretName, type SecretWatch } from "./sources.ts";
import { startWatch, type RunningWatch, type WatchContext } from "./start-watch.ts";

export interface ClusterWatchOptions extends WatchContext {
  readonly intern: Intern;
  /** Kept as the cluster has them. */
  readonly namespaces: Map<string, Namespace>;
  /** By the clock of `Date`; see the listener. */
  readonly optInTimes: Map<string, number>;
  readonly replicator: Replicator;
  readonly accountFacts: AccountFacts;
}

export interface ClusterWatches {
  /** Resolves once namespaces, copies and accounts are known. */
  readonly synced: Promise<unknown>;
  /** What is not known yet. */
  unsynced(): readonly string[];
  /** Seconds since each watch last told something; one that never did counts from its start. */
  agesSeconds(): ReadonlyMap<string, number>;
  watchSecret(secret: SecretName, onChange: (state: JsonObject | "missing") => void): SecretWatch;
  /** Follows one object of the collection at `path`; `watch` is what it is called in logs and metrics. */
  watchObject(
    object: { readonly watch: string; readonly path: string; readonly name: string },
    onChange: (state: JsonObject | "missing") => void,
  ): SecretWatch;
  close(): void;
}

/** The watchdog begins anew after 90 s of silence; where that helps, it counts as being heard of. */
const SILENCE_MS = 3 * 60_000;
const SILENCE_CHECK_MS = 60_000;

export function watchCluster(options: ClusterWatchOptions): ClusterWatches {
  const { intern, namespaces, optInTimes, replicator, accountFacts } = options;
  const running = new Map<string, RunningWatch>();

  const start = <Fact>(
    name: string,
    definition: Pick<ReflectorOptions<Fact>, "collection" | "toFact" | "listener">,
  ): RunningWatch => {
    const watch = startWatch(name, definition, options);
    running.set(name, watch);
    return watch;
  };
  const main = [
    start("namespaces", {
      collection: { path: "/api/v1/namespaces", metadataOnly: true },
      toFact(object) {
        const namespace = readNamespace(object, intern);
        return { key: namespace.name, fact: namespace };
      },
      listener: namespaceListener(namespaces, optInTimes, replicator, Date.now),
    }),
    start("copies", {
      collection: { path: "/api/v1/secrets", query: { labelSelector: `${MANAGED_BY_LABEL}=${MANAGER}` } },
      toFact: (object) => ({ key: keyOf(object), fact: readCopy(object, intern) }),
      listener: copyListener(replicator, intern),
    }),
    start("service accounts", {
      collection: { path: "/api/v1/serviceaccounts", metadataOnly: true },
      toFact: (object) => ({ key: keyOf(object), fact: readServiceAccountMetadata(object) }),
      listener: accountListener(replicator, accountFacts),
    }),
  ];

  const agesSeconds = (): ReadonlyMap<string, number> => {
    const now = Date.now();
    const age = ({ reflector, startedAt }: RunningWatch): number =>
      (now - (reflector.lastActivityAt ?? startedAt)) / 1000;
    return new Map([...running].map(([name, watch]) => [name, age(watch)]));
  };
  const silenceCheck = setInterval(() => {
    for (const [watch, age] of agesSeconds()) {
      if (age * 1000 < SILENCE_MS) continue;
      const silentSeconds = Math.round(age);
      options.logger.error(
        { watch, silentSeconds },
        "nothing is heard of the cluster; what is known may be outdated",
      );
    }
  }, SILENCE_CHECK_MS).unref();

  const watchObject: ClusterWatches["watchObject"] = ({ watch: watchName, path, name }, onChange) => {
    const watch = start(watchName, {
      collection: { path, query: { fieldSelector: `metadata.name=${name}` } },
      toFact: (object) => ({ key: name, fact: object }),
      listener: {
        onRelist(facts) {
          onChange(facts.get(name) ?? "missing");
        },
        onChange(_, object) {
          onChange(object);
        },
        onRemove() {
          onChange("missing");
        },
      },
    });
    return {
      asked: watch.asked,
      close() {
        watch.reflector.close();
        running.delete(watchName);
      },
    };
  };

  return {
    synced: Promise.all(main.map(({ synced }) => synced)),
    unsynced: () => main.flatMap(({ name, reflector }) => (reflector.isSynced ? [] : [name])),
    agesSeconds,
    watchSecret: ({ namespace, name }, onChange) =>
      watchObject(
        { watch: `secret ${describeSecret({ namespace, name })}`, path: secretsPath(namespace), name },
        onChange,
      ),
    watchObject,
    close() {
      clearInterval(silenceCheck);
      for (const { reflector } of running.values()) reflector.close();
    },
  };
}

function keyOf(object: JsonObject): string {
  const { namespace, name } = readMetadata(object);
  return `${namespace}/${name}`;
}
