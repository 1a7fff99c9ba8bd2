import { describe, expect, it } from "vitest";
import { describeFailure, isPlainHttpFailure } from "../../src/registry/request.ts";
import { ask } from "./ask-odd-server.ts";
import { startOddServer } from "./odd-server.ts";

it("a server that wants to speak something else gives no usable answer", async () => {
  const headers = { connection: "Upgrade", upgrade: "h2c" };
  const { host } = await startOddServer(() => ({ status: 101, headers }));
  expect((await ask(host)).login).toEqual({
    kind: "unusable-answer",
    reason: `${host} answers 101 Switching Protocols`,
  });
});

const failure = (message: string, members: object = {}): Error => Object.assign(new Error(message), members);

describe("a failed connection is told in one line", () => {
  it.each([
    [
      failure("connect ECONNREFUSED 127.0.0.1:5000", { code: "ECONNREFUSED" }),
      "connect ECONNREFUSED 127.0.0.1:5000",
    ],
    [
      new AggregateError([
        failure("connect ECONNREFUSED ::1:1"),
        failure("connect ECONNREFUSED 127.0.0.1:1"),
      ]),
      "connect ECONNREFUSED ::1:1, connect ECONNREFUSED 127.0.0.1:1",
    ],
    [failure("certificate has expired", { code: "CERT_HAS_EXPIRED" }), "TLS: certificate has expired"],
    [
      failure("unable to verify the first certificate; if the root CA is installed, try this", {
        code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      }),
      "TLS: unable to verify the first certificate; NODE_EXTRA_CA_CERTS names a file of authorities to trust",
    ],
    [
      failure("write EPROTO 80:error:0A00010B:SSL routines:../deps/openssl", {
        code: "EPROTO",
        reason: "wrong version number",
      }),
      "TLS: what answers does not speak it",
    ],
    [
      failure("00:error", {
        code: "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE",
        reason: "sslv3 alert handshake failure",
      }),
      "TLS: sslv3 alert handshake failure",
    ],
    [failure("00:error", { code: "ERR_SSL_ODD" }), "TLS: ERR_SSL_ODD"],
    [failure("\u001b[31mred\u001b[0m\nnext"), "[31mred [0m next"],
    [failure("x".repeat(300)), `${"x".repeat(200)}...`],
    ["a text", "a text"],
  ])("%s", (error, expected) => {
    expect(describeFailure(error)).toBe(expected);
  });

  it("only an answer in plain text lets plain HTTP be tried", () => {
    expect(isPlainHttpFailure(failure("", { code: "EPROTO", reason: "wrong version number" }))).toBe(true);
    expect(
      isPlainHttpFailure(
        failure("", { code: "ERR_SSL_PACKET_LENGTH_TOO_LONG", reason: "packet length too long" }),
      ),
    ).toBe(true);
    expect(isPlainHttpFailure(failure("wrong version number"))).toBe(false);
    expect(isPlainHttpFailure(failure("", { code: "ECONNRESET" }))).toBe(false);
    expect(isPlainHttpFailure(failure("", { code: "EPROTO", reason: "handshake failure" }))).toBe(false);
  });
});
