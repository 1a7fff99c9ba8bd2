import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { checkServerIdentity, connect, createServer, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isIssuedBy, isKeyOf, notAfterOf, type KeyPair } from "../../src/tls/certificates.ts";
import { issueServing, makeAuthority, makeSelfSignedCertificate } from "../../src/tls/x509.ts";

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
    ["trusts the authority", () => authority.certificate, "pullpass.pullpass.svc", undefined],
    ["asks for another of its names", () => authority.certificate, "pullpass.pullpass", undefined],
    [
      "trusts both while one replaces the other",
      () => other.certificate + authority.certificate,
      "pullpass.pullpass.svc",
      undefined,
    ],
    [
      "trusts another authority",
      () => other.certificate,
      "pullpass.pullpass.svc",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ],
    [
      "asks for another name",
      () => authority.certificate,
      "pullpass.other.svc",
      "ERR_TLS_CERT_ALTNAME_INVALID",
    ],
  ])("issues a certificate, which is checked by a client that %s", async (_, ca, name, reason) => {
    expect(await distrust(serving, ca(), name)).toBe(reason);
  });

  it("issues certificates that Node verifies as issued by it, and not by another authority", () => {
    expect(isIssuedBy(read(serving), read(authority))).toBe(true);
    expect(isIssuedBy(read(serving), read(other))).toBe(false);
    expect(isIssuedBy(read(authority), read(serving))).toBe(false);
  });

  it("may sign certificates, and those that it issues may not", () => {
    expect(read(authority).ca).toBe(true);
    expect(read(serving).ca).toBe(false);
    expect(read(serving).keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(read(serving).subjectAltName).toBe("DNS:pullpass.pullpass.svc, DNS:pullpass.pullpass");
  });

  it("has its own key and its own name each time", () => {
    expect(isKeyOf(authority, read(authority))).toBe(true);
    expect(isKeyOf({ ...authority, privateKey: other.privateKey }, read(authority))).toBe(false);
    expect(isKeyOf({ ...authority, privateKey: "" }, read(authority))).toBe(false);
    expect(read(authority).subject).not.toBe(read(other).subject);
  });

  it("is valid from a little earlier, for clients whose clocks are behind", () => {
    const seconds = (time: number) => Math.floor(time / 1000);
    expect(seconds(notAfterOf(read(authority)))).toBe(seconds(now.getTime() + 2 * HOUR_MS));
    expect(seconds(notAfterOf(read(serving)))).toBe(seconds(now.getTime() + HOUR_MS));
    expect(Date.parse(read(serving).validFrom)).toBeLessThan(now.getTime());
  });

  it("issues nothing that expires after it", async () => {
    const long = await issueServing(authority, NAMES, 24 * HOUR_MS, now);
    expect(notAfterOf(read(long))).toBe(notAfterOf(read(authority)));
  });
});

describe("makeSelfSignedCertificate", () => {
  const now = new Date();
  let certificate: string;
  let port: number;
  const server = createServer();

  beforeAll(async () => {
    const made = await makeSelfSignedCertificate(["localhost", "127.0.0.1", "::1"], now);
    certificate = made.certificate;
    server.setSecureContext({ cert: made.certificate, key: made.privateKey });
    await once(server.listen(0), "listening");
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => server.close());

  /** Why a client does not trust the server; undefined if it does. */
  async function distrust(name: string): Promise<string | undefined> {
    // One address for all names: what matters is the name that the client asks for.
    const socket: TLSSocket = connect({
      port,
      host: "127.0.0.1",
      servername: "localhost",
      ca: certificate,
      checkServerIdentity: (_host, peer) => checkServerIdentity(name, peer),
    });
    const reason = await once(socket, "secureConnect").then(
      () => undefined,
      (error: unknown) => String(error),
    );
    socket.destroy();
    return reason;
  }

  it.each([
    ["localhost", undefined],
    ["127.0.0.1", undefined],
    ["::1", undefined],
    ["example.com", "Hostname/IP does not match certificate's altnames"],
  ])("makes a certificate; a client that is given it checks it for %s", async (name, reason) => {
    expect((await distrust(name))?.split(":")[1]?.trim()).toBe(reason);
  });

  it("makes a certificate for a year from now, valid from a little earlier, for clients whose clocks are behind", async () => {
    const { notAfter } = await makeSelfSignedCertificate(["localhost"], now);
    expect(notAfter.getTime() - now.getTime()).toBe(365 * 24 * 60 * 60 * 1000);
    expect(Date.parse(new X509Certificate(certificate).validFrom)).toBeLessThan(now.getTime());
  });

  it("makes a different key each time", async () => {
    const other = await makeSelfSignedCertificate(["localhost"], now);
    expect(other.certificate).not.toBe(certificate);
  });
});
