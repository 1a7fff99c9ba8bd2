/** Metrics of the replicator and of the connection to the API server. Labels are bounded, as those of the webhook. */
import { Counter, Gauge, type Registry as MetricRegistry } from "prom-client";

/** What is read when somebody asks for the metrics. */
export interface ClusterGauges {
  readonly copies: number;
  readonly queueDepth: number;
  readonly blockedNamespaces: number;
  readonly isLeading: boolean;
  /** Names of registries whose credentials cannot be read now. */
  readonly unreadableSources: ReadonlySet<string>;
  /** When credentials end, in Unix time in milliseconds, by registry; of those that say so. */
  readonly credentialExpiries: ReadonlyMap<string, number>;
  /** Seconds since each watch last told something, were it only that nothing happened. */
  readonly watchAgesSeconds: ReadonlyMap<string, number>;
  /** Pods that cannot pull, by verdict; empty where this replica does not lead. */
  readonly stuckPods: ReadonlyMap<string, number>;
}

export interface ClusterMetrics {
  /** Shows these gauges from now on. To be called once. */
  observe(read: () => ClusterGauges): void;
  readonly countWrite: (action: string, outcome: string) => void;
  countFailure(): void;
  /** `status` is undefined where there was no answer. */
  countRequest(method: string, status: number | undefined): void;
  countThrottled(): void;
  readonly countWatchRestart: (watch: string, reason: string) => void;
  readonly countHeal: (outcome: string) => void;
  readonly countRefresh: (provider: string, outcome: string) => void;
}

interface PlainGauge {
  readonly name: string;
  readonly help: string;
  readonly value: (gauges: ClusterGauges) => number;
}

const GAUGES: readonly PlainGauge[] = [
  {
    name: "pullpass_copies",
    help: "Pull secrets that Pullpass keeps in the cluster.",
    value: ({ copies }) => copies,
  },
  {
    name: "pullpass_queue_depth",
    help: "Namespaces and accounts that wait or are being worked on.",
    value: ({ queueDepth }) => queueDepth,
  },
  {
    name: "pullpass_blocked_namespaces",
    help: "Namespaces in which a Secret that is not ours has the name of a copy.",
    value: ({ blockedNamespaces }) => blockedNamespaces,
  },
  {
    name: "pullpass_leader",
    help: "1 on the replica that writes.",
    value: ({ isLeading }) => Number(isLeading),
  },
];

interface LabelledGauge {
  readonly name: string;
  readonly help: string;
  readonly label: string;
  readonly values: (gauges: ClusterGauges) => Iterable<readonly [string, number]>;
}

const LABELLED_GAUGES: readonly LabelledGauge[] = [
  {
    name: "pullpass_source_unreadable",
    help: "1 for each registry whose credentials cannot be read now; its copies stay as they are.",
    label: "registry",
    values: ({ unreadableSources }) => unreadableSources.values().map((registry) => [registry, 1]),
  },
  {
    name: "pullpass_credential_expiry_timestamp_seconds",
    help: "When the credentials of a registry end, in Unix time, where they say so.",
    label: "registry",
    values: ({ credentialExpiries }) =>
      credentialExpiries.entries().map(([registry, at]) => [registry, at / 1000]),
  },
  {
    name: "pullpass_stuck_pods",
    help: "Pods of opted-in namespaces that wait for an image, by what is wrong. Only the replica that writes reports them.",
    label: "verdict",
    values: ({ stuckPods }) => stuckPods,
  },
  {
    name: "pullpass_watch_age_seconds",
    help: "Time since a watch last reported something or was started again: less than two minutes for one that is alive.",
    label: "watch",
    values: ({ watchAgesSeconds }) => watchAgesSeconds,
  },
];

export function createClusterMetrics(register: MetricRegistry): ClusterMetrics {
  const registers = [register];
  const counters = createCounters(registers);
  return {
    observe(read) {
      observe(registers, read);
    },
    countWrite(action, outcome) {
      counters.writes.inc({ action, outcome });
    },
    countFailure() {
      counters.failures.inc();
    },
    countRequest(method, status = 0) {
      counters.requests.inc({ method, status });
    },
    countThrottled() {
      counters.throttled.inc();
    },
    countWatchRestart(watch, reason) {
      counters.restarts.inc({ watch, reason });
    },
    countHeal(outcome) {
      counters.heals.inc({ outcome });
    },
    countRefresh(provider, outcome) {
      counters.refreshes.inc({ provider, outcome });
    },
  };
}

function createCounters(registers: MetricRegistry[]) {
  return {
    writes: new Counter({
      name: "pullpass_writes_total",
      help: "Writes of the replicator, by what was to be done and how it ended.",
      labelNames: ["action", "outcome"],
      registers,
    }),
    failures: new Counter({
      name: "pullpass_reconcile_failures_total",
      help: "Failed attempts to bring a namespace in order; each is followed by another one.",
      registers,
    }),
    requests: new Counter({
      name: "pullpass_api_requests_total",
      help: "Requests to the API server, by method and HTTP status; status 0 is no answer.",
      labelNames: ["method", "status"],
      registers,
    }),
    throttled: new Counter({
      name: "pullpass_api_throttled_total",
      help: "Answers by which the API server asked to wait (429, or 503 with Retry-After).",
      registers,
    }),
    restarts: new Counter({
      name: "pullpass_watch_restarts_total",
      help: "Watches that had to be started again, by reason.",
      labelNames: ["watch", "reason"],
      registers,
    }),
    heals: new Counter({
      name: "pullpass_heals_total",
      help: "Pods that could not pull and were evicted, or would have been, by outcome.",
      labelNames: ["outcome"],
      registers,
    }),
    refreshes: new Counter({
      name: "pullpass_credential_refreshes_total",
      help: "Runs of credential providers: changed, unchanged, or why they failed. Only the replica that writes runs them.",
      labelNames: ["provider", "outcome"],
      registers,
    }),
  };
}

function observe(registers: MetricRegistry[], read: () => ClusterGauges): void {
  for (const { value, ...gauge } of GAUGES) {
    const created = new Gauge({
      ...gauge,
      registers,
      collect: () => {
        created.set(value(read()));
      },
    });
  }
  for (const { label, values, ...gauge } of LABELLED_GAUGES) {
    const created = new Gauge({
      ...gauge,
      labelNames: [label],
      registers,
      collect: () => {
        created.reset();
        for (const [labelled, value] of values(read())) created.set({ [label]: labelled }, value);
      },
    });
  }
}
