import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ServiceAccount } from "../../src/core/attachment.ts";
import { keepAccountFacts } from "../../src/kube/account-facts.ts";

const enforcing = {
  namespace: "shop",
  name: "default",
  resourceVersion: "1",
  isMountableSecretsEnforced: true,
  attached: undefined,
};

/** Facts over accounts that are read as the test answers. */
function factsWith(read: () => Promise<ServiceAccount | undefined>) {
  return keepAccountFacts({ read });
}

const account = (...names: readonly string[]): ServiceAccount => ({
  resourceVersion: "1",
  imagePullSecrets: [...names.map((name) => ({ name })), {}],
  annotations: undefined,
  secrets: [{ name: "pullpass.build" }, "odd"],
});

describe("keepAccountFacts", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it("reads an account that enforces its list, and takes it for an empty list until then", async () => {
    const facts = factsWith(() => Promise.resolve(account("regcred")));
    facts.onAccount(enforcing);
    expect(facts.of("shop", "default")).toEqual({
      isMountableSecretsEnforced: true,
      pullSecretNames: new Set(),
      mountableSecretNames: new Set(),
    });
    await vi.advanceTimersByTimeAsync(0);
    expect(facts.of("shop", "default")).toEqual({
      isMountableSecretsEnforced: true,
      pullSecretNames: new Set(["regcred"]),
      mountableSecretNames: new Set(["pullpass.build"]),
    });
  });

  it("keeps a few names, however long a list somebody wrote", async () => {
    const names = Array.from({ length: 10_000 }, (_, index) => `secret-${index.toString()}`);
    const facts = factsWith(() => Promise.resolve(account("x".repeat(1_000_000), ...names)));
    facts.onAccount(enforcing);
    await vi.advanceTimersByTimeAsync(0);
    expect([...(facts.of("shop", "default")?.pullSecretNames ?? [])]).toEqual(names.slice(0, 256));
  });

  it("knows nothing of an account that enforces nothing, does not any more, or is gone", async () => {
    const facts = factsWith(() => Promise.resolve(account()));
    facts.onAccount({ ...enforcing, isMountableSecretsEnforced: false });
    expect(facts.of("shop", "default")).toBeUndefined();
    facts.onAccount(enforcing);
    facts.onAccount({ ...enforcing, resourceVersion: "2", isMountableSecretsEnforced: false });
    await vi.advanceTimersByTimeAsync(0);
    expect(facts.of("shop", "default")).toBeUndefined();
    facts.onAccount({ ...enforcing, resourceVersion: "3" });
    expect([...facts.keys()]).toEqual(["shop/default"]);
    facts.onAccountGone("shop", "default");
    expect(facts.of("shop", "default")).toBeUndefined();
  });

  it("reads again when the account changed, and not when it is only told of again", async () => {
    const read = vi.fn(() => Promise.resolve(account("regcred")));
    const facts = factsWith(read);
    facts.onAccount(enforcing);
    facts.onAccount(enforcing);
    await vi.advanceTimersByTimeAsync(0);
    expect(read).toHaveBeenCalledTimes(1);
    facts.onAccount({ ...enforcing, resourceVersion: "2" });
    // What was known counts until the new list is there.
    expect(facts.of("shop", "default")?.pullSecretNames).toEqual(new Set(["regcred"]));
    expect(read).toHaveBeenCalledTimes(2);
  });

  it("tries again where an account could not be read", async () => {
    const answers = [Promise.reject(new Error("made to fail")), Promise.resolve(account("regcred"))];
    const facts = factsWith(() => answers.shift() ?? Promise.resolve(undefined));
    facts.onAccount(enforcing);
    await vi.advanceTimersByTimeAsync(0);
    expect(facts.of("shop", "default")?.pullSecretNames).toEqual(new Set());
    await vi.advanceTimersByTimeAsync(5000);
    expect(facts.of("shop", "default")?.pullSecretNames).toEqual(new Set(["regcred"]));
  });
});
