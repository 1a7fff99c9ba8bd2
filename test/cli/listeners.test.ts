import { describe, expect, it } from "vitest";
import { createIntern } from "../../src/kube/intern.ts";
import { accountListener, copyListener, namespaceListener } from "../../src/cli/listeners.ts";
import type { Namespace } from "../../src/core/kubernetes.ts";
import type { ExistingCopy } from "../../src/core/replication.ts";
import { keepAccountFacts } from "../../src/kube/account-facts.ts";
import { createReplicator, type Replicator } from "../../src/replicator/controller.ts";

/** A replicator that is never started: what it knows is what the listeners told it. */
function idleReplicator(namespaces: ReadonlyMap<string, Namespace>): Replicator {
  const refuse = (): Promise<never> => Promise.reject(new Error("not expected"));
  return createReplicator({
    namespaces,
    writer: { create: refuse, update: refuse, remove: refuse },
    accounts: { read: refuse, patch: refuse },
    warn: () => undefined,
    digest: (text) => text,
    concurrency: 1,
    random: () => 0,
    onWrite: () => undefined,
    onFailure: () => undefined,
    onReport: () => undefined,
  });
}

const namespace = (name: string): Namespace => ({
  name,
  labels: {},
  isOptedIn: true,
  isTerminating: false,
  serviceAccounts: [],
  problems: [],
});

const copy = (version: number, uid = "uid"): ExistingCopy => ({
  uid,
  version,
  content: "digest",
  isWrittenByUs: true,
  isUpdatable: true,
});

describe("namespaceListener", () => {
  it("keeps what is listed, changes and goes", () => {
    const namespaces = new Map([["gone", namespace("gone")]]);
    const listener = namespaceListener(namespaces, new Map(), idleReplicator(namespaces), () => 0);
    listener.onRelist(new Map([["one", namespace("one")]]), "5");
    expect([...namespaces.keys()]).toEqual(["one"]);
    listener.onChange("two", namespace("two"));
    listener.onRemove("one", namespace("one"));
    expect([...namespaces.keys()]).toEqual(["two"]);
  });

  it("notes when a namespace opts in, unless it had done so before the first list", () => {
    const namespaces = new Map<string, Namespace>();
    const optInTimes = new Map<string, number>();
    let now = 1;
    const listener = namespaceListener(namespaces, optInTimes, idleReplicator(namespaces), () => now);
    const out = (name: string): Namespace => ({ ...namespace(name), isOptedIn: false });
    listener.onRelist(
      new Map([
        ["before", namespace("before")],
        ["later", out("later")],
      ]),
      "5",
    );
    now = 2;
    listener.onChange("before", namespace("before"));
    listener.onChange("later", namespace("later"));
    now = 3;
    listener.onChange("later", namespace("later"));
    listener.onRelist(
      new Map([
        ["before", namespace("before")],
        ["later", namespace("later")],
        ["missed", namespace("missed")],
      ]),
      "6",
    );
    expect([...optInTimes]).toEqual([
      ["later", 2],
      ["missed", 3],
    ]);
    listener.onChange("later", out("later"));
    listener.onRemove("missed", namespace("missed"));
    expect([...optInTimes]).toEqual([]);
  });
});

describe("copyListener", () => {
  function listen() {
    const replicator = idleReplicator(new Map());
    const known = (): readonly string[] =>
      [...replicator.copies.namespaces()].flatMap((where) =>
        [...replicator.copies.in(where)].map(
          ([name, { version }]) => `${where}/${name} ${version.toString()}`,
        ),
      );
    return { replicator, listener: copyListener(replicator, createIntern()), known };
  }

  it("forgets what is not in a list, but for what was written after the list was made", () => {
    const { replicator, listener, known } = listen();
    replicator.copies.set("shop", "gone", copy(3));
    replicator.copies.set("shop", "new", copy(9));
    listener.onRelist(new Map([["shop/old", copy(2)]]), "5");
    expect(known()).toEqual(["shop/new 9", "shop/old 2"]);
  });

  it("does not let an old event undo what was written since", () => {
    const { replicator, listener, known } = listen();
    replicator.copies.set("shop", "a", copy(9));
    listener.onChange("shop/a", copy(5));
    listener.onRelist(new Map([["shop/a", copy(5)]]), "6");
    expect(known()).toEqual(["shop/a 9"]);
    listener.onChange("shop/a", copy(12));
    expect(known()).toEqual(["shop/a 12"]);
  });

  it("forgets a copy that is deleted, and not the one that has its name by now", () => {
    const { replicator, listener, known } = listen();
    replicator.copies.set("shop", "a", copy(9, "second"));
    listener.onRemove("shop/a", copy(8, "first"));
    expect(known()).toEqual(["shop/a 9"]);
    listener.onRemove("shop/a", copy(10, "second"));
    expect(known()).toEqual([]);
  });
});

describe("accountListener", () => {
  it("keeps accounts that have something of ours or enforce their list, and forgets them when they are gone", () => {
    const replicator = idleReplicator(new Map());
    const facts = keepAccountFacts({ read: () => Promise.resolve(undefined) });
    const listener = accountListener(replicator, facts);
    const account = {
      namespace: "shop",
      name: "default",
      resourceVersion: "4",
      isMountableSecretsEnforced: true,
      attached: "regcred",
    };
    listener.onChange("shop/default", account);
    listener.onChange("shop/other", {
      ...account,
      name: "other",
      isMountableSecretsEnforced: false,
      attached: undefined,
    });
    expect([...replicator.attached.in("shop").keys(), ...facts.keys()]).toEqual(["default", "shop/default"]);
    listener.onRelist(new Map(), "9");
    expect([replicator.attached.size, [...facts.keys()]]).toEqual([0, []]);
    listener.onChange("shop/default", account);
    listener.onRemove("shop/default", account);
    expect([replicator.attached.size, [...facts.keys()]]).toEqual([0, []]);
  });
});
