import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import { contentOf, type Copy } from "../../src/core/replication.ts";
import type { KubeClient } from "../../src/kube/client.ts";
import { createCopyWriter } from "../../src/kube/copy-writer.ts";
import { eventRecorder } from "../../src/kube/events.ts";
import { createIntern } from "../../src/kube/intern.ts";
import { digest, readCopy } from "../../src/kube/read-copy.ts";
import { readNamespace } from "../../src/kube/read-namespace.ts";
import { getSecret } from "../../src/kube/secrets.ts";
import { createServiceAccountClient, readServiceAccountMetadata } from "../../src/kube/service-accounts.ts";
import type { ClusterWarning, CopyWriter, ServiceAccountClient } from "../../src/replicator/ports.ts";
import { startCluster, type Cluster } from "./harness/cluster.ts";
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
  const intern = createIntern();
  let cluster: Cluster;
  let client: KubeClient;

  beforeAll(async () => {
    cluster = await startCluster();
    client = await createTestKubeClient(cluster);
  });
  afterAll(async () => {
    client.close();
    await cluster.stop();
  });

  async function secretOf(namespace: string, name = "pullpass-team-a"): Promise<JsonObject> {
    return cluster.kubectl.json("get", "secret", name, `--namespace=${namespace}`, "--show-managed-fields");
  }
  async function uidOf(namespace: string): Promise<string> {
    return readCopy(await secretOf(namespace), intern).uid;
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
      writer = createCopyWriter(client, intern);
    });

    it("creates a pull secret with its marks, and reads it back as it was written", async () => {
      await createNamespace(cluster.kubectl, "fresh");
      const copy = copyOf("first", ["team-a", "hub"]);
      const outcome = await writer.create("fresh", copy, "urgent");
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
      expect(readCopy(secret, intern)).toEqual("existing" in outcome ? outcome.existing : undefined);
    });

    it("leaves one of ours that it did not know, and says how it is", async () => {
      await createNamespace(cluster.kubectl, "known");
      const first = copyOf("first");
      await writer.create("known", first, "urgent");
      expect(await writer.create("known", copyOf("second"), "urgent")).toMatchObject({
        kind: "exists",
        existing: { uid: await uidOf("known"), content: first.content },
      });
      expect(readCopy(await secretOf("known"), intern).content).toBe(first.content);
    });

    it("leaves a foreign one of that name", async () => {
      await createNamespace(cluster.kubectl, "foreign");
      await createPullSecret(cluster.kubectl, {
        name: "pullpass-team-a",
        namespace: "foreign",
        server: "registry.example.com",
        username: "made-up",
        password: "made-up",
      });
      const before = await secretOf("foreign");
      expect(await writer.create("foreign", copyOf("second"), "urgent")).toEqual({
        kind: "foreign",
        uid: await uidOf("foreign"),
      });
      expect(await secretOf("foreign")).toEqual(before);
    });

    it("says of a namespace that is not there, or on its way, that it is gone", async () => {
      expect(await writer.create("nowhere", copyOf("first"), "urgent")).toEqual({ kind: "namespace-gone" });
      await createNamespace(cluster.kubectl, "leaving");
      await terminate("leaving");
      expect(await writer.create("leaving", copyOf("first"), "urgent")).toEqual({ kind: "namespace-gone" });
    });

    it("updates in place what it created, again and again", async () => {
      await createNamespace(cluster.kubectl, "rotated");
      await writer.create("rotated", copyOf("first"), "urgent");
      const uid = await uidOf("rotated");
      for (const password of ["second", "third"]) {
        const copy = copyOf(password, ["team-a", password]);
        expect(await writer.update("rotated", copy, uid, "background")).toMatchObject({ kind: "written" });
        expect(readCopy(await secretOf("rotated"), intern)).toEqual({
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
      await writer.create("edited", copyOf("first"), "urgent");
      const uid = await uidOf("edited");
      const data = { ".dockerconfigjson": Buffer.from('{"auths":{}}').toString("base64") };
      const annotations = { "argocd.argoproj.io/sync-options": null, "pullpass.dev/registries": "none" };
      const labels = { "app.kubernetes.io/managed-by": "nobody", team: "a" };
      const patch = JSON.stringify({ data, metadata: { annotations, labels } });
      await cluster.kubectl.run([
        ...["patch", "secret", "pullpass-team-a", "--namespace=edited", `--patch=${patch}`],
      ]);
      expect(readCopy(await secretOf("edited"), intern)).toMatchObject({ content: undefined });

      expect(await writer.update("edited", copyOf("first"), uid, "background")).toMatchObject({
        kind: "written",
        existing: { uid, content: copyOf("first").content },
      });
      expect((await secretOf("edited"))["metadata"]).toMatchObject({
        labels: { "app.kubernetes.io/managed-by": "pullpass", team: "a" },
      });
    });

    it("writes nothing on an update when the same is there already", async () => {
      await createNamespace(cluster.kubectl, "same");
      await writer.create("same", copyOf("first"), "urgent");
      const uid = await uidOf("same");
      await writer.update("same", copyOf("first"), uid, "background");
      const { metadata } = await secretOf("same");
      await writer.update("same", copyOf("first"), uid, "background");
      expect((await secretOf("same"))["metadata"]).toEqual(metadata);
    });

    it("takes over what has the label, the name and the content of a copy, but was written by others", async () => {
      await createNamespace(cluster.kubectl, "restored");
      await writer.create("restored", copyOf("first"), "urgent");
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
      const { uid, content, isWrittenByUs } = readCopy(await secretOf("restored"), intern);
      expect([content, isWrittenByUs]).toEqual([undefined, false]);
      expect(await writer.update("restored", copyOf("first"), uid, "background")).toMatchObject({
        kind: "written",
        existing: { content: copyOf("first").content, isWrittenByUs: true },
      });
      expect(readCopy(await secretOf("restored"), intern).isWrittenByUs).toBe(true);
    });

    it("neither changes nor makes another Secret when the one to update is gone", async () => {
      await createNamespace(cluster.kubectl, "lost");
      await writer.create("lost", copyOf("first"), "urgent");
      expect(await writer.update("lost", copyOf("second"), NO_SUCH_UID, "urgent")).toEqual({ kind: "lost" });
      const uid = await uidOf("lost");
      expect(readCopy(await secretOf("lost"), intern).content).toBe(copyOf("first").content);
      await cluster.kubectl.run(["delete", "secret", "pullpass-team-a", "--namespace=lost"]);
      expect(await writer.update("lost", copyOf("second"), uid, "urgent")).toEqual({ kind: "lost" });
      expect(await getSecret(client, "lost", "pullpass-team-a", "urgent")).toBeUndefined();
      expect(await writer.update("nowhere", copyOf("second"), uid, "urgent")).toEqual({ kind: "lost" });
    });

    it("fails to update what cannot be changed in place, and sees that beforehand", async () => {
      await createNamespace(cluster.kubectl, "frozen");
      await writer.create("frozen", copyOf("first"), "urgent");
      const patch = '--patch={"immutable":true}';
      await cluster.kubectl.run(["patch", "secret", "pullpass-team-a", "--namespace=frozen", patch]);
      const { uid, isUpdatable } = readCopy(await secretOf("frozen"), intern);
      expect(isUpdatable).toBe(false);
      await expect(writer.update("frozen", copyOf("second"), uid, "urgent")).rejects.toMatchObject({
        name: "KubeApiError",
        status: 422,
      });
    });

    it("removes the Secret with that uid, and no other one", async () => {
      await createNamespace(cluster.kubectl, "removed");
      await writer.create("removed", copyOf("first"), "urgent");
      const uid = await uidOf("removed");
      await writer.remove("removed", "pullpass-team-a", NO_SUCH_UID, "background");
      expect(await uidOf("removed")).toBe(uid);
      await writer.remove("removed", "pullpass-team-a", uid, "background");
      expect(await getSecret(client, "removed", "pullpass-team-a", "urgent")).toBeUndefined();
      await writer.remove("removed", "pullpass-team-a", uid, "background");
    });
  });

  it("knows of a namespace whether it opted in, whether it is on its way, and which accounts it lists", async () => {
    const read = async (name: string) =>
      readNamespace(await client.request({ method: "GET", path: `/api/v1/namespaces/${name}` }), intern);
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
    expect(await read("team-a")).toEqual(expected);
    await terminate("team-a");
    expect(await read("team-a")).toEqual({ ...expected, isTerminating: true });
  });

  describe("the client of ServiceAccounts", () => {
    let accounts: ServiceAccountClient;
    beforeAll(async () => {
      accounts = createServiceAccountClient(client);
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
      const before = await accounts.read("accounts", "default", "urgent");
      expect(before).toEqual({
        resourceVersion: expect.stringMatching(/^\d+$/) as unknown,
        imagePullSecrets: undefined,
        annotations: undefined,
      });
      const operations = [test(before?.resourceVersion ?? ""), add, annotate];
      const patched = await accounts.patch("accounts", "default", operations, "urgent");
      expect(patched.kind).toBe("patched");
      expect(await accounts.read("accounts", "default", "urgent")).toEqual({
        resourceVersion: "resourceVersion" in patched ? patched.resourceVersion : "",
        imagePullSecrets: [{ name: "regcred" }],
        annotations: annotate.value,
      });
      expect(await accounts.patch("accounts", "default", operations, "urgent")).toEqual({ kind: "conflict" });
    });

    it("says of one that is not there that it is gone", async () => {
      expect(await accounts.read("accounts", "nobody", "urgent")).toBeUndefined();
      expect(await accounts.patch("accounts", "nobody", [test("1")], "urgent")).toEqual({ kind: "gone" });
    });

    it("fails where a patch is invalid, because no second try makes it valid", async () => {
      const { resourceVersion = "" } = (await accounts.read("accounts", "default", "urgent")) ?? {};
      const invalid = { op: "add", path: "/metadata/annotations", value: { "not a name": "" } } as const;
      await expect(
        accounts.patch("accounts", "default", [test(resourceVersion), invalid], "urgent"),
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
          namespace: "accounts",
          name: "default",
          resourceVersion: expect.stringMatching(/^\d+$/) as unknown,
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
    const warn = eventRecorder({
      client,
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
