import { describe, expect, it } from "vitest";
import { fakeApis } from "../fake-transport.ts";
import { KubeApiError, KubeNotSentError, KubeUnreachableError } from "../../../src/kube/errors.ts";
import { digest } from "../../../src/kube/resources/copies.ts";
import {
  createServiceAccountClient,
  readServiceAccountMetadata,
} from "../../../src/kube/resources/service-accounts.ts";

describe("a fault of a ServiceAccount's request", () => {
  const refusal = (status: number, body = {}) => new KubeApiError(status, "", body, String(status));
  const accountsThatMeet = (error: Error) =>
    createServiceAccountClient(fakeApis(() => Promise.reject(error)));

  it("is a conflict where others wrote the account again and again", async () => {
    expect(await accountsThatMeet(refusal(409)).patch("team-a", "default", [], "high")).toEqual({
      kind: "conflict",
    });
  });

  it("is none where the patch was not sent because this replica does not lead any more", async () => {
    const accounts = accountsThatMeet(new KubeNotSentError("made up"));
    expect(await accounts.patch("team-a", "default", [], "high")).toEqual({ kind: "not-leading" });
  });

  it.each([
    refusal(403),
    refusal(500),
    refusal(422, { details: { causes: [{ field: "imagePullSecrets" }] } }),
    new KubeUnreachableError("the connection broke"),
  ])("else is the caller's: %s", async (error) => {
    const accounts = accountsThatMeet(error);
    await expect(accounts.patch("team-a", "default", [], "high")).rejects.toBe(error);
    await expect(accounts.read("team-a", "default", "high")).rejects.toBe(error);
  });
});

it.each([
  [undefined, false, undefined],
  [{}, false, undefined],
  [{ "kubernetes.io/enforce-mountable-secrets": "true" }, true, undefined],
  [{ "kubernetes.io/enforce-mountable-secrets": "1" }, true, undefined],
  [{ "kubernetes.io/enforce-mountable-secrets": "yes", "pullpass.dev/attached": "" }, false, digest("")],
  [{ "pullpass.dev/attached": "pullpass-a,pullpass-b" }, false, digest("pullpass-a,pullpass-b")],
])(
  "the metadata of an account with the annotations %j: enforced %j, attached %j",
  (annotations, isMountableSecretsEnforced, attached) => {
    const metadata = { namespace: "team-a", name: "default", resourceVersion: "7", annotations };
    expect(readServiceAccountMetadata({ metadata })).toEqual({
      version: 7,
      isMountableSecretsEnforced,
      attached,
    });
  },
);
