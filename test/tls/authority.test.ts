import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { beforeAll, describe, expect, it } from "vitest";
import { issueServing, makeAuthority } from "../../src/tls/authority.ts";
import type { KeyPair } from "../../src/tls/kept-certificates.ts";
import { isIssuedBy, isKeyOf, notAfterOf } from "../../src/tls/read-certificates.ts";

const HOUR_MS = 60 * 60_000;
const NAMES = ["pullpass.pullpass.svc", "pullpass.pullpass"];

describe("an authority", () => {
  const now = new Date();
  let authority: KeyPair;
  let other: KeyPair;
  let serving: KeyPair;

  beforeAll(async () => {
    authority = await makeAuthority(2 * HOUR_MS, now);
    other = await makeAuthority(2 * HOUR_MS, now);
    serving = await issueServing(authority, NAMES, HOUR_MS, now);
  });

  const read = ({ certificate }: KeyPair) => new X509Certificate(certificate);

  /** Why a client that trusts `ca` does not trust a server with this certificate; undefined if it does. */
  async function distrust(pair: KeyPair, ca: string, servername = "pullpass.pullpass.svc"): Promise<unknown> {
    const server = createServer({ cert: pair.certificate, key: pair.privateKey });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: "127.0.0.1", servername, ca });
    const reason = await once(socket, "secureConnect").then(
      () => undefined,
      (error: unknown) => (error as { readonly code: string }).code,
    );
    socket.destroy();
    server.close();
    return reason;
  }

  it.each([
    ["who trusts the authority", () => authority.certificate, "pullpass.pullpass.svc", undefined],
    ["who asks for another of its names", () => authority.certificate, "pullpass.pullpass", undefined],
    [
      "who trusts both while one replaces the other",
      () => other.certificate + authority.certificate,
      "pullpass.pullpass.svc",
      undefined,
    ],
    [
      "who trusts another one",
      () => other.certificate,
      "pullpass.pullpass.svc",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ],
    [
      "who asks for another name",
      () => authority.certificate,
      "pullpass.other.svc",
      "ERR_TLS_CERT_ALTNAME_INVALID",
    ],
  ])("issues a certificate: what a client says %s", async (_, ca, name, reason) => {
    expect(await distrust(serving, ca(), name)).toBe(reason);
  });

  it("issues what Node's own verification takes for issued by it, and not by another one", () => {
    expect(isIssuedBy(read(serving), read(authority))).toBe(true);
    expect(isIssuedBy(read(serving), read(other))).toBe(false);
    expect(isIssuedBy(read(authority), read(serving))).toBe(false);
  });

  it("may sign certificates, and what it issues may not", () => {
    expect(read(authority).ca).toBe(true);
    expect(read(serving).ca).toBe(false);
    expect(read(serving).keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(read(serving).subjectAltName).toBe("DNS:pullpass.pullpass.svc, DNS:pullpass.pullpass");
  });

  it("has a key of its own each time, and another name", () => {
    expect(isKeyOf(authority, read(authority))).toBe(true);
    expect(isKeyOf({ ...authority, privateKey: other.privateKey }, read(authority))).toBe(false);
    expect(isKeyOf({ ...authority, privateKey: "" }, read(authority))).toBe(false);
    expect(read(authority).subject).not.toBe(read(other).subject);
  });

  it("lasts from a little before, for clocks that are late", () => {
    const seconds = (time: number) => Math.floor(time / 1000);
    expect(seconds(notAfterOf(read(authority)))).toBe(seconds(now.getTime() + 2 * HOUR_MS));
    expect(seconds(notAfterOf(read(serving)))).toBe(seconds(now.getTime() + HOUR_MS));
    expect(Date.parse(read(serving).validFrom)).toBeLessThan(now.getTime());
  });

  it("issues nothing that lasts longer than itself", async () => {
    const long = await issueServing(authority, NAMES, 24 * HOUR_MS, now);
    expect(notAfterOf(read(long))).toBe(notAfterOf(read(authority)));
  });
});
