/** Registries that ask for a password. */
import { describe, expect, it } from "vitest";
import {
  ask,
  authorizations,
  BASIC,
  needsBasic,
  trustedCertificate,
  unauthorized,
} from "./ask-odd-server.ts";
import { startOddServer } from "./odd-server.ts";

const tls = await trustedCertificate();

describe("a password", () => {
  it("works, and is given only once it was asked for", async () => {
    const registry = await startOddServer(needsBasic, { tls });
    expect(await ask(registry.host)).toEqual({ login: { kind: "works", flow: "basic" }, pulls: [] });
    expect(registry.received.map(({ path }) => path)).toEqual(["/v2/", "/v2/"]);
    expect(authorizations(registry)).toEqual([undefined, BASIC]);
  });

  it.each([
    [401, "401 Unauthorized"],
    [403, "403 Forbidden"],
  ])("is refused with %i, and nothing is pulled", async (status, words) => {
    const registry = await startOddServer(({ authorization }) => ({
      status: authorization === undefined ? 401 : status,
      headers: { "www-authenticate": "Basic realm=r", "x-echo": authorization ?? "" },
      body: authorization ?? "",
    }));
    const reason = `${words} from ${registry.host}`;
    expect(await ask(registry.host, ["app"])).toEqual({ login: { kind: "refused", reason }, pulls: [] });
    expect(registry.received).toHaveLength(2);
  });

  it("is not given to a registry that asks for none", async () => {
    const registry = await startOddServer(() => ({}));
    expect(await ask(registry.host, ["app"])).toMatchObject({
      login: { kind: "asks-for-none" },
      pulls: [{ outcome: { kind: "allowed" } }],
    });
    expect(authorizations(registry)).toEqual([undefined, undefined]);
  });

  it("does not follow a redirect to another host", async () => {
    const other = await startOddServer(() => ({}));
    const registry = await startOddServer(({ authorization }) =>
      authorization === undefined
        ? unauthorized("Basic realm=r")
        : { status: 307, headers: { location: `${other.url}/v2/?echo=${authorization}` } },
    );
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `${registry.host} redirects to another host, where credentials do not follow`,
    });
    expect(other.received).toEqual([]);
  });

  it("follows a redirect within the host", async () => {
    const registry = await startOddServer((request) =>
      request.path === "/v2/" ? { status: 308, headers: { location: "/registry/v2/" } } : needsBasic(request),
    );
    expect((await ask(registry.host)).login).toEqual({ kind: "works", flow: "basic" });
  });

  it.each([
    ["/v2/", "answers with one redirect after the other"],
    ["https://", "redirects to another host, where credentials do not follow"],
    ["", "answers with one redirect after the other"],
  ])("goes nowhere with a redirect to %j", async (location, reason) => {
    const registry = await startOddServer(() => ({ status: 302, headers: { location } }));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `${registry.host} ${reason}`,
    });
    expect(registry.received.length).toBeLessThanOrEqual(4);
  });
});
