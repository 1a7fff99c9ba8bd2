import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { apiError, watchError } from "../../src/kube/errors.ts";

const CREATE = "POST /api/v1/secrets";
const statusText = (members: object): string => JSON.stringify({ kind: "Status", ...members });

describe("an error of the API server", () => {
  it("has its status, its reason and its words", () => {
    const message = 'secrets is forbidden: User "a" cannot list resource "secrets" in API group ""';
    const error = apiError("GET /api/v1/secrets", 403, statusText({ reason: "Forbidden", message }), false);
    expect(error).toMatchObject({ status: 403, reason: "Forbidden" });
    expect(error.message).toBe(`GET /api/v1/secrets: 403 Forbidden: ${message}`);
    expect(error.body).toMatchObject({ kind: "Status", message });
  });

  it.each([
    ["an empty body", ""],
    ["a page of a proxy", "<html>made-up-secret</html>"],
    ["JSON that is no Status", '{"kind":"Secret","message":"made-up-secret"}'],
    ["JSON that is no object", "[]"],
  ])("does without a Status: %s", (_, text) => {
    const error = apiError(CREATE, 502, text, false);
    expect(error.message).toBe(`${CREATE}: 502`);
    expect(inspect(error)).not.toContain("made-up-secret");
  });

  it("shows nothing of what other people's code says about an object that is deleted", () => {
    const message = 'admission webhook "a.example.com" denied the request: made-up-secret';
    const error = apiError(
      "DELETE /api/v1/secrets/a",
      403,
      statusText({ reason: "Forbidden", message }),
      false,
    );
    expect(inspect(error)).not.toContain("made-up-secret");
    expect(error.message).toContain('admission webhook "a.example.com" denied the request');
  });

  it("says which fields are wrong", () => {
    const causes = [
      { reason: "FieldValueInvalid", field: "data[.dockerconfigjson]", message: "made-up-secret" },
    ];
    const details = { name: "regcred", kind: "Secret", causes };
    const text = statusText({ reason: "Invalid", message: "Invalid value: made-up-secret", details });
    const error = apiError(CREATE, 422, text, true);
    expect(error.message).toBe(`${CREATE}: 422 Invalid: data[.dockerconfigjson]`);
    expect(error.body["details"]).toEqual({
      name: "regcred",
      kind: "Secret",
      causes: [{ reason: "FieldValueInvalid", field: "data[.dockerconfigjson]" }],
    });
  });

  it.each([
    [400, "Secret in version v1 cannot be handled: illegal base64 ...|made-up-secret|...", ""],
    [500, "failed to create typed patch object: expected string, got made-up-secret", ""],
    [
      403,
      'admission webhook "a.example.com" denied the request: made-up-secret',
      ': admission webhook "a.example.com" denied the request',
    ],
    [
      409,
      'admission webhook "a.example.com" denied the request: made-up-secret',
      ': admission webhook "a.example.com" denied the request',
    ],
    [
      500,
      'Internal error occurred: failed calling webhook "b.c": made-up-secret',
      ': failed calling webhook "b.c"',
    ],
    [
      422,
      "secrets \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: made-up-secret",
      ": ValidatingAdmissionPolicy 'p' with binding 'b' denied request",
    ],
  ])("does not quote what was sent: %i %s", (status, message, rest) => {
    const error = apiError(CREATE, status, statusText({ message }), true);
    expect(inspect(error, { depth: null })).not.toContain("made-up-secret");
    expect(error.message).toBe(`${CREATE}: ${status.toString()}${rest}`);
  });

  it.each([
    [401, "Unauthorized"],
    [403, "exceeded quota: q, requested: secrets=1, used: secrets=1, limited: secrets=1"],
    [404, 'namespaces "a" not found'],
    [409, 'secrets "a" already exists'],
    [429, "too many requests"],
  ])("keeps the words of a %i, which are names only", (status, message) => {
    expect(apiError(CREATE, status, statusText({ message }), true).message).toContain(message);
  });

  it("in an event of a watch has its code", () => {
    const error = watchError("WATCH /api/v1/secrets", { kind: "Status", code: 410, reason: "Expired" });
    expect(error).toMatchObject({ status: 410, reason: "Expired" });
    expect(watchError("WATCH /api/v1/secrets", {})).toMatchObject({ status: 500, reason: "" });
  });
});
