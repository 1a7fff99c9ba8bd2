/** Answers that say nothing about credentials. */
import { describe, expect, it } from "vitest";
import { checkLogin, findEndpoint } from "../../src/registry/login.ts";
import { makeSelfSignedCertificate } from "../../src/tls/x509.ts";
import {
  ask,
  authorizations,
  BASIC,
  CREDENTIAL,
  givesToken,
  needsBasic,
  needsToken,
  trustedCertificate,
  unauthorized,
} from "./ask-odd-server.ts";
import { startOddServer } from "./odd-server.ts";

const tls = await trustedCertificate();

describe("a challenge that nothing can be done with", () => {
  it.each([
    ["none", [], "asks neither for Basic nor for Bearer"],
    ["another scheme", "Negotiate", "asks neither for Basic nor for Bearer"],
    ["a broken one", 'Basic realm="r', "breaks the rules of RFC 9110"],
    ["Bearer without a realm", "Bearer service=x", "names no token server"],
    ["Bearer whose realm is no URL", 'Bearer realm="the registry"', "names no token server"],
    ["Bearer whose realm is a file", 'Bearer realm="file:///etc/passwd"', "not asked over https"],
  ])("is named: %s", async (_, challenge, reason) => {
    const registry = await startOddServer(() => unauthorized(challenge));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: expect.stringContaining(reason) as string,
    });
    expect(authorizations(registry)).toEqual([undefined]);
  });

  it("does not let a realm say who we are", async () => {
    const tokenServer = await startOddServer(givesToken);
    const registry = await startOddServer(needsToken(tokenServer.url.replace("//", "//someone:else@")));
    await ask(registry.host);
    expect(authorizations(tokenServer)).toEqual([BASIC]);
  });
});

describe("what answers", () => {
  it.each([
    [404, "404 Not Found"],
    [403, "403 Forbidden"],
    [503, "503 Service Unavailable"],
  ])("%i to the first request is no registry that works", async (status, words) => {
    const registry = await startOddServer(() => ({ status }));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `${registry.host} answers ${words} to GET /v2/`,
    });
  });

  it.each([
    ["nothing", undefined],
    ["half a body", { body: "{", hangs: true }],
  ])("with %s in time was not reached", async (_, reply) => {
    const registry = await startOddServer(() => reply);
    expect((await ask(registry.host, [], 200)).login).toEqual({
      kind: "not-reached",
      reason: `no answer from ${registry.host} within 0.2 s`,
    });
  });

  it("without an end is not read to the end", async () => {
    const registry = await startOddServer(() => ({ body: "x".repeat(300 * 1024), hangs: true }));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `${registry.host} answers with more than 256 KiB`,
    });
  });

  it("with a certificate that is not trusted gets nothing", async () => {
    const stranger = await makeSelfSignedCertificate(["127.0.0.1"], new Date());
    const registry = await startOddServer(needsBasic, { tls: stranger });
    expect((await ask(registry.host)).login).toEqual({
      kind: "not-reached",
      reason: expect.stringMatching(/^TLS: self-signed certificate; NODE_EXTRA_CA_CERTS/) as string,
    });
    expect(registry.received).toEqual([]);
  });

  it("with a certificate for another name gets nothing", async () => {
    const registry = await startOddServer(needsBasic, { tls });
    expect((await ask(registry.host.replace("127.0.0.1", "localhost"))).login).toEqual({
      kind: "not-reached",
      reason: expect.stringMatching(/^TLS: Hostname\/IP does not match/) as string,
    });
    expect(registry.received).toEqual([]);
  });

  it.skipIf(process.platform !== "linux")(
    "in plain HTTP at another address than this machine's gets nothing",
    async () => {
      const registry = await startOddServer(needsBasic, { hostname: "127.0.0.2" });
      expect((await ask(registry.host)).login).toEqual({
        kind: "not-reached",
        reason: "TLS: what answers does not speak it",
      });
      expect(registry.received).toEqual([]);
    },
  );

  it("is nothing where nobody listens", async () => {
    expect((await ask("127.0.0.1:1")).login).toEqual({
      kind: "not-reached",
      reason: "connect ECONNREFUSED 127.0.0.1:1",
    });
    expect((await ask("localhost:1")).login).toEqual({
      kind: "not-reached",
      reason: expect.stringContaining("connect ECONNREFUSED 127.0.0.1:1") as string,
    });
  });

  it("is nothing where nobody can be", async () => {
    expect((await checkLogin({ authority: "host:99999", credential: CREDENTIAL, images: [] })).login).toEqual(
      {
        kind: "unusable-answer",
        reason: "host:99999 is not a host that can be asked",
      },
    );
  });

  it("for Docker Hub is another host than the one in its images' names", async () => {
    const { url } = await findEndpoint("docker.io", () =>
      Promise.resolve({ status: 200, authenticate: undefined, body: "" }),
    );
    expect(url.href).toBe("https://registry-1.docker.io/v2/");
  });
});
