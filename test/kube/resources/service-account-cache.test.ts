import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ServiceAccount } from "../../../src/core/attachment.ts";
import { createServiceAccountCache } from "../../../src/kube/resources/service-accounts.ts";

const enforcing = { version: 1, isMountableSecretsEnforced: true, attached: undefined };

const onFailure = vi.fn();

/** A cache of accounts that are read as the test answers. */
function cacheWith(read: () => Promise<ServiceAccount | undefined>) {
  return createServiceAccountCache({ client: { read }, onFailure });
}

const account = (...names: readonly string[]): ServiceAccount => ({
  resourceVersion: "1",
  imagePullSecrets: [...names.map((name) => ({ name })), {}],
  annotations: undefined,
  secrets: [{ name: "pullpass.build" }, "odd"],
});

describe("the cache of ServiceAccounts", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it("reads an account that enforces its list, and takes it for an empty list until then", async () => {
    const cache = cacheWith(() => Promise.resolve(account("regcred")));
    cache.update("shop", "default", enforcing);
    expect(cache.get("shop", "default")).toEqual({
      isMountableSecretsEnforced: true,
      pullSecretNames: new Set(),
      mountableSecretNames: new Set(),
    });
    await vi.advanceTimersByTimeAsync(0);
    expect(cache.get("shop", "default")).toEqual({
      isMountableSecretsEnforced: true,
      pullSecretNames: new Set(["regcred"]),
      mountableSecretNames: new Set(["pullpass.build"]),
    });
  });

  it("keeps a few names, however long a list somebody wrote", async () => {
    const names = Array.from({ length: 10_000 }, (_, index) => `secret-${index.toString()}`);
    const cache = cacheWith(() => Promise.resolve(account("x".repeat(1_000_000), ...names)));
    cache.update("shop", "default", enforcing);
    await vi.advanceTimersByTimeAsync(0);
    expect([...(cache.get("shop", "default")?.pullSecretNames ?? [])]).toEqual(names.slice(0, 256));
  });

  it("knows nothing of an account that enforces nothing, does not any more, or is gone", async () => {
    const cache = cacheWith(() => Promise.resolve(account()));
    cache.update("shop", "default", { ...enforcing, isMountableSecretsEnforced: false });
    expect(cache.get("shop", "default")).toBeUndefined();
    cache.update("shop", "default", enforcing);
    cache.update("shop", "default", { ...enforcing, version: 2, isMountableSecretsEnforced: false });
    await vi.advanceTimersByTimeAsync(0);
    expect(cache.get("shop", "default")).toBeUndefined();
    cache.update("shop", "default", { ...enforcing, version: 3 });
    expect(cache.get("shop", "default")).toBeDefined();
    cache.update("shop", "default", undefined);
    expect(cache.get("shop", "default")).toBeUndefined();
  });

  it("reads again when the account changed, and not when it is only told of again", async () => {
    const read = vi.fn(() => Promise.resolve(account("regcred")));
    const cache = cacheWith(read);
    cache.update("shop", "default", enforcing);
    cache.update("shop", "default", enforcing);
    await vi.advanceTimersByTimeAsync(0);
    expect(read).toHaveBeenCalledTimes(1);
    cache.update("shop", "default", { ...enforcing, version: 2 });
    // What was known counts until the new list is there.
    expect(cache.get("shop", "default")?.pullSecretNames).toEqual(new Set(["regcred"]));
    expect(read).toHaveBeenCalledTimes(2);
  });

  it("tries again where an account could not be read", async () => {
    const answers = [Promise.reject(new Error("made to fail")), Promise.resolve(account("regcred"))];
    const cache = cacheWith(() => answers.shift() ?? Promise.resolve(undefined));
    cache.update("shop", "default", enforcing);
    await vi.advanceTimersByTimeAsync(0);
    expect(cache.get("shop", "default")?.pullSecretNames).toEqual(new Set());
    await vi.advanceTimersByTimeAsync(5000);
    expect(cache.get("shop", "default")?.pullSecretNames).toEqual(new Set(["regcred"]));
  });
});
