import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Namespace } from "../../src/core/kubernetes.ts";
import { createStore, type Versioned } from "../../src/core/store.ts";
import type { ChangeHandler } from "../../src/kube/informer.ts";
import { trackOptIns } from "../../src/serve/opt-ins.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it("notes when a namespace opts in, unless it had done so before the first list", () => {
  const store = createStore<Namespace & Versioned>();
  const namespaces = {
    store,
    isSynced: false,
    subscribe: (given: ChangeHandler<Namespace & Versioned>) => void (handler = given),
  };
  let handler: ChangeHandler<Namespace & Versioned> = () => undefined;
  const optIns = trackOptIns(namespaces);
  let version = 0;
  const change = (name: string, isOptedIn: boolean, problems: Namespace["problems"] = []): void => {
    const previous = store.get("", name);
    const common = { name, labels: {}, isTerminating: false, serviceAccounts: [] };
    const current = { ...common, isOptedIn, problems, version: ++version };
    store.set("", name, current);
    handler("", name, current, previous);
  };
  const recent = () => ["before", "later", "missed"].filter((name) => optIns.isRecent(name));

  // What no watch has reported may have opted in this very moment.
  expect(recent()).toEqual(["before", "later", "missed"]);
  change("before", true);
  change("later", false);
  change("missed", true);
  expect(recent()).toEqual(["later"]);
  namespaces.isSynced = true;
  change("before", true);
  change("later", true);
  expect(recent()).toEqual(["later"]);
  expect(optIns.get("later")).toMatchObject({ name: "later" });
  const optedInAt = Date.now();
  expect(["before", "later"].map(optIns.optedInAt)).toEqual([undefined, optedInAt]);
  vi.advanceTimersByTime(59_999);
  expect(recent()).toEqual(["later"]);
  vi.advanceTimersByTime(1);
  expect(recent()).toEqual([]);
  change("later", false);
  expect(optIns.get("later")).toBeUndefined();
  change("later", true);
  optIns.forget("later");
  expect(recent()).toEqual([]);
  expect(optIns.optedInAt("later")).toBe(Date.now());
  change("later", false);
  change("later", true);
  expect(recent()).toEqual(["later"]);
  // Its labels are not read, and nothing is copied.
  change("later", false, ["LabelsTooLong"]);
  expect(recent()).toEqual([]);
});
