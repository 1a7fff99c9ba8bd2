import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { CertificateListener } from "../../src/serve/serving-certificate.ts";
import { type ClusterCertificates, trustedFiles } from "../../src/serve/cluster-certificates.ts";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import { issueServing, makeAuthority } from "../../src/tls/x509.ts";
import type { KeyPair, LoadedCertificate } from "../../src/tls/certificates.ts";

const HOUR_MS = 60 * 60_000;
const UNTRUSTED =
  "the serving certificate does not chain to the caBundle of the MutatingWebhookConfiguration pullpass";

describe("certificates from files that a webhook has to trust", () => {
  const now = new Date();
  let [oldAuthority, newAuthority]: KeyPair[] = [];
  let [first, next]: LoadedCertificate[] = [];
  let listener: CertificateListener;
  let tellRegistration: (state: JsonObject | "missing") => void;
  let certificates: ClusterCertificates;

  beforeAll(async () => {
    const load = async (authority: KeyPair) => ({
      ...(await issueServing(authority, ["pullpass.pullpass.svc"], HOUR_MS, now)),
      notAfter: new Date(now.getTime() + HOUR_MS),
    });
    oldAuthority = await makeAuthority(HOUR_MS, now);
    newAuthority = await makeAuthority(HOUR_MS, now);
    first = await load(oldAuthority);
    next = await load(newAuthority);
  });
  beforeEach(async () => {
    if (first === undefined) throw new Error("it was not made");
    const closed = { close: () => undefined };
    certificates = trustedFiles(
      {
        webhookName: "pullpass",
        source: {
          first: Promise.resolve(first),
          watch(to) {
            listener = to;
            return closed;
          },
        },
      },
      {
        watchObject(_, onChange) {
          tellRegistration = onChange;
          return { asked: Promise.resolve(), ...closed };
        },
      },
    );
    await sleep(0);
  });

  const trusting = (...authorities: readonly (KeyPair | undefined)[]): JsonObject => ({
    metadata: { resourceVersion: "1" },
    webhooks: authorities.map((authority) => ({
      clientConfig: { caBundle: Buffer.from(authority?.certificate ?? "").toString("base64") },
    })),
  });
  const swapTo = (certificate: LoadedCertificate | undefined) => {
    if (certificate !== undefined) listener.onSwap(certificate);
  };

  it("do not make the replica ready before the webhook is known", () => {
    expect(certificates.unreadyReasons()).toEqual([
      "the MutatingWebhookConfiguration pullpass is not known yet",
    ]);
  });

  it.each<[string, () => JsonObject | "missing", readonly string[]]>([
    ["no webhook is registered", () => "missing", []],
    ["their authority is not published yet", () => trusting(undefined), [UNTRUSTED]],
    ["another authority is published", () => trusting(newAuthority), [UNTRUSTED]],
    ["their authority is published", () => trusting(oldAuthority), []],
    [
      "their authority is published at one of two webhooks",
      () => trusting(oldAuthority, newAuthority),
      [UNTRUSTED],
    ],
  ])("make the replica ready if they are trusted: %s", (_, registration, reasons) => {
    tellRegistration(registration());
    expect(certificates.unreadyReasons()).toEqual(reasons);
  });

  it("are trusted from the moment when their authority is published", async () => {
    let isTrusted = false;
    void certificates.trusted.then(() => (isTrusted = true));
    tellRegistration(trusting(undefined));
    await sleep(0);
    expect(isTrusted).toBe(false);
    tellRegistration(trusting(oldAuthority));
    await sleep(0);
    expect(isTrusted).toBe(true);
  });

  it("are checked again when they are swapped, after the listener was called", () => {
    const onSwap = vi.fn();
    certificates.watch({ onSwap, onFailure: () => undefined });
    tellRegistration(trusting(newAuthority));
    swapTo(next);
    expect(onSwap).toHaveBeenCalledWith(next);
    expect(certificates.unreadyReasons()).toEqual([]);
  });

  it("do not make the replica ready once they have expired", () => {
    tellRegistration(trusting(oldAuthority));
    vi.useFakeTimers({ now: now.getTime() + HOUR_MS });
    try {
      expect(certificates.unreadyReasons()).toEqual(["the serving certificate has expired"]);
    } finally {
      vi.useRealTimers();
    }
  });
});
