import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { checkServerIdentity, connect, createServer, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeSelfSignedCertificate } from "../../src/tls/self-signed.ts";

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
    // One address for all names: what counts is the name that the client asks for.
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
  ])("makes one that a client which was given it trusts for %s", async (name, reason) => {
    expect((await distrust(name))?.split(":")[1]?.trim()).toBe(reason);
  });

  it("makes one for a year from now, and a little before, for clocks that are late", async () => {
    const { notAfter } = await makeSelfSignedCertificate(["localhost"], now);
    expect(notAfter.getTime() - now.getTime()).toBe(365 * 24 * 60 * 60 * 1000);
    expect(Date.parse(new X509Certificate(certificate).validFrom)).toBeLessThan(now.getTime());
  });

  it("makes another key each time", async () => {
    const other = await makeSelfSignedCertificate(["localhost"], now);
    expect(other.certificate).not.toBe(certificate);
  });
});
