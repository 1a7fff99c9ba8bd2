import { describe, expect, it } from "vitest";
import { createStore } from "../../src/core/store.ts";

describe("createStore", () => {
  it("takes over what is newer, and nothing that is as new or older", () => {
    const store = createStore();
    expect(store.set("shop", "a", { version: 5 })).toBe(true);
    expect(store.set("shop", "a", { version: 5 })).toBe(false);
    expect(store.set("shop", "a", { version: 4 })).toBe(false);
    expect(store.set("shop", "a", { version: 10 })).toBe(true);
    expect(store.in("shop").get("a")).toEqual({ version: 10 });
  });

  it("counts objects, and forgets namespaces that have none left", () => {
    const store = createStore();
    store.set("shop", "a", { version: 1 });
    store.set("shop", "b", { version: 1 });
    store.remove("shop", "a");
    store.remove("shop", "a");
    expect(store.size).toBe(1);
    store.remove("shop", "b");
    expect([store.size, ...store.namespaces()]).toEqual([0]);
    expect(store.in("shop").size).toBe(0);
  });
});
