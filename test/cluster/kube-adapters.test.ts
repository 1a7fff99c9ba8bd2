import { createApis } from "../../src/kube/api.ts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import { contentOf, type Copy } from "../../src/core/replication.ts";
import { createEventRecorder } from "../../src/kube/event-recorder.ts";
import { createCopyWriter, digest, getSecret, readCopy } from "../../src/kube/resources/copies.ts";
import { readNamespace } from "../../src/kube/resources/namespaces.ts";
import {
  createServiceAccountClient,
  readServiceAccountMetadata,
} from "../../src/kube/resources/service-accounts.ts";
import { createStringPool } from "../../src/kube/string-pool.ts";
import type { Transport } from "../../src/kube/transport.ts";
import type { ClusterWarning, CopyWriter, ServiceAccountClient } from "../../src/replicator/ports.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace, createPullSecret } from "./harness/kubectl.ts";
import { waitUntil } from "../wait-until.ts";

const NO_SUCH_UID = "00000000-0000-4000-8000-000000000000";

function copyOf(password: string, registries: readonly string[] = ["team-a"]): Copy {
  const auth = Buffer.from(`made-up:${password}`).toString("base64");
  const document = JSON.stringify({ auths: { "registry.example.com": { auth } } });
  const data = Buffer.from(document).toString("base64");
  return {
    name: "pullpass-team-a",
    data,
    registries,
    content: contentOf(data, registries.join(","), digest),
  };
}

await describeLevel("control-plane", "what Pullpass reads and writes", () => {
  const pool = createStringPool();
  let cluster: Cluster;
  let client: Transport;

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
  });
  afterAll(() => {
    client.close();
  });

  async function secretOf(namespace: string, name = "pullpass-team-a"): Promise<JsonObject> {
    return cluster.kubectl.json("get", "secret", name, `--namespace=${namespace}`, "--show-managed-fields");
  }
  async function uidOf(namespace: string): Promise<string> {
    return readCopy(await secretOf(namespace), pool).uid;
  }
  async function terminate(namespace: string): Promise<void> {
    const option = `--namespace=${namespace}`;
    // The finalizer keeps the namespace on its way for as long as the test needs.
    const finalizer = '--patch={"metadata":{"finalizers":["example.com/last"]}}';
    await cluster.kubectl.run(["create", "configmap", "last", option]);
    await cluster.kubectl.run(["patch", "configmap", "last", option, finalizer]);
    await cluster.kubectl.run(["delete", "namespace", namespace, "--wait=false"]);
  }

  describe("the writer of copies", () => {
    let writer: CopyWriter;
    beforeAll(() => {
      writer = createCopyWriter(createApis(client), pool);
    });

    it("creates a pull secret with its marks, and reads it back as it was written", async () => {
      await createNamespace(cluster.kubectl, "fresh");
      const copy = copyOf("first", ["team-a", "hub"]);
      const outcome = await writer.create("fresh", copy, "high");
      expect(outcome).toEqual({
        kind: "written",
        existing: {
          uid: await uidOf("fresh"),
          version: expect.any(Number) as number,
          content: copy.content,
          isWrittenByUs: true,
          isUpdatable: true,
        },
      });
      const secret = await secretOf("fresh");
      expect(secret).toMatchObject({
        type: "kubernetes.io/dockerconfigjson",
        metadata: {
          labels: { "app.kubernetes.io/managed-by": "pullpass" },
          annotations: {
            "pullpass.dev/registries": "team-a,hub",
            "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
            "argocd.argoproj.io/sync-options": "Prune=false",
          },
          managedFields: [{ manager: "pullpass", operation: "Update" }],
        },
      });
      expect(readCopy(secret, pool)).toEqual("existing" in outcome ? outcome.existing : undefined);
    });

    it("leaves one of ours that it did not know, and says how it is", async () => {
      await createNamespace(cluster.kubectl, "known");
      const first = copyOf("first");
      await writer.create("known", first, "high");
      expect(await writer.create("known", copyOf("second"), "high")).toMatchObject({
        kind: "exists",
        existing: { uid: await uidOf("known"), content: first.content },
      });
      expect(readCopy(await secretOf("known"), pool).content).toBe(first.content);
    });

    it("leaves a foreign one of that name", async () => {
      await createNamespace(cluster.kubectl, "not-owned");
      await createPullSecret(cluster.kubectl, {
        name: "pullpass-team-a",
        namespace: "not-owned",
        server: "registry.example.com",
        username: "made-up",
        password: "made-up",
      });
      const before = await secretOf("not-owned");
      expect(await writer.create("not-owned", copyOf("second"), "high")).toEqual({
        kind: "not-owned",
        uid: await uidOf("not-owned"),
      });
      expect(await secretOf("not-owned")).toEqual(before);
    });

    it("says of a namespace that is not there, or on its way, that it is gone", async () => {
      expect(await writer.create("nowhere", copyOf("first"), "high")).toEqual({ kind: "namespace-gone" });
      await createNamespace(cluster.kubectl, "leaving");
      await terminate("leaving");
      expect(await writer.create("leaving", copyOf("first"), "high")).toEqual({ kind: "namespace-gone" });
    });

    it("updates in place what it created, again and again", async () => {
      await createNamespace(cluster.kubectl, "rotated");
      await writer.create("rotated", copyOf("first"), "high");
      const uid = await uidOf("rotated");
      for (const password of ["second", "third"]) {
        const copy = copyOf(password, ["team-a", password]);
        expect(await writer.update("rotated", copy, uid, "low")).toMatchObject({ kind: "written" });
        expect(readCopy(await secretOf("rotated"), pool)).toEqual({
          uid,
          version: expect.any(Number) as number,
          content: copy.content,
          isWrittenByUs: true,
          isUpdatable: true,
        });
      }
    });

    it("puts back what kubectl changed by hand, and leaves what was added", async () => {
      await createNamespace(cluster.kubectl, "edited");
      await writer.create("edited", copyOf("first"), "high");
      const uid = await uidOf("edited");
      const data = { ".dockerconfigjson": Buffer.from('{"auths":{}}').toString("base64") };
      const annotations = { "argocd.argoproj.io/sync-options": null, "pullpass.dev/registries": "none" };
      const labels = { "app.kubernetes.io/managed-by": "nobody", team: "a" };
      const patch = JSON.stringify({ data, metadata: { annotations, labels } });
      await cluster.kubectl.run([
        ...["patch", "secret", "pullpass-team-a", "--namespace=edited", `--patch=${patch}`],
      ]);
      expect(readCopy(await secretOf("edited"), pool)).toMatchObject({ content: undefined });

      expect(await writer.update("edited", copyOf("first"), uid, "low")).toMatchObject({
        kind: "written",
        existing: { uid, content: copyOf("first").content },
      });
      expect((await secretOf("edited"))["metadata"]).toMatchObject({
        labels: { "app.kubernetes.io/managed-by": "pullpass", team: "a" },
      });
    });

    it("writes nothing on an update when the same is there already", async () => {
      await createNamespace(cluster.kubectl, "same");
      await writer.create("same", copyOf("first"), "high");
      const uid = await uidOf("same");
      await writer.update("same", copyOf("first"), uid, "low");
      const { metadata } = await secretOf("same");
      await writer.update("same", copyOf("first"), uid, "low");
      expect((await secretOf("same"))["metadata"]).toEqual(metadata);
    });

    it("takes over what has the label, the name and the content of a copy, but was written by others", async () => {
      await createNamespace(cluster.kubectl, "restored");
      await writer.create("restored", copyOf("first"), "high");
      const { metadata, ...backup } = await cluster.kubectl.json<{ readonly metadata: object }>(
        ...["get", "secret", "pullpass-team-a", "--namespace=restored"],
      );
      await cluster.kubectl.run(["delete", "secret", "pullpass-team-a", "--namespace=restored"]);
      const { labels, annotations } = metadata as Readonly<Record<string, object>>;
      const name = "pullpass-team-a";
      await cluster.kubectl.create({
        ...backup,
        metadata: { name, namespace: "restored", labels, annotations },
      });
      const { uid, content, isWrittenByUs } = readCopy(await secretOf("restored"), pool);
      expect([content, isWrittenByUs]).toEqual([undefined, false]);
      expect(await writer.update("restored", copyOf("first"), uid, "low")).toMatchObject({
        kind: "written",
        existing: { content: copyOf("first").content, isWrittenByUs: true },
      });
      expect(readCopy(await secretOf("restored"), pool).isWrittenByUs).toBe(true);
    });

    it("neither changes nor makes another Secret when the one to update is gone", async () => {
      await createNamespace(cluster.kubectl, "lost");
      await writer.create("lost", copyOf("first"), "high");
      expect(await writer.update("lost", copyOf("second"), NO_SUCH_UID, "high")).toEqual({ kind: "gone" });
      const uid = await uidOf("lost");
      expect(readCopy(await secretOf("lost"), pool).content).toBe(copyOf("first").content);
      await cluster.kubectl.run(["delete", "secret", "pullpass-team-a", "--namespace=lost"]);
      expect(await writer.update("lost", copyOf("second"), uid, "high")).toEqual({ kind: "gone" });
      expect(await getSecret(createApis(client), "lost", "pullpass-team-a", "high")).toBeUndefined();
      expect(await writer.update("nowhere", copyOf("second"), uid, "high")).toEqual({ kind: "gone" });
    });

    it("fails to update what cannot be changed in place, and sees that beforehand", async () => {
      await createNamespace(cluster.kubectl, "frozen");
      await writer.create("frozen", copyOf("first"), "high");
      const patch = '--patch={"immutable":true}';
      await cluster.kubectl.run(["patch", "secret", "pullpass-team-a", "--namespace=frozen", patch]);
      const { uid, isUpdatable } = readCopy(await secretOf("frozen"), pool);
      expect(isUpdatable).toBe(false);
      await expect(writer.update("frozen", copyOf("second"), uid, "high")).rejects.toMatchObject({
        name: "KubeApiError",
        status: 422,
      });
    });

    it("removes the Secret with that uid, and no other one", async () => {
      await createNamespace(cluster.kubectl, "removed");
      await writer.create("removed", copyOf("first"), "high");
      const uid = await uidOf("removed");
      await writer.remove("removed", "pullpass-team-a", NO_SUCH_UID, "low");
      expect(await uidOf("removed")).toBe(uid);
      await writer.remove("removed", "pullpass-team-a", uid, "low");
      expect(await getSecret(createApis(client), "removed", "pullpass-team-a", "high")).toBeUndefined();
      await writer.remove("removed", "pullpass-team-a", uid, "low");
    });
  });

  it("knows of a namespace whether it opted in, whether it is on its way, and which accounts it lists", async () => {
    const read = async (name: string) =>
      readNamespace(await client.request({ method: "GET", path: `/api/v1/namespaces/${name}` }), pool);
    await createNamespace(cluster.kubectl, "team-a", { "pullpass.dev/inject": "enabled", team: "a" });
    const accounts = "pullpass.dev/service-accounts=builder, default,,../x";
    await cluster.kubectl.run(["annotate", "namespace", "team-a", accounts]);
    const expected = {
      name: "team-a",
      labels: { "kubernetes.io/metadata.name": "team-a", "pullpass.dev/inject": "enabled", team: "a" },
      isOptedIn: true,
      isTerminating: false,
      serviceAccounts: ["builder", "default"],
      problems: [],
    };
    expect(await read("team-a")).toMatchObject(expected);
    await terminate("team-a");
    expect(await read("team-a")).toMatchObject({ ...expected, isTerminating: true });
  });

  describe("the client of ServiceAccounts", () => {
    let accounts: ServiceAccountClient;
    beforeAll(async () => {
      accounts = createServiceAccountClient(createApis(client));
      await createNamespace(cluster.kubectl, "accounts");
    });
    const add = { op: "add", path: "/imagePullSecrets", value: [{ name: "regcred" }] } as const;
    const test = (value: string) => ({ op: "test", path: "/metadata/resourceVersion", value }) as const;
    const annotate = {
      op: "add",
      path: "/metadata/annotations",
      value: { "pullpass.dev/attached": "regcred", "kubernetes.io/enforce-mountable-secrets": "true" },
    } as const;

    it("reads one, changes it if nobody was faster, and reads the change", async () => {
      const before = await accounts.read("accounts", "default", "high");
      expect(before).toEqual({
        resourceVersion: expect.stringMatching(/^\d+$/) as unknown,
        imagePullSecrets: undefined,
        annotations: undefined,
      });
      const operations = [test(before?.resourceVersion ?? ""), add, annotate];
      const patched = await accounts.patch("accounts", "default", operations, "high");
      expect(patched.kind).toBe("patched");
      expect(await accounts.read("accounts", "default", "high")).toEqual({
        resourceVersion: "version" in patched ? String(patched.version) : "",
        imagePullSecrets: [{ name: "regcred" }],
        annotations: annotate.value,
      });
      expect(await accounts.patch("accounts", "default", operations, "high")).toEqual({ kind: "conflict" });
    });

    it("says of one that is not there that it is gone", async () => {
      expect(await accounts.read("accounts", "nobody", "high")).toBeUndefined();
      expect(await accounts.patch("accounts", "nobody", [test("1")], "high")).toEqual({ kind: "gone" });
    });

    it("fails where a patch is invalid, because no second try makes it valid", async () => {
      const { resourceVersion = "" } = (await accounts.read("accounts", "default", "high")) ?? {};
      const invalid = { op: "add", path: "/metadata/annotations", value: { "not a name": "" } } as const;
      await expect(
        accounts.patch("accounts", "default", [test(resourceVersion), invalid], "high"),
      ).rejects.toMatchObject({ name: "KubeApiError", status: 422 });
    });

    it("reads the metadata of all from a list that holds nothing else", async () => {
      const list = await client.request({
        method: "GET",
        path: "/api/v1/namespaces/accounts/serviceaccounts",
        accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
      });
      const items = list["items"] as readonly JsonObject[];
      expect(items.map(readServiceAccountMetadata)).toEqual([
        {
          version: expect.any(Number) as unknown,
          isMountableSecretsEnforced: true,
          attached: digest("regcred"),
        },
      ]);
    });
  });

  it("tells what is wrong with a Secret where people look for it, once", async () => {
    await createNamespace(cluster.kubectl, "warned");
    const secret = { namespace: "warned", name: "regcred" };
    const logged: ClusterWarning[] = [];
    const failures: unknown[] = [];
    const warn = createEventRecorder({
      apisFor: createApis(client),
      pod: { namespace: "default", name: "pullpass-0" },
      log: (warning) => logged.push(warning),
      onFailure: (error) => failures.push(error),
    });
    const foreign = { reason: "ForeignSecret", message: "a Secret of that name is not ours", secret };
    const source = { reason: "SourceMissing", message: "there is no Secret registry-credentials" };
    for (const warning of [foreign, foreign, source]) warn(warning);
    const eventsOf = async (namespace: string, object: string) =>
      (await cluster.kubectl.run(["events", `--namespace=${namespace}`, `--for=${object}`])).stdout;
    await waitUntil("the event", async () =>
      (await eventsOf("warned", "secret/regcred")).includes("ForeignSecret"),
    );
    const [header, line, ...more] = (await eventsOf("warned", "secret/regcred")).trim().split("\n");
    expect(header).toMatch(/^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE$/);
    expect(line).toMatch(
      /^\d+s +Warning +ForeignSecret +Secret\/regcred +a Secret of that name is not ours$/,
    );
    expect(more).toEqual([]);
    await waitUntil("the other", async () =>
      (await eventsOf("default", "pod/pullpass-0")).includes("SourceMissing"),
    );
    expect(logged).toEqual([foreign, source]);

    warn({ ...foreign, secret: { namespace: "nowhere", name: "regcred" } });
    await waitUntil("a failure", () => failures.length > 0);
    expect(failures).toMatchObject([{ name: "KubeApiError", status: 404 }]);
  });
});
