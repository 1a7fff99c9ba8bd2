import { setTimeout as sleep } from "node:timers/promises";
import pino from "pino";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { SelfManagedCertificates } from "../../src/serve/cluster-certificates.ts";
import { fakeApis } from "../kube/fake-transport.ts";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import { issueServing, makeAuthority } from "../../src/tls/x509.ts";
import type { KeyPair, LoadedCertificate } from "../../src/tls/certificates.ts";
import { RENEWAL_TIMING } from "../../src/tls/plan-renewal.ts";

type OnChange = (state: JsonObject | "missing") => void;

describe("certificates that Pullpass manages", () => {
  const now = new Date();
  let authority: KeyPair;
  let [first, second, third]: KeyPair[] = [];
  let tellSecret: OnChange;
  let tellRegistration: OnChange;
  let certificates: SelfManagedCertificates;

  beforeAll(async () => {
    authority = await makeAuthority(60_000, now);
    const issue = () => issueServing(authority, ["pullpass.pullpass.svc"], 60_000, now);
    [first, second, third] = await Promise.all([issue(), issue(), issue()]);
  });
  beforeEach(() => {
    const nobody = () => Promise.reject(new Error("this replica does not lead"));
    const watch = { asked: Promise.resolve(), close: () => undefined };
    certificates = new SelfManagedCertificates(
      {
        secretName: "pullpass-tls",
        webhookName: "pullpass",
        serviceName: "pullpass",
        timing: RENEWAL_TIMING,
      },
      {
        apisFor: fakeApis(nobody),
        namespace: "pullpass",
        logger: pino({ enabled: false }),
        watchSecret(_, onChange) {
          tellSecret = onChange;
          return watch;
        },
        watchObject(_, onChange) {
          tellRegistration = onChange;
          return watch;
        },
      },
    );
  });

  const base64 = (text = "") => Buffer.from(text).toString("base64");
  const secret = (version: number, serving: KeyPair | undefined): JsonObject => ({
    metadata: {
      resourceVersion: String(version),
      labels: { "pullpass.dev/certificates": "self-managed" },
    },
    data: {
      "ca.crt": base64(authority.certificate),
      "tls.crt": base64(serving?.certificate),
      "tls.key": base64(serving?.privateKey),
    },
  });
  const trusting = (version: number, pem: string): JsonObject => ({
    metadata: { resourceVersion: String(version) },
    webhooks: [{ clientConfig: { caBundle: base64(pem) } }],
  });
  const swaps: LoadedCertificate[] = [];
  const listen = () => {
    swaps.length = 0;
    return certificates.watch({
      onSwap: (certificate) => swaps.push(certificate),
      onFailure: () => undefined,
    });
  };
  const swapped = () => swaps.map(({ certificate }) => certificate);

  it("start with the first one and report the others, including one that came before somebody listened", async () => {
    tellRegistration(trusting(1, authority.certificate));
    tellSecret(secret(2, first));
    expect((await certificates.first).certificate).toBe(first?.certificate);
    tellSecret(secret(3, second));
    const listening = listen();
    await sleep(0);
    expect(swapped()).toEqual([second?.certificate]);
    tellSecret(secret(4, third));
    expect(swapped()).toEqual([second?.certificate, third?.certificate]);
    listening.close();
    tellSecret(secret(5, first));
    expect(swapped()).toHaveLength(2);
  });

  it("are not taken from a state that is older than the known one", async () => {
    tellRegistration(trusting(10, authority.certificate));
    tellRegistration(trusting(9, ""));
    tellSecret(secret(10, second));
    tellSecret(secret(9, first));
    expect((await certificates.first).certificate).toBe(second?.certificate);
    expect(certificates.unreadyReasons()).toEqual([]);
  });

  it("are trusted once the first one chains to the bundle", async () => {
    let isTrusted = false;
    void certificates.trusted.then(() => (isTrusted = true));
    tellSecret(secret(1, first));
    tellRegistration(trusting(2, ""));
    await sleep(0);
    expect(isTrusted).toBe(false);
    tellRegistration(trusting(3, authority.certificate));
    await sleep(0);
    expect(isTrusted).toBe(true);
  });

  it("are trusted if no webhook is registered", async () => {
    tellSecret(secret(1, first));
    tellRegistration("missing");
    await certificates.trusted;
    expect(certificates.unreadyReasons()).toEqual([]);
  });
});
