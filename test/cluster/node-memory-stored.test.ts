import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Transport } from "../../src/kube/transport.ts";
import { shippedEnvironment } from "../bench/shipped-flags.ts";
import { startCluster, type OwnCluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { storeCopies } from "./harness/etcd.ts";
import { installPullpass, type Installation } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { createMemoryCgroup, whyNoMemoryCgroup, type MemoryCgroup } from "./harness/memory-cgroup.ts";
import { waitForCopies } from "./harness/read-copies.ts";
import { leaderOf, type Replica } from "./harness/run-replica.ts";
import { sendRequest } from "../send-request.ts";
import { waitUntil } from "../wait-until.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const MANAGED = { "app.kubernetes.io/managed-by": "pullpass" };
/** The API server takes 1 MiB of data in a Secret, 256 KiB of annotations in any object, and 1.5 MiB altogether. */
const LARGE_DATA = Buffer.from(JSON.stringify({ x: "x".repeat(1_000_000) })).toString("base64");
const LARGE_TEXT = "x".repeat(250_000);
/** `a-0000,a-0001,...`: as long as an annotation may be. */
const LARGE_LIST = Array.from({ length: 35_000 }, (_, index) => `a-${index.toString(36)}`).join(",");

/** The API server needs seconds for lists of 100 MB, and shares two cores with another test; what is proven is the memory. */
const PATIENT = { timeoutMs: 60_000 };

const noCgroup = await whyNoMemoryCgroup();
if (noCgroup !== undefined) process.stderr.write(`SKIPPED what is stored in the cluster: ${noCgroup}\n`);

await describeLevel(
  "control-plane",
  "under the chart's memory limit, whatever is stored in the cluster",
  () => {
    let cluster: OwnCluster;
    let client: Transport;
    let installation: Installation;
    let cgroup: MemoryCgroup;
    let replica: Replica;
    let takeDown: (() => Promise<void>)[] = [];
    let password = 0;

    const configure = () =>
      installation.configure({
        registries: [
          {
            name: "hub",
            address: "registry.example.com",
            auth: { type: "BasicAuth", username: "hub", password: `made-up-${(++password).toString()}` },
          },
        ],
        serviceAccounts: { attach: ["default"] },
      });
    const copies = () => {
      const content = { "registry.example.com": `hub:made-up-${password.toString()}` };
      return { "pullpass-hub": content, "pullpass.build": content };
    };

    beforeAll(async () => {
      cluster = await startCluster();
      client = createTestKubeClient(cluster);
      installation = await installPullpass(cluster, { registries: [] });
      await configure();
      await createNamespace(cluster.kubectl, "app", OPTED_IN);
    });
    afterEach(async () => {
      for (const stop of takeDown.toReversed()) await stop();
      takeDown = [];
    });
    afterAll(async () => {
      client.close();
      await cluster.stop();
    });

    async function start(name: string): Promise<void> {
      cgroup = await createMemoryCgroup(`${cluster.network.name}-${name}`);
      takeDown.push(() => cgroup.remove());
      replica = await installation.startReplica({ name, wrap: cgroup.wrap, env: shippedEnvironment() });
      takeDown.push(() => replica.stop());
    }
    async function expectRoomLeft(): Promise<void> {
      expect(await cgroup.kills()).toBe(0);
      const mark = await cgroup.highWaterMark();
      console.log(
        `at most ${(mark / 2 ** 20).toFixed(0)} of ${(cgroup.limitBytes / 2 ** 20).toFixed(0)} MiB`,
      );
      expect(mark).toBeLessThan(0.9 * cgroup.limitBytes);
    }
    const create = (path: string, body: object) =>
      client.request({ method: "POST", path, query: { fieldManager: "stranger" }, body, priority: "low" });
    /** `large-000`, `large-001`, ... in a collection of the API. */
    async function many(count: number, collection: string, object: Large): Promise<void> {
      const names = Array.from({ length: count }, (_, index) => `large-${String(index).padStart(3, "0")}`);
      const [name = "", ...others] = names;
      const { metadata } = await create(`/api/v1/${collection}`, {
        ...object,
        metadata: { ...object.metadata, name },
      });
      const { uid } = metadata as { readonly uid: string };
      await storeCopies(cluster.etcdUrl, { key: etcdKey(collection, name), uid, name }, others);
      const last = names.at(-1);
      const stored = await client.request({ method: "GET", path: `/api/v1/${collection}/${String(last)}` });
      expect(stored["metadata"]).toMatchObject({ ...object.metadata, name: last });
    }

    /** Reviews one after the other until `work` has ended: how many were answered, and the longest wait. */
    async function reviewDuring(work: () => Promise<unknown>): Promise<{ count: number; longestMs: number }> {
      const seen = { count: 0, longestMs: 0 };
      const end = new AbortController();
      const reviewing = (async () => {
        while (!end.signal.aborted) {
          const startedAt = performance.now();
          const { body } = await sendRequest(`${replica.url}/mutate`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(REVIEW),
            ca: cluster.authority.pem,
          });
          expect(JSON.parse(body)).toMatchObject({ response: { uid: "review-1", allowed: true } });
          seen.count++;
          seen.longestMs = Math.max(seen.longestMs, performance.now() - startedAt);
          await sleep(10);
        }
      })();
      try {
        await Promise.race([work(), reviewing]);
      } finally {
        end.abort();
      }
      await reviewing;
      return seen;
    }

    it.skipIf(noCgroup !== undefined)(
      "200 Secrets of 1 MB with our label, in a namespace that never opted in",
      async () => {
        await createNamespace(cluster.kubectl, "stranger");
        await many(200, "namespaces/stranger/secrets", {
          metadata: { labels: MANAGED },
          type: "kubernetes.io/dockerconfigjson",
          data: { ".dockerconfigjson": LARGE_DATA },
        });
        await start("secrets");
        const { count, longestMs } = await reviewDuring(async () => {
          await leaderOf(replica);
          await waitForCopies(client, "app", copies(), PATIENT);
          // A few more reviews, and the Secrets are not Pullpass's to delete.
          await sleep(1000);
          expect(await replica.metric("pullpass_copies")).toBe(202);
        });
        console.log(`${count.toString()} reviews, the longest ${longestMs.toFixed(0)} ms`);
        expect(count).toBeGreaterThan(3);
        await expectRoomLeft();
      },
      400_000,
    );

    it.skipIf(noCgroup !== undefined)(
      "a rotation over copies to which their namespaces have added 1 MB each",
      async () => {
        await start("rotation");
        await leaderOf(replica);
        const names = Array.from({ length: 30 }, (_, index) => `tenant-${index.toString()}`);
        for (const name of names)
          await create("/api/v1/namespaces", { metadata: { name, labels: OPTED_IN } });
        for (const name of names) await waitForCopies(client, name, copies(), PATIENT);
        const patch = { data: { added: LARGE_DATA.slice(0, 1_200_000) } };
        for (const name of names) {
          for (const copy of Object.keys(copies())) {
            await client.request({
              method: "PATCH",
              path: `/api/v1/namespaces/${name}/secrets/${copy}`,
              contentType: "application/merge-patch+json",
              body: patch,
            });
          }
        }
        await configure();
        const logged = async () =>
          (await replica.log()).find(({ msg }) => msg.startsWith("registries or credentials changed"));
        expect(
          await waitUntil("the rotation to be in the log", logged, { timeoutMs: 120_000 }),
        ).toMatchObject({
          msg: "registries or credentials changed: copies are in place",
          registries: ["hub"],
          written: 2 * (names.length + 1),
          failed: 0,
        });
        await expectRoomLeft();
      },
      400_000,
    );

    it.skipIf(noCgroup !== undefined)(
      "Namespaces, ServiceAccounts and Secrets with annotations and labels as large as can be",
      async () => {
        const labels = Object.fromEntries(
          Array.from({ length: 5_000 }, (_, index) => [
            `example.com/${index.toString(36).padStart(60, "x")}`,
            "",
          ]),
        );
        const annotations = { large: LARGE_TEXT };
        await createNamespace(cluster.kubectl, "stranger-2");
        await many(120, "namespaces", {
          metadata: {
            labels: { ...labels, ...OPTED_IN },
            annotations: { "pullpass.dev/service-accounts": LARGE_LIST },
          },
        });
        await many(120, "namespaces/stranger-2/serviceaccounts", {
          metadata: {
            labels,
            annotations: {
              "pullpass.dev/attached": LARGE_LIST,
              "kubernetes.io/enforce-mountable-secrets": "true",
            },
          },
          secrets: Array.from({ length: 5_000 }, (_, index) => ({ name: `secret-${index.toString()}` })),
        });
        await many(120, "namespaces/stranger-2/secrets", {
          metadata: { labels: { ...labels, ...MANAGED }, annotations },
        });
        await start("metadata");
        const { count, longestMs } = await reviewDuring(async () => {
          await leaderOf(replica);
          await waitForCopies(client, "app", copies(), PATIENT);
        });
        console.log(`${count.toString()} reviews, the longest ${longestMs.toFixed(0)} ms`);
        await expectRoomLeft();
      },
      400_000,
    );
  },
);

interface Large {
  readonly metadata: object;
  readonly [field: string]: unknown;
}

/** An API server keeps the objects of a namespace under the namespace's name. */
function etcdKey(collection: string, name: string): string {
  const [, namespace, plural] = collection.split("/");
  return ["/registry", plural ?? collection, ...(namespace === undefined ? [] : [namespace]), name].join("/");
}

const REVIEW = {
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: {
    uid: "review-1",
    kind: { group: "", version: "v1", kind: "Pod" },
    resource: { group: "", version: "v1", resource: "pods" },
    namespace: "app",
    operation: "CREATE",
    object: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {},
      spec: { containers: [{ name: "app", image: "registry.example.com/app:v1" }] },
    },
  },
};
