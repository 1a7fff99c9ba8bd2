/** The watches: what they tell goes to the webhook's facts and to the replicator. */
import type { Logger } from "pino";
import type { JsonObject, Namespace } from "../core/kubernetes.ts";
import { MANAGED_BY_LABEL, MANAGER } from "../core/labels.ts";
import type { AccountFacts } from "../kube/account-facts.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Intern } from "../kube/intern.ts";
import { readCopy } from "../kube/read-copy.ts";
import { readMetadata } from "../kube/read-metadata.ts";
import { readNamespace } from "../kube/read-namespace.ts";
import { secretsPath } from "../kube/secrets.ts";
import { readServiceAccountMetadata } from "../kube/service-accounts.ts";
import type { Reflector, ReflectorOptions, ReflectorTimings } from "../kube/reflector.ts";
import { startReflector } from "../kube/start-reflector.ts";
import type { Replicator } from "../replicator/controller.ts";
import { accountListener, copyListener, namespaceListener } from "./listeners.ts";
import { describeSecret, type SecretName, type SecretWatch } from "./sources.ts";

export interface ClusterWatchOptions {
  readonly client: KubeClient;
  readonly intern: Intern;
  /** Kept as the cluster has them. */
  readonly namespaces: Map<string, Namespace>;
  readonly replicator: Replicator;
  readonly accountFacts: AccountFacts;
  readonly timings: Partial<ReflectorTimings>;
  readonly onRestart: (watch: string, reason: string) => void;
  readonly logger: Logger;
}

export interface ClusterWatches {
  /** Resolves once namespaces, copies and accounts are known. */
  readonly synced: Promise<unknown>;
  /** What is not known yet. */
  unsynced(): readonly string[];
  /** Seconds since each watch last told something; one that never did counts from its start. */
  agesSeconds(): ReadonlyMap<string, number>;
  watchSecret(secret: SecretName, onChange: (state: JsonObject | "missing") => void): SecretWatch;
  close(): void;
}

interface RunningWatch {
  readonly name: string;
  readonly startedAt: number;
  readonly reflector: Reflector;
  /** Resolves with the first list. */
  readonly synced: Promise<void>;
  /** Resolves with the first list, or once the first one was refused. */
  readonly asked: Promise<void>;
}

/** Bookmarks come about once a minute, and the watchdog begins anew after 90 s of silence. */
const SILENCE_MS = 3 * 60_000;
const SILENCE_CHECK_MS = 60_000;

export function watchCluster(options: ClusterWatchOptions): ClusterWatches {
  const { intern, namespaces, replicator, accountFacts } = options;
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
      collection: { path: "/api/v1/namespaces" },
      toFact(object) {
        const namespace = readNamespace(object, intern);
        return { key: namespace.name, fact: namespace };
      },
      listener: namespaceListener(namespaces, replicator),
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

  return {
    synced: Promise.all(main.map(({ synced }) => synced)),
    unsynced: () => main.flatMap(({ name, reflector }) => (reflector.isSynced ? [] : [name])),
    agesSeconds,
    watchSecret(secret, onChange) {
      const name = `secret ${describeSecret(secret)}`;
      const watch = start(name, {
        collection: {
          path: secretsPath(secret.namespace),
          query: { fieldSelector: `metadata.name=${secret.name}` },
        },
        toFact: (object) => ({ key: secret.name, fact: object }),
        listener: {
          onRelist(facts) {
            onChange(facts.get(secret.name) ?? "missing");
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
          running.delete(name);
        },
      };
    },
    close() {
      clearInterval(silenceCheck);
      for (const { reflector } of running.values()) reflector.close();
    },
  };
}

function startWatch<Fact>(
  name: string,
  { collection, toFact, listener }: Pick<ReflectorOptions<Fact>, "collection" | "toFact" | "listener">,
  { client, timings, logger, onRestart }: ClusterWatchOptions,
): RunningWatch {
  let onSynced = (): void => undefined;
  let onAsked = (): void => undefined;
  const synced = new Promise<void>((resolve) => (onSynced = resolve));
  const asked = new Promise<void>((resolve) => (onAsked = resolve));
  const reflector = startReflector({
    client,
    collection,
    toFact,
    timings,
    listener: {
      ...listener,
      onRelist(facts, resourceVersion) {
        listener.onRelist(facts, resourceVersion);
        onSynced();
        onAsked();
      },
    },
    onFault(action, error) {
      const message = error instanceof Error ? error.message : String(error);
      logger.warn({ watch: name, error: message }, `${action} failed; it is tried again`);
      onAsked();
    },
    onRecovery() {
      logger.info({ watch: name }, "the watch works again");
    },
    onRestart(reason) {
      onRestart(name, reason);
    },
  });
  return { name, startedAt: Date.now(), reflector, synced, asked };
}

function keyOf(object: JsonObject): string {
  const { namespace, name } = readMetadata(object);
  return `${namespace}/${name}`;
}
