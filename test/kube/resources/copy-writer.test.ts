import { describe, expect, it } from "vitest";
import { fakeApis } from "../fake-transport.ts";
import type { JsonObject } from "../../../src/core/kubernetes.ts";
import { KubeApiError, KubeNotSentError, KubeUnreachableError } from "../../../src/kube/errors.ts";
import { createCopyWriter } from "../../../src/kube/resources/copies.ts";
import { createStringPool } from "../../../src/kube/string-pool.ts";

const COPY = { name: "pullpass-team-a", data: "e30=", registries: ["team-a"], content: "digest" };

function refusal(status: number, reason: string, details?: JsonObject): KubeApiError {
  return new KubeApiError(status, reason, { kind: "Status", details }, `${String(status)} ${reason}`);
}

/** Answers the requests with these, one after the other. */
function writerThatMeets(...answers: readonly (Error | JsonObject)[]) {
  const left = [...answers];
  const apisFor = fakeApis(() => {
    const answer = left.shift() ?? new Error("there was one request too many");
    return answer instanceof Error ? Promise.reject(answer) : answer;
  });
  return createCopyWriter(apisFor, createStringPool());
}

describe("what a test cluster is never slow enough for", () => {
  it("is lost when the Secret in the way went before it was looked at", async () => {
    const writer = writerThatMeets(refusal(409, "AlreadyExists"), refusal(404, "NotFound"));
    expect(await writer.create("team-a", COPY, "high")).toEqual({ kind: "gone" });
  });

  it("is lost when others wrote the Secret again and again", async () => {
    const writer = writerThatMeets(refusal(409, "Conflict"));
    expect(await writer.update("team-a", COPY, "7c1f", "high")).toEqual({ kind: "gone" });
  });
});

describe("a write that was not sent because this replica does not lead any more", () => {
  it("is no fault", async () => {
    const writer = () => writerThatMeets(new KubeNotSentError("made up"));
    expect([
      await writer().create("team-a", COPY, "high"),
      await writer().update("team-a", COPY, "7c1f", "high"),
      await writer().remove("team-a", COPY.name, "7c1f", "high"),
    ]).toEqual([{ kind: "not-leading" }, { kind: "not-leading" }, { kind: "not-leading" }]);
  });
});

describe("a fault that says nothing of the Secret is the caller's", () => {
  const quota = refusal(403, "Forbidden", { name: "pullpass-team-a", kind: "secrets" });
  const forbidden = refusal(403, "Forbidden");
  const invalid = refusal(422, "Invalid", { causes: [{ reason: "FieldValueInvalid", field: "data" }] });
  const noDetails = refusal(422, "Invalid");
  const conflict = refusal(409, "Conflict");
  const failure = refusal(500, "InternalError");
  const unreachable = new KubeUnreachableError("the connection broke");

  it.each([quota, forbidden, invalid, conflict, failure, unreachable])("of create: %s", async (error) => {
    await expect(writerThatMeets(error).create("team-a", COPY, "high")).rejects.toBe(error);
  });

  it("of the look at what is in the way", async () => {
    const writer = writerThatMeets(refusal(409, "AlreadyExists"), forbidden);
    await expect(writer.create("team-a", COPY, "high")).rejects.toBe(forbidden);
  });

  it.each([forbidden, invalid, noDetails, failure, unreachable])("of update: %s", async (error) => {
    await expect(writerThatMeets(error).update("team-a", COPY, "7c1f", "high")).rejects.toBe(error);
  });

  it.each([forbidden, failure, unreachable])("of remove: %s", async (error) => {
    await expect(writerThatMeets(error).remove("team-a", COPY.name, "7c1f", "high")).rejects.toBe(error);
  });
});
