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

function observe(registers: MetricRegistry[], read: () => ClusterGauges): void {
  const gauge = (name: string, help: string, value: (gauges: ClusterGauges) => number): void => {
    const created = new Gauge({
      name,
      help,
      registers,
      collect: () => {
        created.set(value(read()));
      },
    });
  };
  gauge("pullpass_copies", "Pull secrets that Pullpass keeps in the cluster.", ({ copies }) => copies);
  gauge(
    "pullpass_queue_depth",
    "Namespaces and accounts that wait or are being worked on.",
    (gauges) => gauges.queueDepth,
  );
  gauge(
    "pullpass_blocked_namespaces",
    "Namespaces in which a Secret that is not ours has the name of a copy.",
    ({ blockedNamespaces }) => blockedNamespaces,
  );
  gauge("pullpass_leader", "1 on the replica that writes.", ({ isLeading }) => Number(isLeading));

  const gauges = (
    name: string,
    help: string,
    label: string,
    values: (gauges: ClusterGauges) => Iterable<readonly [string, number]>,
  ): void => {
    const created = new Gauge({
      name,
      help,
      labelNames: [label],
      registers,
      collect: () => {
        created.reset();
        for (const [labelled, value] of values(read())) created.set({ [label]: labelled }, value);
      },
    });
  };
  gauges(
    "pullpass_source_unreadable",
    "1 for each registry whose credentials cannot be read now; its copies stay as they are.",
    "registry",
    ({ unreadableSources }) => unreadableSources.values().map((registry) => [registry, 1]),
  );
  gauges(
    "pullpass_credential_expiry_timestamp_seconds",
    "When the credentials of a registry end, in Unix time, where they say so.",
    "registry",
    ({ credentialExpiries }) => credentialExpiries.entries().map(([registry, at]) => [registry, at / 1000]),
  );
  gauges(
    "pullpass_stuck_pods",
    "Pods of opted-in namespaces that wait for an image, by what is wrong. Only the replica that writes reports them.",
    "verdict",
    ({ stuckPods }) => stuckPods,
  );
  gauges(
    "pullpass_watch_age_seconds",
    "Time since a watch last reported something or was started again: less than two minutes for one that is alive.",
    "watch",
    ({ watchAgesSeconds }) => watchAgesSeconds,
  );
}

export function createClusterMetrics(register: MetricRegistry): ClusterMetrics {
  const registers = [register];
  const writes = new Counter({
    name: "pullpass_writes_total",
    help: "Writes of the replicator, by what was to be done and how it ended.",
    labelNames: ["action", "outcome"],
    registers,
  });
  const failures = new Counter({
    name: "pullpass_reconcile_failures_total",
    help: "Failed attempts to bring a namespace in order; each is followed by another one.",
    registers,
  });
  const requests = new Counter({
    name: "pullpass_api_requests_total",
    help: "Requests to the API server, by method and HTTP status; status 0 is no answer.",
    labelNames: ["method", "status"],
    registers,
  });
  const throttled = new Counter({
    name: "pullpass_api_throttled_total",
    help: "Answers by which the API server asked to wait (429, or 503 with Retry-After).",
    registers,
  });
  const restarts = new Counter({
    name: "pullpass_watch_restarts_total",
    help: "Watches that had to be started again, by reason.",
    labelNames: ["watch", "reason"],
    registers,
  });
  const heals = new Counter({
    name: "pullpass_heals_total",
    help: "Pods that could not pull and were evicted, or would have been, by outcome.",
    labelNames: ["outcome"],
    registers,
  });
  const refreshes = new Counter({
    name: "pullpass_credential_refreshes_total",
    help: "Runs of credential providers: changed, unchanged, or why they failed. Only the replica that writes runs them.",
    labelNames: ["provider", "outcome"],
    registers,
  });
  return {
    observe(read) {
      observe(registers, read);
    },
    countWrite(action, outcome) {
      writes.inc({ action, outcome });
    },
    countFailure() {
      failures.inc();
    },
    countRequest(method, status = 0) {
      requests.inc({ method, status });
    },
    countThrottled() {
      throttled.inc();
    },
    countWatchRestart(watch, reason) {
      restarts.inc({ watch, reason });
    },
    countHeal(outcome) {
      heals.inc({ outcome });
    },
    countRefresh(provider, outcome) {
      refreshes.inc({ provider, outcome });
    },
  };
}
