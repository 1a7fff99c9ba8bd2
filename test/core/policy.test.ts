import { describe, expect, it } from "vitest";
import type { Decision } from "../../src/core/decision.ts";
import type { Pod } from "../../src/core/kubernetes.ts";
import type { PodContext } from "../../src/core/kubernetes.ts";
import { decide } from "../../src/core/policy.ts";
import { indexOf, makeRegistry } from "./make-registry.ts";
import { minimalPod, tweak, type PodDraft } from "./minimal-pod.ts";

const OPTED_IN: PodContext = { namespace: { isOptedIn: true, labels: {} }, serviceAccount: undefined };
const INDEX = indexOf(
  makeRegistry("team-a", "registry.example.com/team-a", { secretName: "regcred" }),
  makeRegistry("hub", "docker.io"),
  makeRegistry("limited", "quay.io", { namespaces: { matchLabels: { team: "b" } } }),
);

function decideFor(change: (pod: PodDraft) => void, context: Partial<PodContext> = {}): Decision {
  return decide(tweak(minimalPod(), change), { ...OPTED_IN, ...context }, INDEX);
}

/** `inject regcred` or `skip reason`. */
function outcomeOf(decision: Decision): string {
  return decision.kind === "inject" ? `inject ${decision.secretNames.join(",")}` : `skip ${decision.reason}`;
}

const asMirror = ({ metadata }: PodDraft): void =>
  void (metadata.annotations = { "kubernetes.io/config.mirror": "x" });
const optOut = ({ metadata }: PodDraft): void =>
  void (metadata.labels = { "pullpass.dev/inject": "disabled" });
const useNoRegistry = ({ spec }: PodDraft): void => void (spec.containers = [{ image: "ghcr.io/app" }]);
const nameSecret = ({ spec }: PodDraft): void => void (spec.imagePullSecrets = [{ name: "regcred" }]);
const useTwo = ({ spec }: PodDraft): void =>
  void (spec.containers = [{ image: "nginx" }, { image: "registry.example.com/team-a/app" }]);
const useLimited = ({ spec }: PodDraft): void => void (spec.containers = [{ image: "quay.io/app" }]);
const UNKNOWN_LABELS = { namespace: { isOptedIn: true, labels: "unknown" } } as const;
const NOT_OPTED_IN = { namespace: { isOptedIn: false, labels: {} } };
const allowOnly = (...pullSecretNames: readonly string[]): Partial<PodContext> => ({
  serviceAccount: {
    isMountableSecretsEnforced: true,
    pullSecretNames: new Set(pullSecretNames),
    mountableSecretNames: new Set(),
  },
});

describe("decide", () => {
  it("README example", () => {
    const decision = decide(minimalPod(), OPTED_IN, INDEX);
    expect(outcomeOf(decision)).toBe("inject regcred");
    expect(decision.warnings).toEqual([]);
  });

  it.each([
    ["a mirror pod", "skip mirror-pod", asMirror, NOT_OPTED_IN],
    ["a namespace that is not opted in", "skip namespace-not-opted-in", optOut, NOT_OPTED_IN],
    ["a pod that is opted out", "skip pod-opted-out", optOut, {}],
    ["a pod that needs no registry", "skip no-registry", useNoRegistry, {}],
    ["a pod that needs one for unknown labels", "skip labels-unknown", useLimited, UNKNOWN_LABELS],
    ["a pod that has all it needs", "skip already-present", nameSecret, {}],
    ["an account that allows none of them", "skip mountable-secrets-enforced", useTwo, allowOnly("other")],
    ["an account that allows some of them", "inject regcred", useTwo, allowOnly("regcred")],
    [
      "an account that allows all of them",
      "inject regcred,hub-creds",
      useTwo,
      allowOnly("regcred", "hub-creds"),
    ],
  ] as const)("%s: %s", (_title, outcome, change, context) => {
    expect(outcomeOf(decideFor(change, context))).toBe(outcome);
  });

  it("says that a registry was left out whose labels are not known to fit, and not which", () => {
    const decision = decideFor(({ metadata, spec }) => {
      spec.containers = [{ image: "quay.io/app" }, { image: "nginx" }];
      metadata.annotations = { "pullpass.dev/registries": "limited,*" };
    }, UNKNOWN_LABELS);
    expect(outcomeOf(decision)).toBe("inject regcred,hub-creds");
    expect(decision.warnings).toEqual([
      "the labels of the namespace are not known: registries that are limited to certain namespaces are left out",
      'pullpass.dev/registries: this namespace has no registry "limited"',
    ]);
  });

  it("asks nothing of an account that does not enforce its list", () => {
    const serviceAccount = {
      isMountableSecretsEnforced: false,
      pullSecretNames: new Set<string>(),
      mountableSecretNames: new Set<string>(),
    };
    expect(outcomeOf(decideFor(() => undefined, { serviceAccount }))).toBe("inject regcred");
  });

  it("warns of each secret that the account forbids", () => {
    expect(decideFor(useTwo, allowOnly("regcred")).warnings).toEqual([
      "the service account does not list pull secret hub-creds, so the pod may not name it",
    ]);
  });

  it("names each secret once, in the order of the configuration", () => {
    const shared = indexOf(
      makeRegistry("first", "docker.io", { secretName: "shared" }),
      makeRegistry("second", "registry.example.com", { secretName: "shared" }),
    );
    const decision = decide(tweak(minimalPod(), useTwo), OPTED_IN, shared);
    expect(decision).toMatchObject({ kind: "inject", secretNames: ["shared"] });
    expect(decision).toMatchObject({ registries: [{ name: "first" }, { name: "second" }] });
  });

  it("passes over an image that is none with a warning, and takes the others", () => {
    const decision = decideFor(({ spec }) => {
      spec.initContainers = [{ image: "Team/App:" }, { image: 7 }];
    });
    expect(outcomeOf(decision)).toBe("inject regcred");
    expect(decision.warnings).toEqual([
      "spec.initContainers[0].image: not an image reference: the repository has to be lower case",
      "spec.initContainers[1].image: not an image reference: it is not a string",
    ]);
  });
});

describe("a registry limited to namespaces", () => {
  it.each([
    [{ team: "b" }, "inject limited-creds"],
    [{ team: "a" }, "skip no-registry"],
    ["unknown", "skip labels-unknown"],
  ] as const)("with the labels %j: %s", (labels, outcome) => {
    expect(outcomeOf(decideFor(useLimited, { namespace: { isOptedIn: true, labels } }))).toBe(outcome);
  });
});

describe("the annotation pullpass.dev/registries", () => {
  function decideNaming(names: string, pod: Pod = minimalPod()): Decision {
    return decide(
      { ...pod, metadata: { annotations: { "pullpass.dev/registries": names } } },
      OPTED_IN,
      INDEX,
    );
  }

  it("adds registries that no image needs", () => {
    expect(outcomeOf(decideNaming("hub"))).toBe("inject regcred,hub-creds");
  });

  it("adds with * all that the namespace may have", () => {
    expect(outcomeOf(decideNaming("*", tweak(minimalPod(), useNoRegistry)))).toBe("inject regcred,hub-creds");
  });

  it("warns alike of a registry that is not there and of one kept from the namespace", () => {
    expect(decideNaming("limited, no\nne").warnings).toEqual([
      'pullpass.dev/registries: this namespace has no registry "limited"',
      'pullpass.dev/registries: this namespace has no registry "no\\nne"',
    ]);
  });

  it("reads 1024 names, and warns of more", () => {
    const decision = decideNaming(`${"hub,".repeat(1024)}team-a`, tweak(minimalPod(), useNoRegistry));
    expect(outcomeOf(decision)).toBe("inject hub-creds");
    expect(decision.warnings).toEqual(["pullpass.dev/registries: it is too long to be read to its end"]);
  });

  it("takes a name once, however often it is there", () => {
    const registries = Array.from({ length: 200 }, (_, number) =>
      makeRegistry(`r${number.toString()}`, "quay.io"),
    );
    const pod = tweak(minimalPod(), ({ metadata }) => {
      metadata.annotations = { "pullpass.dev/registries": "*,".repeat(1_000_000) };
    });
    const decision = decide(pod, OPTED_IN, indexOf(...registries));
    expect(decision).toMatchObject({ kind: "inject", registries });
  });
});

describe("a pod that builds", () => {
  const KANIKO = "gcr.io/kaniko-project/executor";
  const build = ({ spec }: PodDraft): void => void (spec.containers = [{ name: "build", image: KANIKO }]);
  const buildHere = ({ spec }: PodDraft): void =>
    void (spec.containers = [
      { name: "build", image: KANIKO, volumeMounts: [{ name: "a", mountPath: "/kaniko/.docker" }] },
    ]);
  const buildAndPull = ({ spec }: PodDraft): void =>
    void (spec.containers = [{ name: "build", image: "martizih/kaniko" }]);
  const buildALot = ({ spec }: PodDraft): void =>
    void (spec.containers = Array.from({ length: 33 }, () => ({ name: "build", image: KANIKO })));
  const pullToo = ({ spec }: PodDraft): void => void (spec.initContainers = [{ image: "nginx" }]);
  const nameContainer = ({ metadata, spec }: PodDraft): void => {
    metadata.annotations = { "pullpass.dev/build-containers": "app" };
    spec.containers = [{ name: "app", image: "ghcr.io/app" }];
  };
  const allow = (pullSecrets: readonly string[], mountable: readonly string[]): Partial<PodContext> => ({
    serviceAccount: {
      isMountableSecretsEnforced: true,
      pullSecretNames: new Set(pullSecrets),
      mountableSecretNames: new Set(mountable),
    },
  });

  /** The outcome, and where its builders read. */
  const outcomeWithBuilds = (decision: Decision): string => {
    const build = decision.kind === "inject" ? decision.build : undefined;
    const mounts = (build?.findings ?? []).map(({ outcome }) => ` at ${outcome.directory}`);
    return outcomeOf(decision) + mounts.join("");
  };

  it.each([
    ["a mirror pod", "skip mirror-pod", [build, asMirror], {}],
    ["a namespace that is not opted in", "skip namespace-not-opted-in", [build], NOT_OPTED_IN],
    ["a pod that is opted out", "skip pod-opted-out", [build, optOut], {}],
    ["one that mounts its own", "skip no-registry", [buildHere], {}],
    ["one that needs no pull secret", "inject  at /kaniko/.docker", [build], {}],
    ["one that needs both", "inject hub-creds at /kaniko/.docker", [buildAndPull], {}],
    ["one that the annotation names", "inject  at /pullpass/docker", [nameContainer], {}],
    ["one with too many builders", "skip too-many-builders", [buildALot], {}],
    ["one with too many builders that needs a pull secret", "inject hub-creds", [buildALot, pullToo], {}],
    ["an account that allows neither", "skip mountable-secrets-enforced", [buildAndPull], allow([], [])],
    ["an account that allows no mount", "skip mountable-secrets-enforced", [build], allow(["hub-creds"], [])],
    ["an account that allows the pull secret", "inject hub-creds", [buildAndPull], allow(["hub-creds"], [])],
    [
      "an account that allows the mount",
      "inject  at /kaniko/.docker",
      [buildAndPull],
      allow([], ["pullpass.build"]),
    ],
  ] as const)("%s: %s", (_title, outcome, changes, context) => {
    const decision = decideFor((pod) => {
      for (const change of changes) change(pod);
    }, context);
    expect(outcomeWithBuilds(decision)).toBe(outcome);
  });
});
