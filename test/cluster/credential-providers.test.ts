import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { registryCrd } from "../../src/config/registry-crd.ts";
import type { RegistryStatus } from "../../src/core/registry-status.ts";
import type { Transport } from "../../src/kube/transport.ts";
import { auditedRequests, auditedWrites } from "./harness/audit.ts";
import { installManifest } from "./harness/chart.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { installPullpass, type Installation } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { contentOf, copiesIn, waitForCopies, type CopyContent } from "./harness/read-copies.ts";
import { leaderOf, type Replica } from "./harness/run-replica.ts";
import { runPullpass } from "../cli/run-pullpass.ts";
import { waitUntil } from "../wait-until.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const HOST = "registry.example.com";
/** The seconds in which a program would run that should not. */
const QUIET_MS = 1_500;

/** A plugin for kubelets that appends a line to a file for each run, and hands out what another file holds. */
const PLUGIN = `#!/bin/sh
cat > "$DIRECTORY/question"
echo "$1" >> "$DIRECTORY/runs"
. "$DIRECTORY/behave"
cat <<END
{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry",
"cacheDuration":"12h0m0s","auth":{"$(cat "$DIRECTORY/host")":{"username":"user","password":"$(cat "$DIRECTORY/password")"}}}
END
`;

await describeLevel("control-plane", "credential providers", () => {
  let cluster: Cluster;
  let client: Transport;
  let installation: Installation;
  let replicas: Replica[] = [];
  let directory: string;

  const write = (name: string, text: string) => writeFile(join(directory, name), text);
  const runs = async (): Promise<readonly string[]> =>
    (await readFile(join(directory, "runs"), "utf8").catch(() => "")).split("\n").slice(0, -1);
  /** A provider whose entry is another one is asked at once. */
  const configure = (argument: string, more: object = {}) =>
    installation.configure({
      providers: [
        {
          name: "made-up-provider",
          apiVersion: "credentialprovider.kubelet.k8s.io/v1",
          matchImages: ["*.example.com"],
          defaultCacheDuration: "1h",
          args: [argument],
          env: [{ name: "DIRECTORY", value: directory }],
          ...more,
        },
      ],
      registries: [{ name: "file", address: HOST, auth: { type: "Provider", provider: "made-up-provider" } }],
    });
  const copies = (file: CopyContent, more: Readonly<Record<string, CopyContent>> = {}) => ({
    "pullpass-file": file,
    ...more,
  });
  /** What kubelet tries first, what everybody finds, and what kubelet tries last. */
  const withPrevious = (now: string, before: string, host = HOST): CopyContent => ({
    [host]: `user:${now}`,
    [`${host}/%23`]: `user:${now}`,
    [`https://${host}`]: `user:${before}`,
  });
  const build = (password: string) => ({ "pullpass.build": { [HOST]: `user:${password}` } });
  const startReplica = () =>
    installation.startReplica({ flags: [`--credential-provider-bin-dir=${directory}`] });
  const statusOf = async (name: string): Promise<RegistryStatus> => {
    const object = await cluster.kubectl.json<{ readonly status?: RegistryStatus }>(
      "get",
      "clusterregistry",
      name,
    );
    if (object.status === undefined) throw new Error("no status yet");
    return object.status;
  };
  const reasonOf = async (name: string, type: string) =>
    (await statusOf(name)).conditions.find((condition) => condition.type === type);

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
    await cluster.kubectl.apply(registryCrd());
    await cluster.kubectl.run(["wait", "--for=condition=Established", "crd/clusterregistries.pullpass.dev"]);
    installation = await installPullpass(cluster, { registries: [] });
    const policies = (await installManifest()).filter(({ kind = "" }) => kind.includes("AdmissionPolicy"));
    await cluster.kubectl.apply(...policies);
    directory = join(installation.directory, "plugins");
    await mkdir(directory);
    await write("made-up-provider", PLUGIN);
    await chmod(join(directory, "made-up-provider"), 0o755);
    await write("behave", ":\n");
    await write("host", HOST);
    await write("password", "made-up-1");
    await configure("first");
    replicas = [await startReplica(), await startReplica()];
    await createNamespace(cluster.kubectl, "app", OPTED_IN);
  });
  afterAll(async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
  });

  it("are asked by one of two replicas, once, as kubelet asks; the answer is in every copy", async () => {
    await waitForCopies(client, "app", copies({ [HOST]: "user:made-up-1" }, build("made-up-1")));
    await sleep(QUIET_MS);
    expect(await runs()).toEqual(["first"]);
    expect(JSON.parse(await readFile(join(directory, "question"), "utf8"))).toEqual({
      kind: "CredentialProviderRequest",
      apiVersion: "credentialprovider.kubelet.k8s.io/v1",
      image: `${HOST}/pullpass`,
    });
    const { leader, others } = await leaderOf(...replicas);
    const metric = 'pullpass_credential_refreshes_total{provider="made-up-provider",outcome="changed"}';
    expect(await leader.metric(metric)).toBe(1);
    expect(await others[0]?.metric(metric)).toBeUndefined();
  });

  it("run nothing for a new leader", async () => {
    const { leader, others } = await leaderOf(...replicas);
    await leader.stop();
    await leaderOf(...others);
    await sleep(QUIET_MS);
    expect(await runs()).toEqual(["first"]);
    await leader.start();
  });

  it("run nothing for a restart of all replicas, which writes nothing", async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
    const before = await auditedWrites(cluster);
    await Promise.all(replicas.map((replica) => replica.start()));
    await leaderOf(...replicas);
    await sleep(QUIET_MS);
    expect(await runs()).toEqual(["first"]);
    expect(
      (await auditedWrites(cluster)).slice(before.length).filter((line) => line.includes("secrets")),
    ).toEqual([]);
  });

  it("that hand out another credential have it written once, with the old one beside it; builders get the new one", async () => {
    await write("password", "made-up-2");
    const before = (await auditedWrites(cluster)).length;
    await configure("second");
    await waitForCopies(client, "app", copies(withPrevious("made-up-2", "made-up-1"), build("made-up-2")));
    await sleep(QUIET_MS);
    expect((await auditedWrites(cluster)).slice(before).toSorted()).toEqual([
      "patch secrets app/pullpass-file",
      "patch secrets app/pullpass.build",
      "patch secrets pullpass/pullpass-provider-answers",
    ]);
  });

  it("that hand out the same credential have no copy written", async () => {
    const before = (await auditedWrites(cluster)).length;
    await configure("third");
    await waitUntil("a run", async () => (await runs()).includes("third"));
    await sleep(QUIET_MS);
    expect((await auditedWrites(cluster)).slice(before)).toEqual([
      "patch secrets pullpass/pullpass-provider-answers",
    ]);
  });

  it("leave the old credential where it is when its grace period ends; new copies go without it", async () => {
    const before = (await auditedWrites(cluster)).length;
    const { leader } = await leaderOf(...replicas);
    const reloads = async () =>
      (await leader.log()).filter(({ msg }) => msg === "configuration reloaded").length;
    const known = await reloads();
    await configure("third", { credentialGracePeriod: "1ms" });
    await waitUntil("the configuration", async () => (await reloads()) > known);
    await createNamespace(cluster.kubectl, "later", OPTED_IN);
    await waitForCopies(client, "later", copies({ [HOST]: "user:made-up-2" }, build("made-up-2")));
    await waitForCopies(client, "app", copies(withPrevious("made-up-2", "made-up-1"), build("made-up-2")));
    await sleep(QUIET_MS);
    expect((await auditedWrites(cluster)).slice(before).filter((line) => !line.includes(" later/"))).toEqual(
      [],
    );
    await configure("third");
    await waitForCopies(client, "later", copies(withPrevious("made-up-2", "made-up-1"), build("made-up-2")));
  });

  const object = (name: string, spec: object = {}) => ({
    apiVersion: "pullpass.dev/v1alpha1",
    kind: "ClusterRegistry",
    metadata: { name },
    spec: {
      address: "object.example.com",
      auth: { type: "Provider", provider: "made-up-provider" },
      use: ["pull"],
      ...spec,
    },
  });

  it("serve ClusterRegistries, whose status says when they are asked next and when the credential ends", async () => {
    const exp = Math.floor(Date.now() / 1000) + 3_600;
    const payload = Buffer.from(JSON.stringify({ exp })).toString("base64url");
    await write("password", `made-up.${payload}.signature`);
    await write("host", "object.example.com");
    await cluster.kubectl.apply(object("object"));
    await cluster.kubectl.run(["wait", "--for=condition=Ready", "creg/object", "--timeout=20s"]);
    const { credentials } = await statusOf("object");
    expect(credentials?.expiresAt).toBe(new Date(exp * 1000).toISOString().replace(".000Z", "Z"));
    const next = (Date.parse(credentials?.nextRefreshAt ?? "") - Date.now()) / 60_000;
    // 70 to 80 % of the hour, and not of the twelve hours of the answer.
    expect(next).toBeGreaterThan(41);
    expect(next).toBeLessThan(48);
    expect(await reasonOf("object", "CredentialsAvailable")).toMatchObject({
      status: "True",
      reason: "Read",
    });
    const { leader } = await leaderOf(...replicas);
    expect(await leader.metric('pullpass_credential_expiry_timestamp_seconds{registry="object"}')).toBe(exp);
    const { stdout } = await cluster.kubectl.run(["get", "creg", "object", "--output=wide"]);
    expect(stdout).toContain(credentials?.expiresAt);
  });

  it("of which a ClusterRegistry names none, or one for other images, say so in its status", async () => {
    await cluster.kubectl.apply(object("unknown", { auth: { type: "Provider", provider: "another" } }));
    await cluster.kubectl.apply(object("other", { address: "registry.example.org" }));
    for (const [name, message] of [
      ["unknown", "Spec.auth.provider: is not the name of an entry of providers in the configuration."],
      [
        "other",
        "Spec.auth.provider: matchImages of the provider does not cover registry.example.org/pullpass.",
      ],
    ] as const) {
      await waitUntil(`the status of ${name}`, async () => {
        const ready = await reasonOf(name, "Ready");
        return ready?.reason === "InvalidSpec" && ready.message.toLowerCase() === message.toLowerCase();
      });
    }
    await cluster.kubectl.run(["delete", "creg", "unknown", "other"]);
  });

  it("that fail leave the copies as they are, and say so without what they wrote", async () => {
    const before = await copiesIn(client, "app");
    await write("behave", 'echo "login failed: wrong password made-up-secret" >&2; exit 1\n');
    await configure("fourth");
    const failed = await waitUntil("the condition", async () => {
      const condition = await reasonOf("object", "CredentialsAvailable");
      return condition?.reason === "ProviderFailed" ? condition : undefined;
    });
    expect(failed).toMatchObject({
      status: "True",
      message: "Provider made-up-provider exited with 1: login failed: wrong ….",
    });
    expect(await reasonOf("object", "Ready")).toMatchObject({ status: "True" });
    expect(await copiesIn(client, "app")).toEqual(before);
    const { leader } = await leaderOf(...replicas);
    const metric = 'pullpass_credential_refreshes_total{provider="made-up-provider",outcome="exit-status"}';
    expect(await leader.metric(metric)).toBeGreaterThanOrEqual(2);
    expect(await leader.log()).toContainEqual(
      expect.objectContaining({ registry: "object", reason: "ProviderFailed" }),
    );
    await write("behave", ":\n");
    await waitUntil(
      "the next attempt",
      async () => (await reasonOf("object", "CredentialsAvailable"))?.reason === "Read",
      { timeoutMs: 30_000 },
    );
  });

  it("have their answers in a Secret that no ClusterRegistry may refer to", async () => {
    const option = "--namespace=pullpass";
    await cluster.kubectl.run([
      "label",
      "secret",
      "pullpass-provider-answers",
      option,
      "pullpass.dev/registry-credentials=true",
    ]);
    const auth = { type: "DockerConfig", secretRef: { name: "pullpass-provider-answers" } };
    await cluster.kubectl.apply(object("thief", { auth }));
    await waitUntil(
      "the condition",
      async () => (await reasonOf("thief", "CredentialsAvailable"))?.status === "False",
    );
    expect(Object.keys(await copiesIn(client, "app"))).not.toContain("pullpass-thief");
    await cluster.kubectl.run(["delete", "creg", "thief"]);
  });

  it("leave a Secret of that name alone that is not Pullpass's, and its copies where they are", async () => {
    const before = await copiesIn(client, "app");
    const known = (await runs()).length;
    const label = (change: string) =>
      cluster.kubectl.run([
        ...["label", "secret", "pullpass-provider-answers", "--namespace=pullpass", change],
      ]);
    await label("pullpass.dev/provider-answers-");
    const failed = await waitUntil("the condition", async () => {
      const condition = await reasonOf("object", "CredentialsAvailable");
      return condition?.status === "False" ? condition : undefined;
    });
    expect(failed).toMatchObject({
      reason: "ProviderFailed",
      message: "Secret pullpass/pullpass-provider-answers is not Pullpass's, which keeps answers there.",
    });
    await sleep(QUIET_MS);
    expect(await copiesIn(client, "app")).toEqual(before);
    await label("pullpass.dev/provider-answers=true");
    await waitUntil(
      "the condition",
      async () => (await reasonOf("object", "CredentialsAvailable"))?.reason === "Read",
    );
    expect(await runs()).toHaveLength(known);
  });

  it("are asked again when their answers are gone, which changes no copy", async () => {
    const before = await copiesIn(client, "app");
    const known = (await runs()).length;
    await cluster.kubectl.run(["delete", "secret", "pullpass-provider-answers", "--namespace=pullpass"]);
    await waitUntil("two runs", async () => (await runs()).length === known + 2);
    await cluster.kubectl.run(["wait", "--for=condition=Ready", "creg/object", "--timeout=20s"]);
    await sleep(QUIET_MS);
    const contents = (copies: Awaited<ReturnType<typeof copiesIn>>) =>
      Object.entries(copies).map(([name, copy]) => [name, Object.keys(contentOf(copy))[0]]);
    expect(contents(await copiesIn(client, "app"))).toEqual(contents(before));
  });

  it("are in no line of the log, no Event and no status; nothing was forbidden", async () => {
    const logs = JSON.stringify(await Promise.all(replicas.map((replica) => replica.log())));
    const { stdout: events } = await cluster.kubectl.run(["get", "events", "-A", "--output=json"]);
    const { stdout: objects } = await cluster.kubectl.run(["get", "creg", "--output=json"]);
    for (const text of [logs, events, objects])
      expect(text.replaceAll("made-up-provider", "")).not.toContain("made-up");
    const refused = (await auditedRequests(cluster)).filter(({ status }) => status === 401 || status === 403);
    expect(refused).toEqual([]);
  });

  it("have nothing left of their answers after a purge", async () => {
    await Promise.all(replicas.splice(0).map((replica) => replica.stop()));
    const args = ["purge", "--yes", `--kubeconfig=${cluster.kubeconfig}`, "--namespace=pullpass"];
    expect(runPullpass(args, ".")).toMatchObject({ status: 0 });
    const { stdout } = await cluster.kubectl.run(["get", "secrets", "-A", "--output=name"]);
    expect(stdout).toBe("");
  });
});
