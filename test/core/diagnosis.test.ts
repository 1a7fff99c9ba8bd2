import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import { diagnose, diagnoseStuckPod, type DiagnosisContext } from "../../src/core/diagnosis.ts";
import { readPullMessage, type PullFailure } from "../../src/core/pull-message.ts";
import type { PullSecretState } from "../../src/core/pull-secret.ts";
import { readStuckPod, rememberCauses, type StuckPod } from "../../src/core/stuck-pod.ts";
import { VERDICTS, type VerdictCode } from "../../src/core/verdicts.ts";
import { indexOf, makeRegistry } from "./make-registry.ts";
import { APP_IMAGE } from "./minimal-pod.ts";

const NOW = Date.parse("2026-11-26T12:00:00Z");
const CREATED = NOW - 60_000;

const covering = (address: string, expiresAt?: number): PullSecretState => ({
  kind: "read",
  credentials: [{ address: parseAddress(address), expiresAt }],
});
const MISSING: PullSecretState = { kind: "missing" };
const UNKNOWN: PullSecretState = { kind: "unknown" };
const NOT_OWNED: PullSecretState = { kind: "not-owned" };
const GOOD = covering("registry.example.com");
const EXPIRED = covering("registry.example.com", NOW - 1);
const ELSEWHERE = covering("other.example.com");

interface Situation {
  readonly failure?: PullFailure;
  readonly image?: string;
  readonly pod?: Partial<StuckPod>;
  /** The pull secrets that the pod names, and what is known of each. */
  readonly secrets?: Readonly<Record<string, PullSecretState>>;
  readonly context?: Partial<DiagnosisContext>;
}

/** The index has the registry `team` for the image, with the pull secret `regcred`. */
const INDEX = indexOf(makeRegistry("team", "registry.example.com/team-a", { secretName: "regcred" }));
const NO_REGISTRY: Partial<DiagnosisContext> = { index: indexOf() };
const BUILDS_ALONE = indexOf(
  makeRegistry("builds", "registry.example.com/builds", {
    use: ["build"],
    buildSource: { kind: "build-secret" },
  }),
);
const ONLY_OTHERS: Partial<DiagnosisContext> = {
  index: indexOf(
    makeRegistry("limited", "registry.example.com", { namespaces: { matchLabels: { team: "b" } } }),
  ),
};

function diagnoseIn({ failure = "unauthorized", image = APP_IMAGE, pod, secrets = {}, context }: Situation) {
  return diagnoseStuckPod(
    {
      createdAt: CREATED,
      isMirror: false,
      isOptedOut: false,
      pullSecretNames: Object.keys(secrets),
      waiting: [{ container: "app", image, failure, text: failure === "no-cause" ? "" : "what is said" }],
      ...pod,
    },
    {
      namespace: { isOptedIn: true, labels: {} },
      serviceAccount: undefined,
      index: INDEX,
      pullSecret: (name) => secrets[name] ?? MISSING,
      now: NOW,
      ...context,
    },
  );
}

const NOT_OPTED_IN = { namespace: { isOptedIn: false, labels: {} } };
const ENFORCING = {
  serviceAccount: {
    isMountableSecretsEnforced: true,
    pullSecretNames: new Set<string>(),
    mountableSecretNames: new Set<string>(),
  },
};

// In the order of the table in diagnosis.ts.
const TABLE: readonly (readonly [title: string, Situation, VerdictCode])[] = [
  ["the name is none", { failure: "invalid-image-name" }, "invalid-image-name"],
  ["the policy is Never", { failure: "never-pulled" }, "never-pulled"],
  ["there are too many pulls", { failure: "rate-limited" }, "rate-limited"],
  ["the certificate is not trusted", { failure: "tls" }, "tls"],
  ["the registry is not reached", { failure: "network" }, "network"],
  ["the tag does not exist", { failure: "not-found" }, "not-found"],
  ["nobody knows the text", { failure: "unknown" }, "unknown"],
  ["lacks, mirror pod", { pod: { isMirror: true }, context: NOT_OPTED_IN }, "mirror-pod"],
  ["lacks, not opted in", { pod: { isOptedOut: true }, context: NOT_OPTED_IN }, "namespace-not-opted-in"],
  ["lacks, opted out", { pod: { isOptedOut: true }, context: ENFORCING }, "pod-opted-out"],
  [
    "lacks, forbidden by its account",
    { context: { ...ENFORCING, optedInAt: NOW } },
    "mountable-secrets-enforced",
  ],
  [
    "lacks, older than the opt-in",
    { context: { optedInAt: CREATED, registryCreatedAt: () => NOW } },
    "older-than-opt-in",
  ],
  [
    "lacks, older than the registry",
    { context: { optedInAt: CREATED - 1, registryCreatedAt: () => CREATED } },
    "older-than-registry",
  ],
  ["lacks, younger", { context: { optedInAt: 0, registryCreatedAt: () => CREATED - 1 } }, "lacks-secret"],
  ["lacks, and nobody knows since when", { context: { registryCreatedAt: () => undefined } }, "lacks-secret"],
  ["lacks, and has another one for it", { secrets: { own: GOOD } }, "lacks-secret"],
  ["lacks, 403", { failure: "forbidden" }, "lacks-secret"],
  ["lacks, expired", { failure: "expired" }, "lacks-secret"],
  ["lacks, no cause given", { failure: "no-cause" }, "lacks-secret"],
  ["has it, 401", { secrets: { regcred: GOOD } }, "unauthorized"],
  ["has it, 403", { failure: "forbidden", secrets: { regcred: GOOD } }, "forbidden"],
  [
    "has it, expired as the registry says",
    { failure: "expired", secrets: { regcred: GOOD } },
    "secret-expired",
  ],
  ["has it, no cause given", { failure: "no-cause", secrets: { regcred: GOOD } }, "unknown"],
  [
    "has it, and it expires later",
    { secrets: { regcred: covering("registry.example.com", NOW + 1) } },
    "unauthorized",
  ],
  ["names it and has another one for it", { secrets: { regcred: MISSING, own: GOOD } }, "unauthorized"],
  ["names it, not ours", { secrets: { regcred: NOT_OWNED } }, "secret-not-owned"],
  ["names it, missing", { secrets: { own: UNKNOWN, regcred: MISSING } }, "secret-missing"],
  [
    "names it, missing, no cause given",
    { failure: "no-cause", secrets: { regcred: MISSING } },
    "secret-missing",
  ],
  ["names it, and another one is missing", { secrets: { regcred: UNKNOWN, own: MISSING } }, "unauthorized"],
  ["needs none, one is missing", { context: NO_REGISTRY, secrets: { own: MISSING } }, "secret-missing"],
  ["names it, expired", { secrets: { regcred: EXPIRED } }, "secret-expired"],
  ["needs none, one has expired", { context: NO_REGISTRY, secrets: { own: EXPIRED } }, "secret-expired"],
  ["names it, for another host", { secrets: { regcred: ELSEWHERE } }, "no-credentials-for-image"],
  ["names it, and nobody can read it", { secrets: { regcred: UNKNOWN } }, "unauthorized"],
  ["needs none, no cause given", { context: NO_REGISTRY, failure: "no-cause" }, "unknown"],
  ["needs none, 401", { context: NO_REGISTRY }, "no-registry"],
  ["needs none, 403", { context: NO_REGISTRY, failure: "forbidden" }, "no-registry"],
  [
    "needs none, has one for another host",
    { context: NO_REGISTRY, secrets: { own: ELSEWHERE } },
    "no-registry",
  ],
  ["may use none, 401", { context: ONLY_OTHERS }, "no-registry"],
  ["needs none, has one", { context: NO_REGISTRY, secrets: { own: GOOD } }, "unauthorized"],
  ["needs none, one cannot be read", { context: NO_REGISTRY, secrets: { own: UNKNOWN } }, "unauthorized"],
  [
    "nobody knows what it needs",
    { context: { ...ONLY_OTHERS, namespace: { isOptedIn: true, labels: "unknown" } } },
    "unauthorized",
  ],
  [
    "nobody knows which registries there are, and it may be a builder's image",
    {
      image: "registry.example.com/kaniko-project/executor:v1",
      context: { index: BUILDS_ALONE, isIndexComplete: false },
    },
    "unauthorized",
  ],
  ["is no image reference, and is refused all the same", { image: "Not/An:Image" }, "unauthorized"],
];

describe("diagnose", () => {
  it.each(TABLE)("%s: %j", (_title, situation, code) => {
    const { containers, ...verdict } = diagnoseIn(situation);
    expect(verdict.code).toBe(code);
    expect(containers).toHaveLength(1);
    expect(containers[0]).toMatchObject(verdict);
    for (const text of [verdict.sentence, verdict.advice]) expect(text).toMatch(/^[A-Z"].{15,}\w/);
  });

  it("has a row for each verdict but that nothing is wrong", () => {
    const codes = new Set(TABLE.map(([, , code]) => code));
    expect([...codes, "nothing-wrong"].sort()).toEqual(Object.keys(VERDICTS).sort());
  });

  it.each([
    [{ secrets: {} }, ["regcred"]],
    [{ failure: "not-found" }, ["regcred"]],
    [{ secrets: { regcred: GOOD } }, []],
    [{ context: NOT_OPTED_IN }, []],
    [{ context: NO_REGISTRY }, []],
  ] as const)("says what a pod created now would get and this one lacks: %j", (situation, lacking) => {
    expect(diagnoseIn(situation).containers[0]?.lacking).toEqual(lacking);
  });

  it("finds nothing wrong with a pod that does not wait for an image", () => {
    expect(diagnoseIn({ pod: { waiting: [] } })).toMatchObject({ code: "nothing-wrong", containers: [] });
  });

  it("says of the pod what is known of its first container with a known cause", () => {
    const waiting = (["unknown", "not-found", "tls"] as const).map((failure) => ({
      ...{ container: failure, image: APP_IMAGE, failure, text: "what is said" },
    }));
    const { code, containers } = diagnoseIn({ pod: { waiting } });
    expect([code, ...containers.map((found) => found.code)]).toEqual([
      "not-found",
      "unknown",
      "not-found",
      "tls",
    ]);
    const [unknown] = waiting;
    expect(diagnoseIn({ pod: { waiting: unknown === undefined ? [] : [unknown] } }).code).toBe("unknown");
  });
});

describe("what a verdict says", () => {
  it.each([
    [
      {},
      /lacks pull secret regcred for image "registry\.example\.com\/team-a\/app:v1"/,
      /Create the pod again/,
    ],
    [
      { context: { registryCreatedAt: () => NOW } },
      /older than the registry team, so it lacks pull secret regcred/,
      /rollout restart/,
    ],
    [
      {
        context: {
          index: indexOf(
            makeRegistry("a", "registry.example.com"),
            makeRegistry("b", "registry.example.com"),
          ),
        },
      },
      /pull secrets a-creds, b-creds/,
      /Create the pod again/,
    ],
    [
      { secrets: { regcred: MISSING } },
      /names pull secret regcred, which does not exist/,
      /Pullpass writes the Secret/,
    ],
    [{ context: NO_REGISTRY, secrets: { own: MISSING } }, /pull secret own/, /^Create the Secret/],
    [
      { secrets: { regcred: EXPIRED } },
      /in pull secret regcred expired at 2026-11-26T11:59:59\.999Z/,
      /Renew/,
    ],
    [
      { failure: "expired", secrets: { regcred: GOOD } },
      /The registry says .* have expired: what is said/,
      /Renew/,
    ],
    [{ secrets: { regcred: GOOD } }, /refused the credentials .*: what is said/, /\(registry team\)/],
    [{ context: NO_REGISTRY, secrets: { own: GOOD } }, /refused/, /from this repository\. The kubelet/],
    [{ context: ONLY_OTHERS }, /^No registry that the namespace may use covers/, /^Add a registry/],
    [{ failure: "no-cause", context: NO_REGISTRY }, /the kubelet does not say why/, /kubectl describe/],
    [
      {
        failure: "network",
        pod: { waiting: [{ container: "app", image: APP_IMAGE, failure: "network", text: "" }] },
      },
      /does not reach the registry\.$/,
      /^Check the host/,
    ],
    [{ failure: "unknown" }, /could not be pulled: what is said/, /kubectl describe/],
  ] as const)("%j", (situation, sentence, advice) => {
    const verdict = diagnoseIn(situation);
    expect(verdict.sentence).toMatch(sentence);
    expect(verdict.advice).toMatch(advice);
  });

  it("does not name a registry that the namespace may not use", () => {
    const { sentence, advice } = diagnoseIn({ context: ONLY_OTHERS });
    expect(sentence + advice).not.toContain("limited");
  });
});

describe("readStuckPod", () => {
  const waiting = (name: string, reason: string, message?: string) => ({
    name,
    state: { waiting: { reason, ...(message !== undefined && { message }) } },
  });
  const pod = {
    metadata: {
      creationTimestamp: "2026-11-26T12:00:00Z",
      labels: { "pullpass.dev/inject": "disabled" },
      annotations: { "kubernetes.io/config.mirror": "x" },
    },
    spec: {
      imagePullSecrets: [{ name: "a" }, {}, { name: "b" }],
      initContainers: [{ name: "init", image: "a.com/init" }],
      containers: [
        { name: "main", image: "a.com/main" },
        { name: "second", image: "a.com/second" },
      ],
      volumes: [
        { name: "data", image: { reference: "a.com/main-data" } },
        { name: "other", image: {} },
        { name: "empty", emptyDir: {} },
        7,
      ],
    },
    status: {
      initContainerStatuses: [waiting("init", "ErrImagePull", "a.com/init: not found")],
      containerStatuses: [
        waiting("main", "ImagePullBackOff", 'Back-off pulling image "a.com/main-data:latest"'),
        waiting("second", "ContainerCreating"),
        waiting("gone", "ImagePullBackOff"),
        { state: { waiting: { reason: "RegistryUnavailable" } } },
        { name: "running", state: { running: {} } },
        7,
      ],
    },
  };

  it("reads what the API server sends", () => {
    expect(readStuckPod(pod)).toEqual({
      createdAt: Date.parse("2026-11-26T12:00:00Z"),
      isMirror: true,
      isOptedOut: true,
      pullSecretNames: ["a", "b"],
      waiting: [
        { container: "init", image: "a.com/init", failure: "not-found", text: "a.com/init: not found" },
        { container: "main", image: "a.com/main-data", failure: "no-cause", text: "" },
        { container: "gone", image: "", failure: "no-cause", text: "" },
        { container: "", image: "", failure: "network", text: "" },
      ],
    });
  });

  it("keeps as many containers as it is asked to, and equal strings once", () => {
    const pooled: string[] = [];
    const pool = (text: string) => {
      pooled.push(text);
      return text;
    };
    expect(readStuckPod(pod, { maxContainers: 1, pool }).waiting.map(({ container }) => container)).toEqual([
      "init",
    ]);
    expect(pooled).toEqual(["a", "b", "init", "a.com/init", "a.com/init: not found"]);
  });

  it("takes the container's image where the message names none", () => {
    const status = { containerStatuses: [waiting("main", "ErrImagePull", "pull QPS exceeded")] };
    expect(readStuckPod({ ...pod, status }).waiting[0]?.image).toBe("a.com/main");
  });

  it("takes milliseconds, also for thousands of containers that wait for the images of thousands of volumes", () => {
    const names = Array.from({ length: 3_000 }, (_, index) => `c${String(index)}`);
    const many = {
      metadata: {},
      spec: {
        containers: names.map((name) => ({ name, image: "a.com/app" })),
        volumes: Array.from({ length: 10_000 }, (_, index) => ({
          image: { reference: `a.com/v${String(index)}` },
        })),
      },
      status: { containerStatuses: names.map((name) => waiting(name, "ErrImagePull", "x".repeat(200))) },
    };
    const started = performance.now();
    readStuckPod(many, { maxContainers: 3 });
    const limited = performance.now() - started;
    expect(readStuckPod(many).waiting).toHaveLength(3_000);
    // Without bounds, some seconds each.
    expect(limited).toBeLessThan(100);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it.each([{}, { metadata: 7 }, { status: 7 }, { status: { containerStatuses: {} } }])(
    "reads a pod without all that: %j",
    (rest) => {
      const bare = { metadata: {}, spec: {}, ...rest } as Parameters<typeof readStuckPod>[0];
      const { metadata } = bare;
      const read = readStuckPod({ ...bare, metadata: typeof metadata === "object" ? metadata : {} });
      expect(read).toMatchObject({ createdAt: NaN, isMirror: false, isOptedOut: false, waiting: [] });
    },
  );

  it("is what a diagnosis reads first", () => {
    const { namespace, serviceAccount } = {
      namespace: { isOptedIn: true, labels: {} },
      serviceAccount: undefined,
    };
    const context = { namespace, serviceAccount, index: INDEX, pullSecret: () => MISSING, now: NOW };
    expect(diagnose(pod, context)).toEqual(diagnoseStuckPod(readStuckPod(pod), context));
    expect(diagnose(pod, context).code).toBe("not-found");
  });

  it("is diagnosed without an error, whatever a status says", () => {
    const text = fc.string({ unit: "binary", maxLength: 80 });
    const reasons = fc.constantFrom(
      "ErrImagePull",
      "ImagePullBackOff",
      "ErrImageNeverPull",
      "InvalidImageName",
    );
    fc.assert(
      fc.property(text, reasons, text, (image, reason, message) => {
        const stuck = readStuckPod({
          metadata: {},
          spec: { containers: [{ name: "main", image }] },
          status: { containerStatuses: [waiting("main", reason, message)] },
        });
        expect(stuck.waiting).toHaveLength(1);
        const { sentence } = diagnoseIn({ pod: stuck });
        expect(sentence).not.toMatch(/\p{Cc}/u);
        expect(sentence.length).toBeLessThan(1000);
        expect(readPullMessage(reason, message)?.failure).toBe(stuck.waiting[0]?.failure);
      }),
    );
  });
});

describe("rememberCauses", () => {
  const podThat = (failure: PullFailure, text: string, image = APP_IMAGE): StuckPod => ({
    ...{ createdAt: CREATED, isMirror: false, isOptedOut: false, pullSecretNames: [] },
    waiting: [{ container: "main", image, failure, text }],
  });

  it.each([
    ["keeps a cause that is not repeated", podThat("no-cause", ""), podThat("tls", "x509"), "tls"],
    ["takes a new cause", podThat("not-found", "gone"), podThat("tls", "x509"), "not-found"],
    ["takes no cause of another image", podThat("no-cause", ""), podThat("tls", "x509", "other"), "no-cause"],
  ] as const)("%s", (_title, now, before, failure) => {
    expect(rememberCauses(now, before).waiting.map((waiting) => waiting.failure)).toEqual([failure]);
  });
});
