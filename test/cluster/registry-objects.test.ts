import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { registryCrd } from "../../src/config/registry-crd.ts";
import type { Condition, RegistryStatus } from "../../src/core/registry-status.ts";
import type { Transport } from "../../src/kube/transport.ts";
import { auditedRequests } from "./harness/audit.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { installPullpass, type Installation } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { copiesIn, waitForCopies } from "./harness/read-copies.ts";
import { leaderOf, type Replica } from "./harness/run-replica.ts";
import { waitUntil } from "../wait-until.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const OFFERED = { "pullpass.dev/registry-credentials": "true" };

interface StoredRegistry {
  readonly metadata: { readonly generation: number; readonly resourceVersion: string };
  readonly status?: RegistryStatus;
}

await describeLevel("control-plane", "ClusterRegistries", () => {
  let cluster: Cluster;
  let client: Transport;
  let installation: Installation;
  let replica: Replica;

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
    installation = await installPullpass(cluster, {
      registries: [{ name: "file", address: "file.example.com", ...basicAuthInFile("file") }],
    });
    replica = await installation.startReplica();
    await leaderOf(replica);
    await createNamespace(cluster.kubectl, "app", OPTED_IN);
    await createNamespace(cluster.kubectl, "team", { ...OPTED_IN, team: "a" });
  });
  afterAll(async () => {
    await replica.stop();
  });

  const FILE_COPY = { "pullpass-file": { "file.example.com": "user:made-up-file" } };
  const copyOf = (name: string, password: string, host = `${name}.example.com`) => ({
    [`pullpass-${name}`]: { [host]: `user:${password}` },
  });

  const registry = (name: string, more: object = {}) => ({
    apiVersion: "pullpass.dev/v1alpha1",
    kind: "ClusterRegistry",
    metadata: { name },
    spec: {
      address: `${name}.example.com`,
      auth: { type: "BasicAuth", secretRef: { name: `${name}-login` } },
      use: ["pull"],
      ...more,
    },
  });
  const login = (name: string, password: string, more: object = {}) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: `${name}-login`, namespace: "pullpass", labels: OFFERED },
    type: "kubernetes.io/basic-auth",
    stringData: { username: "user", password },
    ...more,
  });
  const read = (name: string): Promise<StoredRegistry> =>
    cluster.kubectl.json<StoredRegistry>("get", "clusterregistry", name);
  const conditionsOf = ({ status }: StoredRegistry): Readonly<Record<string, Condition>> =>
    Object.fromEntries((status?.conditions ?? []).map((condition) => [condition.type, condition]));
  const reason = (name: string, type: string, expected: string, message = /^/): Promise<Condition> =>
    waitUntil(
      `${type} of ${name} to be ${expected}`,
      async () => {
        const object = await read(name);
        const condition = conditionsOf(object)[type];
        const isCurrent = condition?.observedGeneration === object.metadata.generation;
        if (isCurrent && condition.reason === expected && message.test(condition.message)) return condition;
        throw new Error(`it is ${JSON.stringify(object.status)}`);
      },
      { timeoutMs: 20_000, intervalMs: 50 },
    );
  const remove = (...names: readonly string[]) =>
    cluster.kubectl.run(["delete", "clusterregistries", ...names, "--ignore-not-found"]);
  const deleteSecret = (name: string) =>
    cluster.kubectl.run(["delete", "secret", `${name}-login`, "--namespace=pullpass"]);
  const applyCrd = async (crd: object = registryCrd()): Promise<void> => {
    await cluster.kubectl.apply(crd);
    await cluster.kubectl.run(["wait", "--for=condition=Established", "crd/clusterregistries.pullpass.dev"]);
  };
  const statusWrites = async (): Promise<number> =>
    (await auditedRequests(cluster)).filter(
      ({ verb, resource }) => verb === "patch" && resource === "clusterregistries/status",
    ).length;

  it("are taken up when their CRD appears, without a restart", async () => {
    await waitForCopies(client, "app", FILE_COPY);
    await applyCrd();
    await cluster.kubectl.apply(registry("first"), login("first", "made-up-1"));
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-1") });
    await cluster.kubectl.run(["wait", "--for=condition=Ready", "clusterregistry/first", "--timeout=10s"]);
    const { status } = await read("first");
    expect(status).toMatchObject({
      observedGeneration: 1,
      address: "first.example.com",
      secretName: "pullpass-first",
      namespaces: { selected: 2, synced: 2, refused: 0 },
    });
    expect(status?.conditions.map(({ type, status: value, reason: word }) => [type, value, word])).toEqual([
      ["Ready", "True", "Ready"],
      ["CredentialsAvailable", "True", "Read"],
      ["Synced", "True", "Synced"],
    ]);
  });

  it("follow their credentials, also when those are rotated, and keep the copies when they go", async () => {
    await cluster.kubectl.apply(login("first", "made-up-2"));
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-2") });
    await deleteSecret("first");
    const condition = await reason("first", "Ready", "CredentialsUnreadable");
    expect(condition).toMatchObject({
      status: "False",
      message: "Secret pullpass/first-login does not exist.",
    });
    await reason("first", "CredentialsAvailable", "SecretNotFound");
    await cluster.kubectl.apply(
      login("first", "made-up-2", { metadata: { name: "first-login", namespace: "pullpass" } }),
    );
    await reason("first", "CredentialsAvailable", "SecretNotOffered");
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-2") });
    await deleteSecret("first");
    await cluster.kubectl.apply(login("first", "", { type: "Opaque", stringData: { token: "made-up" } }));
    const missing = await reason("first", "CredentialsAvailable", "KeyMissing");
    expect(missing.message).toBe("Secret pullpass/first-login: the Secret has no key username.");
    await deleteSecret("first");
    await cluster.kubectl.apply(login("first", "made-up", { type: "example.com/other" }));
    await reason("first", "CredentialsAvailable", "KeyMissing", /the type of the Secret is not/);
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-2") });
    await deleteSecret("first");
    await cluster.kubectl.apply(login("first", "made-up-3"));
    await reason("first", "Ready", "Ready");
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-3") });
  });

  it("move their copies when the address or the namespaces are edited", async () => {
    await cluster.kubectl.apply(registry("first", { address: "moved.example.com/path" }));
    await waitForCopies(client, "app", {
      ...FILE_COPY,
      ...copyOf("first", "made-up-3", "moved.example.com/path"),
    });
    await cluster.kubectl.apply(registry("first", { namespaces: { matchLabels: { team: "a" } } }));
    await waitForCopies(client, "app", FILE_COPY);
    await waitForCopies(client, "team", { ...FILE_COPY, ...copyOf("first", "made-up-3") });
    await waitUntil("the counts", async () => (await read("first")).status?.namespaces?.selected === 1);
    await cluster.kubectl.apply(registry("first", { namespaces: { matchLabels: { team: "nobody" } } }));
    await reason("first", "Synced", "NoNamespaceSelected");
    await waitForCopies(client, "team", FILE_COPY);
  });

  it("keep their last good spec while a new one cannot be used", async () => {
    await cluster.kubectl.apply(registry("first"));
    const good = { ...FILE_COPY, ...copyOf("first", "made-up-3") };
    await waitForCopies(client, "app", good);
    await reason("first", "Ready", "Ready");
    await cluster.kubectl.apply(registry("first", { address: "first.example.com:port" }));
    const { message } = await reason("first", "Ready", "InvalidSpec");
    expect(message).toMatch(/^spec\.address: /);
    await waitForCopies(client, "app", good);
    // Nor does a replica that never saw the good one take the copies away.
    await replica.stop();
    replica = await installation.startReplica();
    await leaderOf(replica);
    await sleep(500);
    await waitForCopies(client, "app", good);
    await cluster.kubectl.apply(registry("first"));
    await reason("first", "Ready", "Ready");
  });

  it("give way to a registry of the file with the same name, and to an older one with the same Secret", async () => {
    await cluster.kubectl.apply(
      registry("file"),
      login("second", "made-up-second"),
      registry("second", { secretName: "pullpass-first" }),
    );
    await reason("file", "Ready", "NameTakenByFile");
    const { message } = await reason("second", "Ready", "InvalidSpec");
    expect(message).toBe("spec.secretName: registry first writes Secret pullpass-first already.");
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-3") });
    // One address may have two registries, as during a migration.
    await cluster.kubectl.apply(registry("second", { address: "first.example.com" }));
    await waitForCopies(client, "app", {
      ...FILE_COPY,
      ...copyOf("first", "made-up-3"),
      ...copyOf("second", "made-up-second", "first.example.com"),
    });
    await reason("second", "Ready", "Ready");
    await remove("file", "second");
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-3") });
  });

  it("say where a Secret that is not ours has the name of a copy", async () => {
    await cluster.kubectl.create({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "pullpass-third", namespace: "team" },
    });
    await cluster.kubectl.apply(registry("third"), login("third", "made-up-third"));
    const ready = await reason("third", "Ready", "SomeCopiesFailed");
    expect(ready.message).toBe(
      "1 of 2 namespaces are up to date; in 1 a Secret that is not Pullpass's has the name of the copy.",
    );
    await reason("third", "Synced", "SecretNotOurs");
    await remove("third");
    await cluster.kubectl.run(["delete", "secret", "pullpass-third", "--namespace=team"]);
  });

  it("are asked for a login by an annotation, once for each request", async () => {
    await cluster.kubectl.apply(registry("first", { address: "127.0.0.1:1" }));
    await reason("first", "Ready", "Ready");
    const ask = (at: string, ...more: readonly string[]) =>
      cluster.kubectl.run([
        "annotate",
        "--overwrite",
        "clusterregistry/first",
        `pullpass.dev/check-requested-at=${at}`,
        ...more,
      ]);
    await ask("yesterday");
    await reason("first", "LoginSucceeded", "NotAsked");
    const requestedAt = new Date().toISOString();
    const image = "127.0.0.1:1/app";
    await ask(requestedAt, `pullpass.dev/check-image=${image}`);
    const { message, status } = await reason("first", "LoginSucceeded", "NotReached");
    expect(status).toBe("False");
    expect(message).toBe("127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1.");
    const first = await read("first");
    expect(first.status?.credentials?.lastLoginAt).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}Z$/);
    expect(first.status?.check).toEqual({ requestedAt, image });
    expect(conditionsOf(first)["PullSucceeded"]).toMatchObject({ status: "False", reason: "NotReached" });
    await cluster.kubectl.apply(registry("first"));
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-3") });
  });

  it("that were deleted while no replica ran leave no copies, and a restart writes no status", async () => {
    await cluster.kubectl.apply(registry("gone"), login("gone", "made-up-gone"));
    await waitForCopies(client, "app", {
      ...FILE_COPY,
      ...copyOf("first", "made-up-3"),
      ...copyOf("gone", "made-up-gone"),
    });
    await reason("gone", "Ready", "Ready");
    await reason("first", "Ready", "Ready");
    await replica.stop();
    await remove("gone");
    const before = await statusWrites();
    const { resourceVersion } = (await read("first")).metadata;
    replica = await installation.startReplica();
    await leaderOf(replica);
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-3") });
    await sleep(1000);
    expect(await statusWrites()).toBe(before);
    expect((await read("first")).metadata.resourceVersion).toBe(resourceVersion);
  });

  it("that nobody may list leave their copies where they are", async () => {
    const { kubectl } = cluster;
    const role = await kubectl.json<{ readonly rules: readonly { readonly apiGroups: readonly string[] }[] }>(
      ...["get", "clusterrole", "pullpass"],
    );
    const without = role.rules.filter(
      ({ apiGroups: [group] }) => group !== "pullpass.dev" && group !== "apiextensions.k8s.io",
    );
    await replica.stop();
    await kubectl.apply({ ...role, metadata: { name: "pullpass" }, rules: without });
    replica = await installation.startReplica();
    await leaderOf(replica);
    // The file's are looked after as ever.
    await kubectl.run(["delete", "secret", "pullpass-file", "--namespace=app"]);
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-3") });
    await sleep(500);
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-3") });
    await replica.stop();
    await kubectl.apply({ ...role, metadata: { name: "pullpass" } });
    replica = await installation.startReplica();
    await leaderOf(replica);
  });

  it("of a CRD that drops fields are not trusted: nothing new is copied, and what is there stays", async () => {
    const crd = structuredClone(registryCrd()) as {
      spec: {
        versions: {
          schema: { openAPIV3Schema: { properties: { spec: { properties: Record<string, unknown> } } } };
        }[];
      };
    };
    delete crd.spec.versions[0]?.schema.openAPIV3Schema.properties.spec.properties["namespaces"];
    await applyCrd(crd);
    const { message } = await reason("first", "Ready", "SchemaTooOld");
    expect(message).toBe("The CRD in the cluster lacks spec.namespaces; upgrade it.");
    await createNamespace(cluster.kubectl, "later", OPTED_IN);
    await waitForCopies(client, "later", FILE_COPY);
    await sleep(500);
    await waitForCopies(client, "later", FILE_COPY);
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-3") });
    await applyCrd();
    await waitForCopies(client, "later", { ...FILE_COPY, ...copyOf("first", "made-up-3") });
    await reason("first", "Ready", "Ready");
  });

  it("go with their CRD, and come back with it", async () => {
    await cluster.kubectl.run(["delete", "crd", "clusterregistries.pullpass.dev"]);
    await waitForCopies(client, "app", FILE_COPY);
    await applyCrd();
    await cluster.kubectl.apply(registry("first"));
    await waitForCopies(client, "app", { ...FILE_COPY, ...copyOf("first", "made-up-3") });
    await reason("first", "Ready", "Ready");
  });

  it("have no finalizer, and no credential in their status, an Event or the log", async () => {
    const { stdout: object } = await cluster.kubectl.run(["get", "clusterregistries", "--output=json"]);
    expect(object).not.toContain("finalizers");
    const { stdout: events } = await cluster.kubectl.run([
      "get",
      "events",
      "--all-namespaces",
      "--output=json",
    ]);
    const log = JSON.stringify(await replica.log());
    for (const text of [object, events, log]) expect(text).not.toContain("made-up");
    expect(Object.keys(await copiesIn(client, "app"))).toContain("pullpass-first");
  });
});

function basicAuthInFile(name: string): object {
  return { auth: { type: "BasicAuth", username: "user", password: `made-up-${name}` }, use: ["pull"] };
}
