/** Registries that send clients to a token server. */
import { describe, expect, it } from "vitest";
import {
  ask,
  authorizations,
  BASIC,
  givesToken,
  needsToken,
  TOKEN,
  trustedCertificate,
  unauthorized,
} from "./ask-odd-server.ts";
import { startOddServer } from "./odd-server.ts";

const tls = await trustedCertificate();

describe("a token", () => {
  it("is fetched of a server on another host, which alone gets the password", async () => {
    const tokenServer = await startOddServer(givesToken, { tls });
    const registry = await startOddServer(
      needsToken(`${tokenServer.url}/token?x=1`, ',service="the registry",scope="s"'),
      {
        tls,
      },
    );
    expect((await ask(registry.host)).login).toEqual({ kind: "works", flow: "token" });
    expect(authorizations(registry)).toEqual([undefined, `Bearer ${TOKEN}`]);
    expect(tokenServer.received).toMatchObject([
      { method: "GET", path: "/token?x=1&service=the+registry&account=made-up-user", authorization: BASIC },
    ]);
  });

  it.each([
    ["token", { token: TOKEN }],
    ["access_token", { access_token: TOKEN }],
    ["both, of which access_token counts", { token: "made-up", access_token: TOKEN }],
    ["an empty one of the two", { token: TOKEN, access_token: "" }],
  ])("comes as %s", async (_, answer) => {
    const tokenServer = await startOddServer(() => ({ body: JSON.stringify(answer) }));
    const registry = await startOddServer(needsToken(tokenServer.url));
    expect((await ask(registry.host)).login).toEqual({ kind: "works", flow: "token" });
  });

  it("comes before a password where both will do", async () => {
    const tokenServer = await startOddServer(givesToken);
    const registry = await startOddServer(({ authorization }) =>
      authorization === `Bearer ${TOKEN}`
        ? {}
        : unauthorized(["Basic realm=r", `Bearer realm="${tokenServer.url}"`]),
    );
    expect((await ask(registry.host)).login).toEqual({ kind: "works", flow: "token" });
    expect(authorizations(registry)).not.toContain(BASIC);
  });

  it("is refused by the token server", async () => {
    const tokenServer = await startOddServer(({ authorization }) => ({
      status: 401,
      body: authorization ?? "",
    }));
    const registry = await startOddServer(needsToken(tokenServer.url));
    expect((await ask(registry.host)).login).toEqual({
      kind: "refused",
      reason: `401 Unauthorized from the token server ${tokenServer.host}`,
    });
  });

  it("is refused by the registry", async () => {
    const tokenServer = await startOddServer(givesToken);
    const registry = await startOddServer(() => unauthorized(`Bearer realm="${tokenServer.url}"`));
    expect((await ask(registry.host)).login).toEqual({
      kind: "refused",
      reason: `401 Unauthorized from ${registry.host}`,
    });
  });

  it.each([
    ["is not JSON", { body: "made-up-token" }, "answers without a token"],
    ["is null", { body: "null" }, "answers without a token"],
    ["holds none", { body: "{}" }, "answers without a token"],
    ["holds a number", { body: '{"token": 1}' }, "answers without a token"],
    ["would add a header", { body: JSON.stringify({ token: "x\r\ny: z" }) }, "answers without a token"],
    [
      "is too long",
      { body: JSON.stringify({ token: "x".repeat(1024 * 1024) }) },
      "answers with more than 256 KiB",
    ],
    ["is a fault", { status: 500, body: TOKEN }, "answers 500 Internal Server Error"],
    ["has a status that nobody knows", { status: 599 }, "answers 599"],
  ])("is not there if the answer %s", async (_, reply, reason) => {
    const tokenServer = await startOddServer(() => reply);
    const registry = await startOddServer(needsToken(tokenServer.url));
    const { login } = await ask(registry.host);
    expect(login).toMatchObject({ kind: "unusable-answer" });
    expect(login).toHaveProperty(
      "reason",
      expect.stringMatching(new RegExp(`${tokenServer.host} ${reason}$`)),
    );
    expect(registry.received).toHaveLength(1);
  });

  it("is not fetched over http for a registry that speaks https", async () => {
    const tokenServer = await startOddServer(givesToken);
    const registry = await startOddServer(needsToken(tokenServer.url), { tls });
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `the token server ${tokenServer.host} is not asked over https, so credentials were not sent to it`,
    });
    expect(tokenServer.received).toEqual([]);
  });

  it("is not fetched over http from another machine", async () => {
    const registry = await startOddServer(needsToken("http://auth.example.com/token"));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: "the token server auth.example.com is not asked over https, so credentials were not sent to it",
    });
  });

  it("is not fetched where a token server redirects to another host", async () => {
    const other = await startOddServer(givesToken, { tls });
    const tokenServer = await startOddServer(({ authorization = "" }) => ({
      status: 302,
      headers: { location: `${other.url}/${authorization}` },
    }));
    const registry = await startOddServer(needsToken(tokenServer.url));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `${tokenServer.host} redirects to another host, where credentials do not follow`,
    });
    expect(other.received).toEqual([]);
  });
});
