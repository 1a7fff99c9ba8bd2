import { describe, expect, it, vi } from "vitest";
import type { ServiceAccount } from "../../src/core/attachment.ts";
import type { Namespace } from "../../src/core/kubernetes.ts";
import type { Copy, ExistingCopy, Source } from "../../src/core/replication.ts";
import {
  createReplicator,
  type Replicator,
  type ReplicatorOptions,
} from "../../src/replicator/controller.ts";
import type { ClusterWarning, WriteOutcome } from "../../src/replicator/ports.ts";
import { makeRegistry } from "../core/make-registry.ts";

const namespace = (name: string, change: Partial<Namespace> = {}): Namespace => ({
  name,
  labels: {},
  isOptedIn: true,
  isTerminating: false,
  serviceAccounts: [],
  ...change,
});

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
function existingFrom(copy: Copy): ExistingCopy {
  version++;
  return {
    uid: `uid-${version.toString()}`,
    version,
    document: copy.document,
    registries: copy.registries.join(","),
    isMarked: true,
    isUpdatable: true,
  };
}

/** A replicator over namespaces, whose writes succeed unless the test says otherwise. */
function replicate(names: readonly Namespace[], change: Partial<ReplicatorOptions> = {}) {
  const namespaces = new Map(names.map((entry) => [entry.name, entry]));
  const writes: string[] = [];
  const warnings: ClusterWarning[] = [];
  const failures: unknown[] = [];
  const succeed = (text: string, copy: Copy): Promise<WriteOutcome> => {
    writes.push(text);
    return Promise.resolve({ kind: "written", existing: existingFrom(copy) });
  };
  const replicator = createReplicator({
    namespaces,
    writer: {
      create: (where, copy, lane) => succeed(`create ${where}/${copy.name} ${lane}`, copy),
      update: (where, copy, _, lane) => succeed(`update ${where}/${copy.name} ${lane}`, copy),
      remove: (where, name) => {
        writes.push(`remove ${where}/${name}`);
        return Promise.resolve();
      },
    },
    accounts: { read: () => Promise.resolve(undefined), patch: () => Promise.resolve({ kind: "gone" }) },
    warn: (warning) => warnings.push(warning),
    mayWrite: () => true,
    concurrency: 4,
    random: () => 0,
    onWrite: () => undefined,
    onFailure: (_, error) => failures.push(error),
    ...change,
  });
  return { replicator, namespaces, writes, warnings, failures };
}

/** Waits until nothing is left to do, and hands out what was written since. */
async function settle(replicator: Replicator, writes: string[]): Promise<readonly string[]> {
  await vi.waitUntil(() => replicator.depth === 0, { interval: 1 });
  return writes.splice(0);
}

describe("createReplicator", () => {
  it("writes nothing until it is started, and each copy once then", async () => {
    const { replicator, writes } = replicate([
      namespace("one"),
      namespace("two"),
      namespace("three", { isOptedIn: false }),
    ]);
    replicator.setGoal({ sources: [source("a"), source("b")], attachedServiceAccounts: [] });
    replicator.onNamespace("one");
    expect(await settle(replicator, writes)).toEqual([]);
    replicator.start();
    expect(await settle(replicator, writes)).toEqual([
      "create one/pullpass-a urgent",
      "create one/pullpass-b urgent",
      "create two/pullpass-a urgent",
      "create two/pullpass-b urgent",
    ]);
    replicator.onNamespace("one");
    replicator.onCopy("two");
    replicator.setGoal({ sources: [source("a"), source("b")], attachedServiceAccounts: [] });
    await replicator.stop();
    replicator.start();
    expect(await settle(replicator, writes)).toEqual([]);
  });

  it("brings a rotation, a removed registry and an opt-out to the copies", async () => {
    const { replicator, namespaces, writes } = replicate([namespace("one")]);
    replicator.setGoal({ sources: [source("a"), source("b")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, writes);
    replicator.setGoal({ sources: [source("a", {}, "rotated"), source("b")], attachedServiceAccounts: [] });
    expect(await settle(replicator, writes)).toEqual(["update one/pullpass-a background"]);
    replicator.setGoal({ sources: [source("a", {}, "rotated")], attachedServiceAccounts: [] });
    expect(await settle(replicator, writes)).toEqual(["remove one/pullpass-b"]);
    namespaces.set("one", namespace("one", { isOptedIn: false }));
    replicator.onNamespace("one");
    expect(await settle(replicator, writes)).toEqual(["remove one/pullpass-a"]);
    expect(replicator.copies.size).toBe(0);
  });

  it("puts back a copy that was changed or deleted by hand", async () => {
    const { replicator, writes } = replicate([namespace("one")]);
    replicator.setGoal({ sources: [source("a")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, writes);
    replicator.copies.set("one", "pullpass-a", {
      ...existingFrom({ name: "", document: "{}", registries: [] }),
    });
    replicator.onCopy("one");
    expect(await settle(replicator, writes)).toEqual(["update one/pullpass-a background"]);
    replicator.copies.remove("one", "pullpass-a");
    replicator.onCopy("one");
    expect(await settle(replicator, writes)).toEqual(["create one/pullpass-a urgent"]);
  });

  it("removes and creates where the Secret cannot be changed in place", async () => {
    const { replicator, writes } = replicate([namespace("one")]);
    replicator.copies.set("one", "pullpass-a", {
      ...existingFrom({ name: "", document: "{}", registries: [] }),
      isUpdatable: false,
    });
    replicator.setGoal({ sources: [source("a")], attachedServiceAccounts: [] });
    replicator.start();
    expect(await settle(replicator, writes)).toEqual([
      "remove one/pullpass-a",
      "create one/pullpass-a background",
    ]);
  });

  it("leaves a Secret of others alone, and says so", async () => {
    const { replicator, warnings } = replicate([namespace("one")], {
      writer: {
        create: () => Promise.resolve({ kind: "foreign", uid: "uid-of-others" }),
        update: () => Promise.reject(new Error("not expected")),
        remove: () => Promise.reject(new Error("not expected")),
      },
    });
    replicator.setGoal({ sources: [source("a")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, []);
    expect(replicator.blockedNamespaces).toBe(1);
    expect(warnings).toEqual([
      {
        reason: "SecretNotOurs",
        message:
          "Secret pullpass-a was not made by Pullpass and is left alone; pods get it as it is. Once it is deleted, it is made from registry a within five minutes.",
        secret: { namespace: "one", name: "pullpass-a", uid: "uid-of-others" },
      },
    ]);
  });

  it.each([
    [
      "did not opt in any more",
      (replicator: Replicator, namespaces: Map<string, Namespace>) => {
        namespaces.set("one", { ...namespace("one"), isOptedIn: false });
        replicator.onNamespace("one");
      },
    ],
    [
      "is gone",
      (replicator: Replicator, namespaces: Map<string, Namespace>) => {
        namespaces.delete("one");
        replicator.onNamespaceGone("one");
      },
    ],
    ["is another replica's to write", (replicator: Replicator) => void replicator.stop()],
  ])("does not count a namespace as blocked that %s", async (_title, change) => {
    const { replicator, namespaces } = replicate([namespace("one")], {
      writer: {
        create: () => Promise.resolve({ kind: "foreign", uid: "uid-of-others" }),
        update: () => Promise.reject(new Error("not expected")),
        remove: () => Promise.reject(new Error("not expected")),
      },
    });
    replicator.setGoal({ sources: [source("a")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, []);
    change(replicator, namespaces);
    expect(replicator.blockedNamespaces).toBe(0);
  });

  it("looks again where a copy is there that it did not know, or one it knew is gone", async () => {
    const outcomes: WriteOutcome[] = [
      { kind: "exists", existing: existingFrom({ name: "pullpass-a", document: "{}", registries: [] }) },
      { kind: "lost" },
    ];
    const seen: string[] = [];
    const write = (text: string, copy: Copy): Promise<WriteOutcome> => {
      seen.push(text);
      return Promise.resolve(outcomes.shift() ?? { kind: "written", existing: existingFrom(copy) });
    };
    const { replicator } = replicate([namespace("one")], {
      writer: {
        create: (_, copy) => write("create", copy),
        update: (_, copy) => write("update", copy),
        remove: () => Promise.resolve(),
      },
    });
    replicator.setGoal({ sources: [source("a")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, []);
    expect(seen).toEqual(["create", "update", "create"]);
  });

  it("writes nothing once another replica may, and goes on with the other copies when one fails", async () => {
    let mayWrite = true;
    const fail = Promise.reject(new Error("made to fail"));
    const { replicator, failures } = replicate([namespace("one")], {
      mayWrite: () => mayWrite,
      writer: {
        create: (_, copy) =>
          copy.name === "pullpass-a"
            ? fail
            : Promise.resolve({ kind: "written", existing: existingFrom(copy) }),
        update: () => fail,
        remove: () => fail,
      },
    });
    replicator.setGoal({ sources: [source("a"), source("b")], attachedServiceAccounts: [] });
    replicator.start();
    await settle(replicator, []);
    expect(failures).toEqual([new Error("made to fail")]);
    expect([...replicator.copies.in("one").keys()]).toEqual(["pullpass-b"]);
    mayWrite = false;
    replicator.onNamespace("one");
    await settle(replicator, []);
    expect(failures).toHaveLength(1);
  });

  it("touches nothing in a namespace that is on its way out, and nothing of one that it does not know", async () => {
    const { replicator, writes } = replicate([namespace("one", { isTerminating: true })]);
    replicator.setGoal({ sources: [source("a")], attachedServiceAccounts: ["default"] });
    replicator.start();
    replicator.onNamespace("two");
    expect(await settle(replicator, writes)).toEqual([]);
  });

  it("says that no namespace may have a registry's credentials", () => {
    const selector = { matchLabels: { team: "a" } };
    const { replicator, warnings } = replicate([namespace("one")]);
    replicator.setGoal({
      sources: [source("a", { namespaces: selector }), source("b")],
      attachedServiceAccounts: [],
    });
    replicator.start();
    expect(warnings).toEqual([
      {
        reason: "CredentialsForNobody",
        message: "No opted-in namespace has the labels that registry a asks for under namespaces.",
      },
    ]);
  });
});

describe("createReplicator, with ServiceAccounts", () => {
  /** Accounts as the API server would keep them, by `namespace/name`. */
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
        return Promise.resolve({ kind: "patched" as const, resourceVersion: version.toString() });
      },
    };
  }

  it("attaches to the accounts of the configuration and of the namespace's annotation", async () => {
    const accounts = accountsOf({ "one/default": [], "one/builder": [], "one/other": [], "two/default": [] });
    const { replicator, writes } = replicate(
      [namespace("one", { serviceAccounts: ["builder"] }), namespace("two", { isOptedIn: false })],
      { accounts },
    );
    replicator.setGoal({ sources: [source("a")], attachedServiceAccounts: ["default"] });
    replicator.start();
    await settle(replicator, writes);
    expect(accounts.patches.toSorted()).toEqual(["one/builder", "one/default"]);
    replicator.onNamespace("one");
    await settle(replicator, writes);
    expect(accounts.patches).toHaveLength(2);
  });

  it("attaches to an account that comes later, and again when somebody changed it", async () => {
    const accounts = accountsOf({});
    const { replicator, writes } = replicate([namespace("one")], { accounts });
    replicator.setGoal({ sources: [source("a")], attachedServiceAccounts: ["default"] });
    replicator.start();
    await settle(replicator, writes);
    accounts.stored.set("one/default", {
      resourceVersion: "1",
      imagePullSecrets: undefined,
      annotations: undefined,
    });
    replicator.onAccount("one", "default", { version: 1, attached: undefined });
    await settle(replicator, writes);
    expect(accounts.patches).toEqual(["one/default"]);
    const echo = replicator.attached.in("one").get("default");
    replicator.onAccount("one", "default", { version: echo?.version ?? 0, attached: "pullpass-a" });
    await settle(replicator, writes);
    expect(accounts.patches).toHaveLength(1);
    replicator.onAccount("one", "default", { version: (echo?.version ?? 0) + 1, attached: undefined });
    await settle(replicator, writes);
    expect(accounts.patches).toHaveLength(2);
  });

  it("reads an account again where somebody else was faster", async () => {
    const accounts = accountsOf({ "one/default": [] });
    const results = ["conflict", "conflict"] as const;
    let count = 0;
    const { replicator, writes } = replicate([namespace("one")], {
      accounts: {
        read: accounts.read,
        patch: (where, name) => {
          const kind = results[count++];
          return kind === undefined ? accounts.patch(where, name) : Promise.resolve({ kind });
        },
      },
    });
    replicator.setGoal({ sources: [source("a")], attachedServiceAccounts: ["default"] });
    replicator.start();
    await settle(replicator, writes);
    expect([count, accounts.patches]).toEqual([3, ["one/default"]]);
  });
});
