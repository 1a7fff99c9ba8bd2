import { describe, expect, it } from "vitest";
import {
  registryStatus,
  type Condition,
  type CopyCounts,
  type CredentialsState,
  type LoginResult,
  type PullReason,
  type RegistryFacts,
  type RegistryFault,
  type RegistryStatus,
} from "../../src/core/registry-status.ts";

const NOW = "2026-11-26T12:00:00Z";
const BEFORE = "2026-11-25T12:00:00Z";

const ALL_SYNCED: CopyCounts = { selected: 2, synced: 2, refused: 0, failing: 0 };
const NO_TIMES = { changedAt: undefined, expiresAt: undefined, nextRefreshAt: undefined };
const READ: CredentialsState = { kind: "read", problem: undefined, ...NO_TIMES };
const UNREADABLE: CredentialsState = {
  kind: "unreadable",
  reason: "SecretNotFound",
  message: "Secret pullpass/a does not exist",
  ...NO_TIMES,
};
const BY_ADMIN: CredentialsState = { kind: "managed-by-admin" };

function facts({
  credentials = READ,
  counts = {},
  ...more
}: Partial<Omit<RegistryFacts, "used">> & {
  readonly credentials?: CredentialsState;
  readonly counts?: Partial<CopyCounts>;
} = {}): RegistryFacts {
  const used = {
    ...{ address: "a.example.com", secretName: "pullpass-a", credentials },
    counts: { ...ALL_SYNCED, ...counts },
  };
  return { generation: 3, fault: undefined, used, login: undefined, ...more };
}

function find(status: Partial<RegistryStatus>, type: string): Condition | undefined {
  return status.conditions?.find((condition) => condition.type === type);
}

const READY_BEFORE: Partial<RegistryStatus> = {
  conditions: [
    {
      ...{ type: "Ready", status: "True", reason: "Ready", message: "" },
      ...{ observedGeneration: 3, lastTransitionTime: BEFORE },
    },
  ],
};

describe("Ready", () => {
  const fault: RegistryFault = { reason: "NameTakenByFile", message: "the file has it" };
  it.each([
    ["a fault", facts({ fault }), undefined, "False", "NameTakenByFile"],
    [
      "unreadable credentials",
      facts({ credentials: UNREADABLE }),
      undefined,
      "False",
      "CredentialsUnreadable",
    ],
    ["a refused copy", facts({ counts: { synced: 1, refused: 1 } }), undefined, "False", "SomeCopiesFailed"],
    ["a failing copy", facts({ counts: { synced: 1, failing: 1 } }), undefined, "False", "SomeCopiesFailed"],
    [
      "copies on their way, for the first time",
      facts({ counts: { synced: 1 } }),
      undefined,
      "False",
      "Writing",
    ],
    [
      "copies on their way, once it was ready",
      facts({ counts: { synced: 1 } }),
      READY_BEFORE,
      "True",
      "Ready",
    ],
    ["all copies", facts(), undefined, "True", "Ready"],
    [
      "an admin's Secret",
      facts({ credentials: BY_ADMIN, counts: { synced: 0 } }),
      undefined,
      "True",
      "Ready",
    ],
    ["nothing known of it", { ...facts(), used: undefined }, undefined, "Unknown", "Writing"],
  ] as const)("with %s", (_, known, previous, status, reason) => {
    expect(find(registryStatus(known, previous, NOW), "Ready")).toMatchObject({ status, reason });
  });

  it("is not kept for another generation", () => {
    const next = registryStatus(facts({ generation: 4, counts: { synced: 1 } }), READY_BEFORE, NOW);
    expect(find(next, "Ready")).toMatchObject({
      status: "False",
      observedGeneration: 4,
      lastTransitionTime: NOW,
    });
  });

  it("keeps the time of its transition", () => {
    expect(find(registryStatus(facts(), READY_BEFORE, NOW), "Ready")?.lastTransitionTime).toBe(BEFORE);
  });
});

describe("CredentialsAvailable", () => {
  it.each([
    [READ, { status: "True", reason: "Read", message: "The credentials were read." }],
    [UNREADABLE, { status: "False", reason: "SecretNotFound", message: "Secret pullpass/a does not exist." }],
    [BY_ADMIN, undefined],
  ] as const)("of %o", (credentials, expected) => {
    const condition = find(registryStatus(facts({ credentials }), undefined, NOW), "CredentialsAvailable");
    if (expected === undefined) expect(condition).toBeUndefined();
    else expect(condition).toMatchObject(expected);
  });
});

describe("Synced", () => {
  it.each([
    [
      { selected: 0, synced: 0 },
      "True",
      "NoNamespaceSelected",
      "No opted-in namespace may have the credentials.",
    ],
    [
      { synced: 1, refused: 1 },
      "False",
      "SecretNotOurs",
      "1 of 2 namespaces are up to date; in 1 a Secret that is not Pullpass's has the name of the copy.",
    ],
    [
      { synced: 1, failing: 1 },
      "False",
      "Writing",
      "1 of 2 namespaces are up to date; in 1 the last write failed and is tried again.",
    ],
    [{ synced: 0, selected: 1 }, "False", "Writing", "0 of 1 namespace are up to date."],
    [{}, "True", "Synced", "2 of 2 namespaces are up to date."],
  ] as const)("with %o", (counts, status, reason, message) => {
    const next = registryStatus(facts({ counts }), undefined, NOW);
    expect(find(next, "Synced")).toMatchObject({ status, reason, message });
  });

  it("says nothing of Secrets that an admin keeps", () => {
    const next = registryStatus(facts({ credentials: BY_ADMIN }), undefined, NOW);
    expect(find(next, "Synced")).toBeUndefined();
    expect(next.namespaces).toEqual({ selected: 2 });
  });
});

describe("LoginSucceeded", () => {
  const result = (reason: LoginResult["reason"], at: string | undefined = BEFORE): LoginResult => ({
    ...{ reason, message: "a message", at, pull: undefined, check: undefined },
  });

  it.each([
    ["Succeeded", "True"],
    ["NotAsked", "Unknown"],
    ["Unauthorized", "False"],
    ["NotReached", "False"],
    ["TLSFailed", "False"],
  ] as const)("for %s is %s", (reason, status) => {
    const next = registryStatus(facts({ login: result(reason) }), undefined, NOW);
    expect(find(next, "LoginSucceeded")).toMatchObject({ status, reason, message: "A message." });
    expect(next.credentials).toEqual({ lastLoginAt: BEFORE });
  });

  it("is what another replica found out, until the credentials change", () => {
    const previous = registryStatus(facts({ login: result("Succeeded") }), undefined, BEFORE);
    expect(registryStatus(facts(), previous, NOW)).toEqual(previous);
    const older: CredentialsState = {
      kind: "read",
      problem: undefined,
      ...NO_TIMES,
      changedAt: "2026-11-24T12:00:00Z",
    };
    expect(find(registryStatus(facts({ credentials: older }), previous, NOW), "LoginSucceeded")?.status).toBe(
      "True",
    );
    const newer: CredentialsState = { kind: "read", problem: undefined, ...NO_TIMES, changedAt: NOW };
    const after = registryStatus(facts({ credentials: newer }), previous, NOW);
    expect(find(after, "LoginSucceeded")).toMatchObject({ status: "Unknown", reason: "NotAsked" });
    expect(after.credentials).toEqual({ changedAt: NOW, lastLoginAt: BEFORE });
  });

  it("is not there where nobody asked", () => {
    const next = registryStatus(facts(), undefined, NOW);
    expect(find(next, "LoginSucceeded")).toBeUndefined();
    expect(next.credentials).toBeUndefined();
    expect(next.check).toBeUndefined();
  });

  const CHECK = { requestedAt: BEFORE, image: "a.example.com/app:v1" };
  const pulled = (reason: PullReason): LoginResult => ({
    ...result("Succeeded"),
    ...{ pull: { reason, message: "a pull" }, check: CHECK },
  });

  it.each([
    ["Succeeded", "True"],
    ["ImageNotFound", "False"],
    ["Unauthorized", "False"],
    ["NotAsked", "Unknown"],
  ] as const)("has PullSucceeded beside it, for %s of a named image", (reason, status) => {
    const next = registryStatus(facts({ login: pulled(reason) }), undefined, NOW);
    expect(find(next, "LoginSucceeded")).toMatchObject({ status: "True" });
    expect(find(next, "PullSucceeded")).toMatchObject({ status, reason, message: "A pull." });
    expect(next.check).toEqual(CHECK);
  });

  it("and PullSucceeded stay with the next leader until the credentials change, or somebody asks again", () => {
    const previous = registryStatus(facts({ login: pulled("Succeeded") }), undefined, BEFORE);
    expect(registryStatus(facts(), previous, NOW)).toEqual(previous);
    const newer: CredentialsState = { kind: "read", problem: undefined, ...NO_TIMES, changedAt: NOW };
    const changed = registryStatus(facts({ credentials: newer }), previous, NOW);
    for (const type of ["LoginSucceeded", "PullSucceeded"])
      expect(find(changed, type)).toMatchObject({ status: "Unknown", reason: "NotAsked" });
    const check = { requestedAt: NOW, image: undefined };
    const again = registryStatus(facts({ login: { ...result("Succeeded"), check } }), previous, NOW);
    expect(find(again, "PullSucceeded")).toBeUndefined();
    expect(again.check).toEqual({ requestedAt: NOW });
  });
});

describe("a status", () => {
  it("of a registry that is not used says why, and nothing else", () => {
    const fault: RegistryFault = { reason: "InvalidSpec", message: "spec.address: is empty" };
    expect(registryStatus({ ...facts(), used: undefined, fault }, undefined, NOW)).toEqual({
      observedGeneration: 3,
      conditions: [
        {
          ...{ type: "Ready", status: "False", reason: "InvalidSpec", message: "spec.address: is empty." },
          ...{ observedGeneration: 3, lastTransitionTime: NOW },
        },
      ],
    });
  });

  it("is the same again for the same facts", () => {
    const first = registryStatus(facts({ counts: { synced: 1 } }), undefined, BEFORE);
    expect(registryStatus(facts({ counts: { synced: 1 } }), first, NOW)).toEqual(first);
  });

  it("has messages that the API server takes", () => {
    const fault: RegistryFault = { reason: "InvalidSpec", message: "x".repeat(5000) };
    const next = registryStatus(facts({ fault }), undefined, NOW);
    expect(find(next, "Ready")?.message).toHaveLength(1024);
  });
});

describe("credentials that end", () => {
  const TIMES = {
    changedAt: BEFORE,
    expiresAt: "2026-11-27T00:00:00Z",
    nextRefreshAt: "2026-11-26T13:00:00Z",
  };
  const FAILED = { reason: "ProviderFailed", message: "provider ecr exited with 1" } as const;

  it.each<[what: string, credentials: CredentialsState, ready: string, status: string, reason: string]>([
    ["were renewed", { kind: "read", problem: undefined, ...TIMES }, "True", "True", "Read"],
    [
      "are there, but were not renewed",
      { kind: "read", problem: FAILED, ...TIMES },
      "True",
      "True",
      "ProviderFailed",
    ],
    ["never were there", { kind: "unreadable", ...FAILED, ...TIMES }, "False", "False", "ProviderFailed"],
    [
      "ended",
      { kind: "unreadable", reason: "Expired", message: "they expired", ...TIMES },
      ...(["False", "False", "Expired"] as const),
    ],
  ])("and %s", (_what, credentials, ready, status, reason) => {
    const next = registryStatus(facts({ credentials }), undefined, NOW);
    expect(find(next, "Ready")).toMatchObject({ status: ready });
    expect(find(next, "CredentialsAvailable")).toMatchObject({ status, reason });
    expect(next.credentials).toEqual(TIMES);
  });
});
