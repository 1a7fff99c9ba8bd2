import { afterEach, describe, expect, it, vi } from "vitest";
import { createCertificateWriter } from "../../src/kube/certificate-writer.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { createCopyWriter } from "../../src/kube/copy-writer.ts";
import { createHttpsClient } from "../../src/kube/https-client.ts";
import { createIntern } from "../../src/kube/intern.ts";
import { onlyWhileLeading } from "../../src/kube/leader.ts";
import { createRequestRate } from "../../src/kube/request-rate.ts";
import { createServiceAccountClient } from "../../src/kube/service-accounts.ts";
import { answer, startFakeApiServer, type FakeApiServer } from "./fake-api-server.ts";

let server: FakeApiServer;
let client: KubeClient;
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
    const rate = createRequestRate({ perSecond: 1_000, burst: 1_000, concurrency: 1 });
    client = createHttpsClient({ connection: server.connection, rate });
    let term = 1;
    const leading = onlyWhileLeading(client, () => ({
      termCheck() {
        const present = term;
        return () => present === term;
      },
    }));
    const copies = createCopyWriter(leading, createIntern());
    const accounts = createServiceAccountClient(leading);
    const copy = { name: "pullpass-a", data: "e30=", registries: ["a"], content: "digest" };

    const first = copies.create("ns-0", copy, "urgent");
    const writes = Array.from({ length: 50 }, (_, index) => {
      const namespace = `ns-${index.toString()}`;
      return [
        copies.create(namespace, copy, "urgent"),
        copies.update(namespace, copy, "7c1f", "background"),
        copies.remove(namespace, copy.name, "7c1f", "background"),
        accounts.patch(namespace, "default", [], "background"),
      ];
    }).flat();
    const read = accounts.read("ns-0", "default", "background");
    await vi.waitFor(() => {
      expect(answerFirst).toBeDefined();
    });
    term = 2;
    answerFirst?.();
    expect(new Set((await Promise.all(writes)).map(({ kind }) => kind))).toEqual(new Set(["not-leading"]));
    await Promise.all([first, read]);
    expect(server.seen.map(({ method }) => method)).toEqual(["POST", "GET"]);
    expect((await copies.create("ns-0", copy, "urgent")).kind).toBe("written");
  });

  it("sends no certificate either, and nothing at all before the first term", async () => {
    server = await startFakeApiServer((_, response) => {
      answer(response, {});
    });
    const rate = createRequestRate({ perSecond: 1_000, burst: 1_000, concurrency: 1 });
    client = createHttpsClient({ connection: server.connection, rate });
    const names = { namespace: "pullpass", secret: "pullpass-tls", webhook: "pullpass" };
    for (const election of [undefined, { termCheck: () => () => false }]) {
      const certificates = createCertificateWriter(
        onlyWhileLeading(client, () => election),
        names,
      );
      expect(await certificates.writeSecret({ "tls.crt": "" }, undefined)).toBeUndefined();
      const registration = { version: 1, resourceVersion: "1", bundles: [""] };
      expect(await certificates.publish("", registration)).toBeUndefined();
    }
    expect(server.seen).toEqual([]);
  });
});
