import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { StoredCertificates, WebhookRegistration } from "../../src/core/stored-certificates.ts";
import { parseCertificateSecret } from "../../src/tls/certificate-secret.ts";
import { parseBundle } from "../../src/tls/certificates.ts";
import { RENEWAL_TIMING } from "../../src/tls/plan-renewal.ts";
import { startRenewal, type CertificatesInCluster, type Renewal } from "../../src/tls/renewal.ts";
import { waitUntil } from "../wait-until.ts";

/** A Secret and a registration in memory, which accept a write only over their latest version. */
class FakeCluster {
  secret: StoredCertificates | "missing" = "missing";
  registration: WebhookRegistration | "missing" = { version: 1, resourceVersion: "1", bundles: [""] };
  readonly actions: string[] = [];
  readonly errors: unknown[] = [];
  fault: Error | undefined;
  readonly renewal: Renewal;
  private version = 1;

  constructor(timing = { ...RENEWAL_TIMING, publishedForMs: 0, servedForMs: 0 }) {
    this.renewal = startRenewal({
      writer: {
        writeSecret: (data, over) => {
          if (this.fault !== undefined) return Promise.reject(this.fault);
          if ((over ?? "missing") !== this.secret) return Promise.resolve(undefined);
          const entries = Object.entries(data).filter(
            (entry): entry is [string, string] => entry[1] !== undefined,
          );
          this.secret = {
            isOurs: true,
            version: ++this.version,
            data: Object.fromEntries(entries),
            object: {},
          };
          return Promise.resolve(this.secret);
        },
        publish: (bundle, over) => {
          if (over !== this.registration) return Promise.resolve(undefined);
          this.setBundles(over.bundles.map(() => bundle));
          return Promise.resolve(this.registration);
        },
      },
      names: ["pullpass.pullpass.svc"],
      timing,
      onWritten: (state) => {
        this.renewal.onState(state);
      },
      onAction: (kind) => this.actions.push(kind),
      onError: (error) => this.errors.push(error),
    });
  }

  setBundles(bundles: readonly string[]): void {
    const version = ++this.version;
    this.registration = { version, resourceVersion: String(version), bundles };
  }

  /** Reports the state, as the watches do. */
  tell(state: Partial<CertificatesInCluster> = {}): void {
    this.renewal.onState({ secret: this.secret, registration: this.registration, ...state });
  }

  get certificates() {
    return parseCertificateSecret(this.secret === "missing" ? {} : this.secret.data);
  }

  /** The published bundles, joined. */
  get published(): string {
    return this.registration === "missing" ? "" : this.registration.bundles.join("");
  }
}

const until = (condition: () => boolean) =>
  waitUntil("the condition", condition, { timeoutMs: 3_000, intervalMs: 10 });

describe("the renewal", () => {
  const term = { current: new AbortController() };
  afterEach(() => {
    term.current.abort();
    term.current = new AbortController();
  });
  const lead = (cluster: FakeCluster): void => {
    cluster.renewal.lead(term.current.signal);
  };
  const FIRST = ["make-authority", "publish", "switch-authority"];

  it("makes and publishes an authority, issues a certificate, and then has nothing to do", async () => {
    const cluster = new FakeCluster();
    cluster.tell();
    lead(cluster);
    await until(() => cluster.actions.length === 3);
    await sleep(50);
    expect(cluster.actions).toEqual(FIRST);
    expect([...parseBundle(cluster.published).keys()]).toEqual([
      ...parseBundle(cluster.certificates.current?.certificate ?? "").keys(),
    ]);
    expect(cluster.certificates.serving).toBeDefined();
    expect(cluster.certificates.next).toBeUndefined();
  });

  it("writes only while this replica leads", async () => {
    const cluster = new FakeCluster();
    cluster.tell();
    await sleep(50);
    expect(cluster.actions).toEqual([]);
    lead(cluster);
    await until(() => cluster.actions.length === 3);
    term.current.abort();
    cluster.secret = "missing";
    cluster.tell();
    await sleep(50);
    expect(cluster.actions).toEqual(FIRST);
  });

  it.each([
    ["the Secret", { secret: undefined }],
    ["the registration", { registration: undefined }],
  ])("waits until %s is known", async (_, state) => {
    const cluster = new FakeCluster();
    cluster.tell(state);
    lead(cluster);
    await sleep(50);
    expect(cluster.actions).toEqual([]);
    cluster.tell();
    await until(() => cluster.actions.length === 3);
  });

  it("leaves a Secret alone that Pullpass did not create", async () => {
    const cluster = new FakeCluster();
    cluster.secret = { isOurs: false, version: 1, data: { "tls.crt": "made up" }, object: {} };
    const { secret } = cluster;
    cluster.tell();
    lead(cluster);
    await sleep(50);
    expect(cluster.secret).toBe(secret);
    expect(cluster.published).toBe("");
  });

  it("continues from what another replica wrote", async () => {
    const first = new FakeCluster();
    first.tell();
    lead(first);
    await until(() => first.actions.length === 3);
    const second = new FakeCluster();
    second.tell();
    // The watches have not reported it yet.
    second.secret = first.secret;
    second.registration = first.registration;
    lead(second);
    await sleep(50);
    second.tell();
    await sleep(50);
    expect(second.actions).toEqual([]);
    expect(second.secret).toBe(first.secret);
  });

  it("reports each error once, and retries", async () => {
    const cluster = new FakeCluster();
    cluster.fault = new Error("made up");
    cluster.tell();
    lead(cluster);
    await until(() => cluster.errors.length === 1);
    cluster.fault = undefined;
    await until(() => cluster.actions.length === 3);
    expect(cluster.errors).toEqual([new Error("made up")]);
  });

  it("writes the bundle at most once a second, however often somebody else overwrites it", async () => {
    const cluster = new FakeCluster();
    cluster.tell();
    lead(cluster);
    await until(() => cluster.actions.length === 3);
    const startedAt = performance.now();
    const { published } = cluster;
    for (const _ of [1, 2]) {
      cluster.setBundles([""]);
      cluster.tell();
      await until(() => cluster.published === published);
    }
    expect(performance.now() - startedAt).toBeGreaterThan(1000);
    expect(cluster.actions.slice(3)).toEqual(["publish", "publish"]);
  });

  it("replaces an authority without its key, step by step", async () => {
    const cluster = new FakeCluster();
    cluster.tell();
    lead(cluster);
    await until(() => cluster.actions.length === 3);
    const before = cluster.certificates.current?.certificate;
    if (cluster.secret === "missing") throw new Error("it was made");
    const { "ca.key": _key, ...data } = cluster.secret.data;
    cluster.secret = { ...cluster.secret, data };
    cluster.tell();
    await until(() => cluster.actions.length === 8);
    expect(cluster.actions.slice(3)).toEqual([
      "make-authority",
      "publish",
      "switch-authority",
      "forget-previous",
      "publish",
    ]);
    expect(cluster.published).toBe(cluster.certificates.current?.certificate);
    expect(cluster.published).not.toBe(before);
  });
});
