import { expect, it, vi } from "vitest";
import { keepAccountFacts } from "../../src/kube/account-facts.ts";

const METADATA = { namespace: "a", name: "strict", resourceVersion: "1", attached: undefined };

it("knows what an account lists that enforces its list, and until it is read that it lists nothing", async () => {
  const facts = keepAccountFacts({
    read: () =>
      Promise.resolve({
        resourceVersion: "1",
        annotations: undefined,
        imagePullSecrets: [{ name: "regcred" }, {}],
        secrets: [{ name: "pullpass.build" }, "odd"],
      }),
  });
  facts.onAccount({ ...METADATA, isMountableSecretsEnforced: true });
  const nothing = { isMountableSecretsEnforced: true, pullSecretNames: [], mountableSecretNames: [] };
  expect(facts.of("a", "strict")).toEqual(nothing);
  await vi.waitFor(() => {
    expect(facts.of("a", "strict")).toEqual({
      isMountableSecretsEnforced: true,
      pullSecretNames: ["regcred"],
      mountableSecretNames: ["pullpass.build"],
    });
  });
  facts.onAccount({ ...METADATA, resourceVersion: "2", isMountableSecretsEnforced: false });
  expect(facts.of("a", "strict")).toBeUndefined();
});
