import { describe, expect, it, vi } from "vitest";
import type { ServiceAccount } from "../../src/core/attachment.ts";
import type { Namespace } from "../../src/core/kubernetes.ts";
import { prepareCopies, type Copy, type ExistingCopy, type Source } from "../../src/core/replication.ts";
import { Replicator, type ReplicatorOptions } from "../../src/replicator/controller.ts";
import { createStore } from "../../src/core/store.ts";
import type { AccountMetadata, ClusterWarning, WriteOutcome } from "../../src/replicator/ports.ts";
import type { ReplicationReport } from "../../src/replicator/progress.ts";
import { makeRegistry } from "../core/make-registry.ts";

const namespace = (name: string, change: Partial<Namespace> = {}): Namespace => ({
  name,
  labels: {},
  isOptedIn: true,
  isTerminating: false,
  serviceAccounts: [],
  problems: [],
  ...change,
});

const digest = (text: string): string => `digest of ${text}`;
/** Anything but what is desired. */
const OTHER = { content: "another" };

function source(name: string, change: Partial<Source["registry"]> = {}, password = "made-up"): Source {
  const registry = {
    ...makeRegistry(name, `${name}.example.com`, { secretName: `pullpass-${name}`, use: ["pull"] }),
    hosts: [],
    ...change,
  };
  return {
    registry,
    credentials: [{ address: registry.address, username: "made-up", password }],
    secret: undefined,
  };
}

let version = 0;
function existingFrom({ content }: Pick<Copy, "content">): ExistingCopy {
  version++;
  return { uid: `uid-${version.toString()}`, version, content, isWrittenByUs: true, isUpdatable: true };
}

/** A replicator whose writes succeed unless the test says otherwise. */
function replicate(names: readonly Namespace[], change: Partial<ReplicatorOptions> = {}) {
  const namespaces = new Map(names.map((entry) => [entry.name, entry]));
  const writes: string[] = [];
  const warnings: ClusterWarning[] = [];
  const failures: unknown[] = [];
  const reports: ReplicationReport[] = [];
  const succeed = (text: string, copy: Copy): Promise<WriteOutcome> => {
    writes.push(text);
    return Promise.resolve({ kind: "written", existing: existingFrom(copy) });
  };
  const copies = createStore<ExistingCopy>();
  const accounts = createStore<AccountMetadata>();
  const replicator = new Replicator({
    namespaces,
    copies,
    accounts,
    writer: {
      create: (where, copy, priority) => succeed(`create ${where}/${copy.name} ${priority}`, copy),
      update: (where, copy, _, priority) => succeed(`update ${where}/${copy.name} ${priority}`, copy),
      remove: (where, name) => {
        writes.push(`remove ${where}/${name}`);
        return Promise.resolve({ kind: "removed" });
      },
    },
    accountClient: { read: () => Promise.resolve(undefined), patch: () => Promise.resolve({ kind: "gone" }) },
    warn: (warning) => warnings.push(warning),
    digest,
    concurrency: 4,
    random: () => 0,
    onWrite: () => undefined,
    onFailure: (_, error) => failures.push(error),
    onReport: (report) => reports.push(report),
    ...change,
  });
  return { replicator, namespaces, copies, accounts, writes, warnings, failures, reports };
}

/** Waits until nothing is left to do, and returns what was written since. */
async function settle(replicator: Replicator, writes: string[]): Promise<readonly string[]> {
  await vi.waitUntil(() => replicator.depth === 0, { interval: 1 });
  return writes.splice(0);
}

describe("Replicator", () => {
  it("writes nothing until it is started, and then each copy once", async () => {
    const { replicator, writes } = replicate([
      namespace("one"),
      namespace("two"),
      namespace("three", { isOptedIn: false }),
    ]);
    replicator.setDesiredState({ sources: [source("a"), source("b")], attachedServiceAccounts: [] });
    replicator.onNamespaceChange("one");
    expect(await settle(replicator, writes)).toEqual([]);
    replicator.start();
    expect(await settle(replicator, writes)).toEqual([
      "create one/pullpass-a high",
      "create one/pullpass-b high",
      "create two/pullpass-a high",
      "create two/pullpass-b high",
    ]);
    replicator.onNamespaceChange("one");
    replicator.onCopyChange("two");
    replicator.setDesiredState({ sources: [source("a"), source("b")], attachedServiceAccounts: [] });
    await replicator.stop();
    replicator.start();
    expect(await settle(replicator, writes)).toEqual([]);
  });

  it("applies a rotation, a removed registry and an opt-out to the copies", async () => {
    const { replicator, copies, namespaces, writes } = replicate([namespace("one")]);
    replicator.setDesiredState({ sources: [source("a"), source("b")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, writes);
    replicator.setDesiredState({
      sources: [source("a", {}, "rotated"), source("b")],
      attachedServiceAccounts: [],
    });
    expect(await settle(replicator, writes)).toEqual(["update one/pullpass-a low"]);
    replicator.setDesiredState({ sources: [source("a", {}, "rotated")], attachedServiceAccounts: [] });
    expect(await settle(replicator, writes)).toEqual(["remove one/pullpass-b"]);
    namespaces.set("one", namespace("one", { isOptedIn: false }));
    replicator.onNamespaceChange("one");
    expect(await settle(replicator, writes)).toEqual(["remove one/pullpass-a"]);
    expect(copies.size).toBe(0);
  });

  it("puts back a copy that was changed or deleted by hand", async () => {
    const { replicator, copies, writes } = replicate([namespace("one")]);
    replicator.setDesiredState({ sources: [source("a")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, writes);
    copies.set("one", "pullpass-a", existingFrom(OTHER));
    replicator.onCopyChange("one");
    expect(await settle(replicator, writes)).toEqual(["update one/pullpass-a low"]);
    copies.remove("one", "pullpass-a");
    replicator.onCopyChange("one");
    expect(await settle(replicator, writes)).toEqual(["create one/pullpass-a high"]);
  });

  it("removes and creates a Secret that cannot be updated in place", async () => {
    const { replicator, copies, writes } = replicate([namespace("one")]);
    copies.set("one", "pullpass-a", { ...existingFrom(OTHER), isUpdatable: false });
    replicator.setDesiredState({ sources: [source("a")], attachedServiceAccounts: [] });
    replicator.start();
    expect(await settle(replicator, writes)).toEqual(["remove one/pullpass-a", "create one/pullpass-a low"]);
  });

  it("leaves a Secret alone that is not ours, and warns", async () => {
    const { replicator, warnings } = replicate([namespace("one")], {
      writer: {
        create: () => Promise.resolve({ kind: "not-owned", uid: "uid-of-others" }),
        update: () => Promise.reject(new Error("not expected")),
        remove: () => Promise.reject(new Error("not expected")),
      },
    });
    replicator.setDesiredState({ sources: [source("a")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, []);
    expect(replicator.blockedNamespaces).toBe(1);
    expect(warnings).toEqual([
      {
        reason: "SecretNotOurs",
        message:
          "Secret pullpass-a was not created by Pullpass and is left alone; pods use it as it is. Within five minutes after it is deleted, Pullpass creates it from registry a.",
        secret: { namespace: "one", name: "pullpass-a", uid: "uid-of-others" },
      },
    ]);
  });

  it.each([
    [
      "is no longer opted in",
      (replicator: Replicator, namespaces: Map<string, Namespace>) => {
        namespaces.set("one", { ...namespace("one"), isOptedIn: false });
        replicator.onNamespaceChange("one");
      },
    ],
    [
      "is gone",
      (replicator: Replicator, namespaces: Map<string, Namespace>) => {
        namespaces.delete("one");
        replicator.onNamespaceChange("one");
      },
    ],
    ["is left to another replica", (replicator: Replicator) => void replicator.stop()],
  ])("does not count a namespace as blocked that %s", async (_title, change) => {
    const { replicator, namespaces } = replicate([namespace("one")], {
      writer: {
        create: () => Promise.resolve({ kind: "not-owned", uid: "uid-of-others" }),
        update: () => Promise.reject(new Error("not expected")),
        remove: () => Promise.reject(new Error("not expected")),
      },
    });
    replicator.setDesiredState({ sources: [source("a")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, []);
    change(replicator, namespaces);
    expect(replicator.blockedNamespaces).toBe(0);
  });

  it("reconciles again if an unknown copy exists, or a known one is gone", async () => {
    const outcomes: WriteOutcome[] = [{ kind: "exists", existing: existingFrom(OTHER) }, { kind: "gone" }];
    const seen: string[] = [];
    const write = (text: string, copy: Copy): Promise<WriteOutcome> => {
      seen.push(text);
      return Promise.resolve(outcomes.shift() ?? { kind: "written", existing: existingFrom(copy) });
    };
    const { replicator } = replicate([namespace("one")], {
      writer: {
        create: (_, copy) => write("create", copy),
        update: (_, copy) => write("update", copy),
        remove: () => Promise.reject(new Error("not expected")),
      },
    });
    replicator.setDesiredState({ sources: [source("a")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, []);
    expect(seen).toEqual(["create", "update", "create"]);
  });

  it("continues with the other copies if one fails", async () => {
    const fail = Promise.reject(new Error("made to fail"));
    const { copies, replicator, failures } = replicate([namespace("one")], {
      writer: {
        create: (_, copy) =>
          copy.name === "pullpass-a"
            ? fail
            : Promise.resolve({ kind: "written", existing: existingFrom(copy) }),
        update: () => fail,
        remove: () => fail,
      },
    });
    replicator.setDesiredState({ sources: [source("a"), source("b")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, []);
    expect(failures).toEqual([new Error("made to fail")]);
    expect([...copies.in("one").keys()]).toEqual(["pullpass-b"]);
  });

  it("forgets nothing and creates nothing after the writer reports that another replica leads", async () => {
    const notLeading = (): Promise<{ kind: "not-leading" }> => Promise.resolve({ kind: "not-leading" });
    const { replicator, copies, failures, reports } = replicate([namespace("one")], {
      writer: {
        create: () => Promise.reject(new Error("not expected")),
        update: notLeading,
        remove: notLeading,
      },
    });
    copies.set("one", "pullpass-a", { ...existingFrom(OTHER), isUpdatable: false });
    copies.set("one", "pullpass-b", existingFrom(OTHER));
    copies.set("one", "pullpass-c", existingFrom(OTHER));
    replicator.setDesiredState({ sources: [source("a"), source("b")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, []);
    expect(copies.size).toBe(3);
    expect([failures, reports]).toEqual([[], []]);
  });

  it("never writes or removes a source, whatever its labels are, and warns", async () => {
    const { replicator, copies, writes, warnings } = replicate([
      namespace("one"),
      namespace("two", { isOptedIn: false }),
    ]);
    const at = (name: string, where: string, secretName: string): Source => ({
      ...source(name),
      secret: { namespace: where, name: secretName },
    });
    copies.set("one", "pullpass-b", { ...existingFrom(OTHER), uid: "7c1f" });
    copies.set("two", "original", existingFrom(OTHER));
    replicator.setDesiredState({
      sources: [at("a", "one", "pullpass-b"), at("b", "two", "original")],
      attachedServiceAccounts: [],
    });
    replicator.start();
    expect(await settle(replicator, writes)).toEqual(["create one/pullpass-a low"]);
    expect(warnings).toEqual([
      {
        reason: "SourceHasNameOfCopy",
        message:
          "Secret pullpass-b is the source of a registry's credentials, but the copy of another registry has the same name. Pullpass does not write that copy here, and pods get the source instead. Rename the source, or set secretName of the other registry.",
        secret: { namespace: "one", name: "pullpass-b", uid: "7c1f" },
      },
      {
        reason: "SourceHasOurLabel",
        message:
          "Secret original is the source of a registry's credentials, but has the label app.kubernetes.io/managed-by=pullpass, which marks copies. Pullpass does not change or delete it. Remove the label.",
        secret: { namespace: "two", name: "original", uid: expect.any(String) as string },
      },
    ]);
  });

  it("warns of a namespace's label that has no effect, if this replica leads", async () => {
    const namespaces = [
      namespace("one", {
        isOptedIn: false,
        labels: { "pullpass.dev/inject": "true" },
        problems: ["InjectLabelHasNoEffect"],
      }),
      namespace("gone", { isTerminating: true, problems: ["LabelsTooLong"] }),
    ];
    const { replicator, warnings } = replicate(namespaces);
    replicator.setDesiredState({ sources: [source("a")], attachedServiceAccounts: [] });
    replicator.onNamespaceChange("one");
    expect(warnings).toEqual([]);
    replicator.start();
    replicator.onNamespaceChange("one");
    const warning = {
      reason: "InjectLabelHasNoEffect",
      message:
        'The label pullpass.dev/inject=true has no effect. To opt the namespace in, set it to "enabled".',
      namespace: "one",
    };
    // The event recorder drops repeated warnings.
    expect(warnings).toEqual([warning, warning]);
    await replicator.stop();
  });

  it("writes nothing in a namespace that is being deleted or unknown", async () => {
    const { replicator, writes } = replicate([namespace("one", { isTerminating: true })]);
    replicator.setDesiredState({ sources: [source("a")], attachedServiceAccounts: ["default"] });
    replicator.start();
    replicator.onNamespaceChange("two");
    expect(await settle(replicator, writes)).toEqual([]);
  });

  it("warns if no namespace may have a registry's credentials", () => {
    const selector = { matchLabels: { team: "a" } };
    const { replicator, warnings } = replicate([namespace("one")]);
    replicator.setDesiredState({
      sources: [source("a", { namespaces: selector }), source("b")],
      attachedServiceAccounts: [],
    });
    replicator.start();
    expect(warnings).toEqual([
      {
        reason: "CredentialsForNobody",
        message: "No opted-in namespace has the labels that registry a requires under namespaces.",
      },
    ]);
  });
});

describe("Replicator reports", () => {
  const desired = (...sources: readonly Source[]) => ({ sources, attachedServiceAccounts: [] });
  const NONE = { namespaces: 0, written: 0, removed: 0, serviceAccounts: 0, blocked: 0, failed: 0 };

  async function started(names: readonly Namespace[], change: Partial<ReplicatorOptions> = {}) {
    const setup = replicate(names, change);
    const { replicator, reports } = setup;
    replicator.setDesiredState(desired(source("a"), source("b")));
    replicator.start();
    await settle(replicator, []);
    const takeReports = async (): Promise<readonly ReplicationReport[]> => {
      await settle(replicator, []);
      return reports.splice(0);
    };
    return { ...setup, takeReports };
  }

  it("the start of a term once, even if there was nothing to do", async () => {
    const names = Array.from({ length: 20 }, (_, index) => namespace(`ns-${index.toString()}`));
    const { replicator, takeReports } = await started(names);
    expect(await takeReports()).toEqual([{ kind: "started", ...NONE, namespaces: 20, written: 40 }]);
    await replicator.stop();
    replicator.start();
    expect(await takeReports()).toEqual([{ kind: "started", ...NONE }]);
  });

  it("an opt-in, an opt-out and a correction, each once, with the number of copies", async () => {
    const { copies, replicator, namespaces, takeReports } = await started([
      namespace("one", { isOptedIn: false }),
    ]);
    await takeReports();
    for (const isOptedIn of [true, false]) {
      namespaces.set("one", namespace("one", { isOptedIn }));
      replicator.onNamespaceChange("one");
      expect(await takeReports()).toEqual([
        { kind: isOptedIn ? "opted-in" : "opted-out", namespace: "one", copies: 2 },
      ]);
      replicator.onNamespaceChange("one");
      expect(await takeReports()).toEqual([]);
    }
    namespaces.set("one", namespace("one"));
    replicator.onNamespaceChange("one");
    await takeReports();
    copies.set("one", "pullpass-a", existingFrom(OTHER));
    copies.set("one", "pullpass-z", existingFrom(OTHER));
    replicator.onCopyChange("one");
    expect(await takeReports()).toEqual([{ kind: "corrected", namespace: "one", written: 1, removed: 1 }]);
  });

  it("an opt-in once if the watch delivers a copy before the response to its write", async () => {
    let answer: (() => void) | undefined;
    const { replicator, copies, namespaces, reports } = replicate([], {
      writer: {
        create: (_, copy) =>
          new Promise((resolve) => {
            answer = () => {
              resolve({ kind: "written", existing: existingFrom(copy) });
            };
          }),
        update: () => Promise.reject(new Error("not expected")),
        remove: () => Promise.reject(new Error("not expected")),
      },
    });
    replicator.setDesiredState(desired(source("a")));
    replicator.start();
    namespaces.set("one", namespace("one"));
    replicator.onNamespaceChange("one");
    const [copy] = prepareCopies([source("a")], digest)(namespace("one")).copies;
    copies.set("one", "pullpass-a", existingFrom(copy ?? OTHER));
    replicator.onCopyChange("one");
    answer?.();
    await settle(replicator, []);
    expect(reports.slice(1)).toEqual([{ kind: "opted-in", namespace: "one", copies: 1 }]);
  });

  it("a rotation in many namespaces once, at its end, with the registries", async () => {
    const names = Array.from({ length: 20 }, (_, index) => namespace(`ns-${index.toString()}`));
    const { replicator, takeReports } = await started(names);
    await takeReports();
    replicator.setDesiredState(desired(source("a", {}, "rotated"), source("b")));
    // A second change during the first is reported with it.
    replicator.setDesiredState(desired(source("a", {}, "rotated")));
    expect(await takeReports()).toEqual([
      { kind: "changed", registries: ["a", "b"], ...NONE, namespaces: 20, written: 20, removed: 20 },
    ]);
    replicator.setDesiredState(desired(source("a", {}, "rotated")));
    expect(await takeReports()).toEqual([]);
  });

  it("failures, and a namespace that succeeded later on its own", async () => {
    let isBroken = true;
    const { takeReports } = await started([namespace("one"), namespace("two")], {
      writer: {
        create: (where, copy) =>
          isBroken && where === "two" && copy.name === "pullpass-b"
            ? Promise.reject(new Error("quota"))
            : Promise.resolve({ kind: "written", existing: existingFrom(copy) }),
        update: () => Promise.reject(new Error("not expected")),
        remove: () => Promise.reject(new Error("not expected")),
      },
    });
    expect(await takeReports()).toEqual([{ kind: "started", ...NONE, namespaces: 2, written: 3, failed: 1 }]);
    isBroken = false;
    await vi.waitFor(async () => {
      expect(await takeReports()).toEqual([{ kind: "corrected", namespace: "two", written: 1, removed: 0 }]);
    });
  });

  it("the end of a change even if a namespace is deleted meanwhile, and ServiceAccounts with it", async () => {
    const { replicator, namespaces, reports } = replicate([namespace("one"), namespace("two")], {
      concurrency: 1,
      accountClient: {
        read: () =>
          Promise.resolve({ resourceVersion: "1", imagePullSecrets: undefined, annotations: undefined }),
        patch: () => Promise.resolve({ kind: "patched", version: 2 }),
      },
    });
    replicator.setDesiredState({ ...desired(source("a")), attachedServiceAccounts: ["default"] });
    replicator.start();
    namespaces.delete("two");
    replicator.onNamespaceChange("two");
    await settle(replicator, []);
    expect(reports).toMatchObject([{ kind: "started", serviceAccounts: 1, failed: 0 }]);
  });
});

describe("Replicator, with ServiceAccounts", () => {
  /** Accounts as the API server would store them, by `namespace/name`. */
  function accountsOf(initial: Readonly<Record<string, readonly string[]>>) {
    const stored = new Map<string, ServiceAccount>(
      Object.entries(initial).map(([key, names]) => [
        key,
        { resourceVersion: "1", imagePullSecrets: names.map((name) => ({ name })), annotations: {} },
      ]),
    );
    const patches: string[] = [];
    return {
      stored,
      patches,
      read: (where: string, name: string) => Promise.resolve(stored.get(`${where}/${name}`)),
      patch: (where: string, name: string) => {
        patches.push(`${where}/${name}`);
        version++;
        return Promise.resolve({ kind: "patched" as const, version });
      },
    };
  }

  it("attaches to the accounts of the configuration and of the namespace's annotation", async () => {
    const accounts = accountsOf({ "one/default": [], "one/builder": [], "one/other": [], "two/default": [] });
    const { replicator, writes } = replicate(
      [namespace("one", { serviceAccounts: ["builder"] }), namespace("two", { isOptedIn: false })],
      { accountClient: accounts },
    );
    replicator.setDesiredState({ sources: [source("a")], attachedServiceAccounts: ["default"] });
    replicator.start();
    await settle(replicator, writes);
    expect(accounts.patches.toSorted()).toEqual(["one/builder", "one/default"]);
    replicator.onNamespaceChange("one");
    await settle(replicator, writes);
    expect(accounts.patches).toHaveLength(2);
  });

  it("attaches to an account that is created later, and again after somebody changed it", async () => {
    const accounts = accountsOf({});
    const {
      replicator,
      writes,
      accounts: known,
    } = replicate([namespace("one")], {
      accountClient: accounts,
    });
    replicator.setDesiredState({ sources: [source("a")], attachedServiceAccounts: ["default"] });
    replicator.start();
    await settle(replicator, writes);
    accounts.stored.set("one/default", {
      resourceVersion: "1",
      imagePullSecrets: undefined,
      annotations: undefined,
    });
    const see = (metadata: AccountMetadata): void => {
      if (known.set("one", "default", metadata)) replicator.onAccountChange("one", "default");
    };
    see({ version: 1, attached: undefined });
    await settle(replicator, writes);
    expect(accounts.patches).toEqual(["one/default"]);
    const echo = known.get("one", "default");
    see({ version: echo?.version ?? 0, attached: digest("pullpass-a") });
    await settle(replicator, writes);
    expect(accounts.patches).toHaveLength(1);
    see({ version: (echo?.version ?? 0) + 1, attached: undefined });
    await settle(replicator, writes);
    expect(accounts.patches).toHaveLength(2);
  });

  it("reads an account again if somebody else changed it first", async () => {
    const accounts = accountsOf({ "one/default": [] });
    const results = ["conflict", "conflict"] as const;
    let count = 0;
    const { replicator, writes } = replicate([namespace("one")], {
      accountClient: {
        read: accounts.read,
        patch: (where, name) => {
          const kind = results[count++];
          return kind === undefined ? accounts.patch(where, name) : Promise.resolve({ kind });
        },
      },
    });
    replicator.setDesiredState({ sources: [source("a")], attachedServiceAccounts: ["default"] });
    replicator.start();
    await settle(replicator, writes);
    expect([count, accounts.patches]).toEqual([3, ["one/default"]]);
  });

  it("leaves an account that somebody else changed to the next leader", async () => {
    const { promise, resolve } = Promise.withResolvers<{ readonly kind: "conflict" }>();
    const patch = vi.fn(() => promise);
    const { replicator } = replicate([namespace("one")], {
      accountClient: { read: accountsOf({ "one/default": [] }).read, patch },
    });
    replicator.setDesiredState({ sources: [source("a")], attachedServiceAccounts: ["default"] });
    replicator.start();
    await vi.waitFor(() => {
      expect(patch).toHaveBeenCalled();
    });
    const stopped = replicator.stop();
    resolve({ kind: "conflict" });
    await stopped;
    expect(replicator.depth).toBe(0);
  });
});
