import { afterEach, describe, expect, it, vi } from "vitest";
import { createCertificateWriter } from "../../src/kube/resources/certificates.ts";
import { createCopyWriter } from "../../src/kube/resources/copies.ts";
import { createServiceAccountClient } from "../../src/kube/resources/service-accounts.ts";
import { createStringPool } from "../../src/kube/string-pool.ts";
import { Transport } from "../../src/kube/transport.ts";
import { createApis } from "../../src/kube/api.ts";
import { RequestRate } from "../../src/kube/request-rate.ts";
import { answer, startFakeApiServer, type FakeApiServer } from "./fake-api-server.ts";

let server: FakeApiServer;
let client: Transport;
afterEach(async () => {
  client.close();
  await server.stop();
});

describe("a client that writes only while its replica leads", () => {
  it("sends none of the writes that wait in a full queue when the term ends, also once there is a new term", async () => {
    let answerFirst: (() => void) | undefined;
    server = await startFakeApiServer((_, response, index) => {
      if (index > 0) answer(response, {});
      else answerFirst = () => response.end("{}");
    });
    // One request at a time, and the first one is not answered.
    const rate = new RequestRate({ limit: { perSecond: 1_000, burst: 1_000 }, concurrency: 1 });
    client = new Transport({ connection: server.connection, rate });
    let term = 1;
    const leading = createApis(client, () => {
      const present = term;
      return () => present === term;
    });
    const copies = createCopyWriter(leading, createStringPool());
    const accounts = createServiceAccountClient(leading);
    const copy = { name: "pullpass-a", data: "e30=", registries: ["a"], content: "digest" };

    const first = copies.create("ns-0", copy, "high");
    const writes = Array.from({ length: 50 }, (_, index) => {
      const namespace = `ns-${index.toString()}`;
      return [
        copies.create(namespace, copy, "high"),
        copies.update(namespace, copy, "7c1f", "low"),
        copies.remove(namespace, copy.name, "7c1f", "low"),
        accounts.patch(namespace, "default", [], "low"),
      ];
    }).flat();
    const read = accounts.read("ns-0", "default", "low");
    await vi.waitFor(() => {
      expect(answerFirst).toBeDefined();
    });
    term = 2;
    answerFirst?.();
    expect(new Set((await Promise.all(writes)).map(({ kind }) => kind))).toEqual(new Set(["not-leading"]));
    await Promise.all([first, read]);
    expect(server.seen.map(({ method }) => method)).toEqual(["POST", "GET"]);
    expect((await copies.create("ns-0", copy, "high")).kind).toBe("written");
  });

  it("sends no certificate either, and nothing at all before the first term", async () => {
    server = await startFakeApiServer((_, response) => {
      answer(response, {});
    });
    const rate = new RequestRate({ limit: { perSecond: 1_000, burst: 1_000 }, concurrency: 1 });
    client = new Transport({ connection: server.connection, rate });
    const names = { namespace: "pullpass", secret: "pullpass-tls", webhook: "pullpass" };
    const certificates = createCertificateWriter(
      createApis(client, () => () => false),
      names,
    );
    expect(await certificates.writeSecret({ "tls.crt": "" }, undefined)).toBeUndefined();
    const registration = { version: 1, resourceVersion: "1", bundles: [""] };
    expect(await certificates.publish("", registration)).toBeUndefined();
    expect(server.seen).toEqual([]);
  });
});
