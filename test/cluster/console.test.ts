/** The console's server by requests that no page of it would make, beside a real API server. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type {
  ExplainAnswer,
  Failure,
  RegistryList,
  RegistryUsage,
  SessionInfo,
  StuckPodList,
  TestLoginAnswer,
} from "../../src/console/api.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { sendRequest, type Answer } from "../send-request.ts";
import { waitUntil } from "../wait-until.ts";
import {
  MARKER,
  setStage,
  startConsole,
  startRegistry,
  USER,
  type FakeRegistry,
  type RunningConsole,
  type Stage,
} from "../web/console-under-test.ts";

/** What the console's own pages send with every request. */
const OWN = { "sec-fetch-site": "same-origin" };
const JSON_TYPE = { "content-type": "application/json" };

await describeLevel("control-plane", "the console's server", () => {
  let cluster: Cluster;
  let stage: Stage;
  let registry: FakeRegistry;
  let local: RunningConsole;
  let shared: RunningConsole;

  beforeAll(async () => {
    cluster = await borrowCluster();
    registry = await startRegistry(cluster, 15);
    stage = await setStage(cluster, registry.host);
    local = await startConsole(cluster, { name: "local", flags: ["--test-login-allow=127.0.0.0/8"] });
    shared = await startConsole(cluster, {
      name: "shared",
      flags: ["--login=token", "--allowed-host=console.example.com"],
    });
  });
  afterAll(async () => {
    await Promise.all([local.stop(), shared.stop(), stage.replica.stop()]);
    registry.close();
  });

  const ask = (
    running: RunningConsole,
    path: string,
    { method = "GET", cookie = "", headers = OWN, body }: Asked = {},
  ): Promise<Answer> =>
    sendRequest(`${running.url}${path}`, {
      method,
      headers: {
        ...headers,
        ...(method === "GET" ? {} : JSON_TYPE),
        // Node sends none with DELETE.
        ...(body !== undefined && { "content-length": Buffer.byteLength(JSON.stringify(body)).toString() }),
        ...(cookie !== "" && { cookie }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  const post = (running: RunningConsole, path: string, body: object, cookie = ""): Promise<Answer> =>
    ask(running, path, { method: "POST", cookie, body });
  const failureIn = ({ body }: Answer): Failure => JSON.parse(body) as Failure;
  const cookieIn = ({ headers }: Answer): string => String(headers["set-cookie"]).split(";")[0] ?? "";
  const keyOf = async (running: RunningConsole): Promise<string> =>
    new URL(await running.address()).hash.slice("#key=".length);

  /** A token of an account that has those roles. */
  async function tokenOf(name: string, ...roles: readonly string[]): Promise<string> {
    const { kubectl } = cluster;
    await kubectl.run(["create", "serviceaccount", name, "--namespace=default"]);
    for (const role of roles)
      await kubectl.run([
        ...["create", "clusterrolebinding", `${name}-${role}`, `--clusterrole=${role}`],
        `--serviceaccount=default:${name}`,
      ]);
    const { stdout } = await kubectl.run(["create", "token", name, "--namespace=default"]);
    return stdout.trim();
  }
  async function logIn(token: string): Promise<string> {
    // Other tests use the tries up.
    const answer = await waitUntil("a login", async () => {
      const tried = await post(shared, "/api/login", { token });
      return tried.status === 429 ? undefined : tried;
    });
    expect(answer.status).toBe(200);
    return cookieIn(answer);
  }

  describe("lets in", () => {
    it("whoever has the key, once", async () => {
      const key = await keyOf(local);
      const first = await post(local, "/api/login", { key });
      expect(first.status).toBe(200);
      expect(String(first.headers["set-cookie"])).toMatch(
        /^pullpass-console-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=3600$/,
      );
      const second = await post(local, "/api/login", { key });
      expect(second.status).toBe(401);
      expect(failureIn(second)).toMatchObject({ code: "wrong-login" });
      expect(second.headers["set-cookie"]).toBeUndefined();

      // The session ends with the logout, for whoever has the cookie, and a new address is printed.
      const cookie = cookieIn(first);
      expect((await ask(local, "/api/session", { cookie })).status).toBe(200);
      expect((await post(local, "/api/logout", {}, cookie)).status).toBe(200);
      expect((await ask(local, "/api/session", { cookie })).status).toBe(401);
      await waitUntil("another key", async () => (await keyOf(local)) !== key);
      expect((await local.output()).match(/#key=/g)).toHaveLength(2);
    });

    it("a token, with the rights of its owner and no others", async () => {
      const viewer = await logIn(await tokenOf("viewer", "view", "pullpass-registry-view"));
      const session = JSON.parse((await ask(shared, "/api/session", { cookie: viewer })).body) as SessionInfo;
      expect(session.user).toBe("system:serviceaccount:default:viewer");
      expect(Object.values(session.rights)).not.toContain(true);
      const list = JSON.parse(
        (await ask(shared, "/api/registries", { cookie: viewer })).body,
      ) as RegistryList;
      expect(list.rows.map(({ name }) => name)).toContain("my-org");
      // A request that no button would make is refused by the API server, which names the right.
      const draft = { name: "mine", uid: "", spec: { address: "mine.example.com" } };
      const refused = await post(
        shared,
        "/api/registries",
        { draft, generation: 0, credentials: null },
        viewer,
      );
      expect(refused.status).toBe(403);
      expect(failureIn(refused).message).toMatch(
        /cannot create resource "clusterregistries" in API group "pullpass.dev"/,
      );
      const login = {
        address: registry.host,
        username: "",
        image: "",
        credentials: { type: "Token", token: "made-up" },
      };
      expect((await post(shared, "/api/test-login", login, viewer)).status).toBe(403);
    });

    it("somebody without any right, and says which ones are missing", async () => {
      const nobody = await logIn(await tokenOf("nobody"));
      const list = JSON.parse(
        (await ask(shared, "/api/registries", { cookie: nobody })).body,
      ) as RegistryList;
      expect(list.rows).toEqual([]);
      expect(list.unread.join()).toMatch(/nobody" cannot list resource "clusterregistries"/);
      expect(list.optedIn).toBeNull();
    });

    it("nobody whose token the API server refuses", async () => {
      for (const token of ["made-up", "", "made up\nX: y", "x".repeat(20_000)]) {
        const answer = await waitUntil("an answer", async () => {
          const tried = await post(shared, "/api/login", { token });
          return tried.status === 429 ? undefined : tried;
        });
        expect(answer.status).toBe(401);
        expect(answer.body).not.toContain("made");
      }
    });

    it("nobody any more whose account is gone, and says so", async () => {
      const cookie = await logIn(await tokenOf("gone", "cluster-admin"));
      expect((await ask(shared, "/api/registries", { cookie })).status).toBe(200);
      await cluster.kubectl.run(["delete", "serviceaccount", "gone", "--namespace=default"]);
      // The API server remembers a token for ten seconds.
      await waitUntil(
        "the token to be refused",
        async () => {
          const { status, body } = await post(shared, "/api/registries/my-org/test-login", {}, cookie);
          return status === 401 && body.includes("no-session");
        },
        { timeoutMs: 30_000, intervalMs: 500 },
      );
      expect((await ask(shared, "/api/session", { cookie })).status).toBe(401);
    });
  });

  describe("refuses", () => {
    let cookie: string;
    beforeAll(async () => {
      cookie = await logIn(await tokenOf("admin", "cluster-admin"));
    });
    const body = {
      draft: { name: "forged", uid: "", spec: { address: "forged.example.com" } },
      generation: 0,
      credentials: null,
    };

    it.each<readonly [string, Readonly<Record<string, string>>, number]>([
      [
        "a form of another site",
        { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "cross-site" },
        403,
      ],
      ["a form of a browser that says nothing", { "content-type": "text/plain" }, 403],
      [
        "a fetch of another site",
        { ...JSON_TYPE, "sec-fetch-site": "cross-site", origin: "https://evil.example.com" },
        403,
      ],
      [
        "a fetch of another port of this machine",
        { ...JSON_TYPE, "sec-fetch-site": "same-site", origin: "http://127.0.0.1:1" },
        403,
      ],
      ["a forged Origin", { ...JSON_TYPE, ...OWN, origin: "https://evil.example.com" }, 403],
      ["a form that claims to be ours", { ...OWN, "content-type": "text/plain" }, 415],
      ["packed JSON", { ...OWN, ...JSON_TYPE, "content-encoding": "gzip" }, 415],
      ["another name of this host (DNS rebinding)", { ...OWN, ...JSON_TYPE, host: "evil.example.com" }, 421],
      ["a name that only looks like ours", { ...OWN, ...JSON_TYPE, host: "127.0.0.1.evil.example.com" }, 421],
      ["no session", { ...OWN, ...JSON_TYPE, cookie: "" }, 401],
    ])("a write by %s", async (_, headers, status) => {
      const answer = await sendRequest(`${shared.url}/api/registries`, {
        method: "POST",
        headers: { cookie, ...headers },
        body: JSON.stringify(body),
      });
      expect(answer.status).toBe(status);
      const names = await cluster.kubectl.run(["get", "clusterregistries", "--output=name"]);
      expect(names.stdout).not.toContain("forged");
    });

    it("a read by another site, and by another name", async () => {
      const read = (headers: Readonly<Record<string, string>>) =>
        sendRequest(`${shared.url}/api/registries`, { headers: { cookie, ...headers } });
      expect((await read({ "sec-fetch-site": "cross-site" })).status).toBe(403);
      expect((await read({ "sec-fetch-site": "none" })).status).toBe(403);
      expect((await read({ ...OWN, host: "evil.example.com" })).status).toBe(421);
      expect((await read({ ...OWN, host: "console.example.com" })).status).toBe(200);
      expect((await read({ ...OWN, host: "localhost:4711" })).status).toBe(200);
    });

    it("a token in an address, wherever it is", async () => {
      for (const path of [
        "/?token=made-up-t0k3n",
        "/api/session?token=made-up-t0k3n",
        "/api/namespaces?filter=a&key=made-up-t0k3n",
      ]) {
        const answer = await ask(shared, path, { cookie });
        expect(answer.status).toBe(400);
        expect(answer.body).not.toContain("t0k3n");
      }
      expect(await shared.output()).not.toContain("t0k3n");
    });

    it("a session that somebody else began", async () => {
      const name = cookie.split("=")[0] ?? "";
      const fixed = `${name}=${"A".repeat(43)}`;
      const answer = await waitUntil("a login", async () => {
        const tried = await post(shared, "/api/login", { token: await adminToken() }, fixed);
        return tried.status === 429 ? undefined : tried;
      });
      expect(cookieIn(answer)).not.toBe(fixed);
      expect((await ask(shared, "/api/session", { cookie: fixed })).status).toBe(401);
    });
    const adminToken = async (): Promise<string> =>
      (await cluster.kubectl.run(["create", "token", "admin", "--namespace=default"])).stdout.trim();

    it("a body of 100 MB, without taking it up", async () => {
      const { status } = await new Promise<Answer>((resolve, reject) => {
        sendRequest(`${shared.url}/api/explain`, {
          method: "POST",
          headers: { ...OWN, ...JSON_TYPE, cookie },
          body: Buffer.alloc(100 * 1024 * 1024, "x"),
        }).then(resolve, reject);
      });
      expect(status).toBe(413);
      expect((await ask(shared, "/api/session", { cookie })).status).toBe(200);
    });

    it("what is no JSON, no name and no path", async () => {
      const send = (path: string, text: string, method = "POST") =>
        sendRequest(`${shared.url}${path}`, {
          method,
          headers: { ...OWN, ...JSON_TYPE, cookie },
          body: text,
        });
      expect((await send("/api/explain", "{")).status).toBe(400);
      expect((await send("/api/registries", "{}")).status).toBe(400);
      expect((await send("/api/registries", "[]")).status).toBe(400);
      expect((await send("/api/registries/..%2f..%2fsecrets/test-login", "{}")).status).toBe(400);
      expect((await ask(shared, "/api/nothing", { cookie })).status).toBe(404);
      expect((await ask(shared, "/../package.json")).status).toBe(404);
      expect((await ask(shared, "/__proto__")).status).toBe(404);
      expect((await send("/", "{}")).status).toBe(405);
    });

    it("10,000 logins, nearly all of them without asking the API server", async () => {
      const before = await countRequests();
      const statuses = new Map<number, number>();
      for (let batch = 0; batch < 100; batch++) {
        const answers = await Promise.all(
          Array.from({ length: 100 }, () => post(shared, "/api/login", { token: "made-up" })),
        );
        for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
      expect([...statuses.keys()].toSorted()).toEqual([401, 429]);
      expect(statuses.get(401) ?? 0).toBeLessThan(100);
      expect((await countRequests()) - before).toBeLessThan(200);
      // Whoever is in stays in.
      expect((await ask(shared, "/api/session", { cookie })).status).toBe(200);
    });
    /** Of reviews of who somebody is, as the API server counts them. */
    const countRequests = async (): Promise<number> => {
      const { stdout } = await cluster.kubectl.run(["get", "--raw=/metrics"]);
      const lines = stdout
        .split("\n")
        .filter((line) => line.startsWith("apiserver_request_total") && line.includes("selfsubjectreviews"));
      return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    };
  });

  describe("saves with the rights of a registry admin, who may read no Secret,", () => {
    let cookie: string;
    beforeAll(async () => {
      const token = await tokenOf("registrar", "pullpass-registry-admin");
      await cluster.kubectl.run([
        ...[
          "create",
          "rolebinding",
          "registrar",
          "--namespace=pullpass",
          "--role=pullpass-registry-credentials",
        ],
        "--serviceaccount=default:registrar",
      ]);
      cookie = await logIn(token);
      // The policy is in force a second after it was applied, and so are the rights.
      await waitUntil("the rights", async () => {
        const answer = await ask(shared, "/api/registries", { cookie });
        return (JSON.parse(answer.body) as RegistryList).unread.length === 0;
      });
    });
    const spec = (more: object = {}) => ({
      displayName: "Saved",
      address: "saved.example.com",
      auth: { type: "BasicAuth", secretRef: { name: "saved-login" } },
      ...more,
    });
    const credentials = (password: string) => ({ type: "BasicAuth", username: USER, password });
    const stored = () => cluster.kubectl.json<StoredRegistry>("get", "clusterregistry", "saved");
    const secretIn = async (name: string) => {
      const { data, type } = await cluster.kubectl.json<StoredSecret>(
        "get",
        "secret",
        name,
        "--namespace=pullpass",
      );
      const decoded = Object.entries(data).map(([key, value]) => [
        key,
        Buffer.from(value, "base64").toString(),
      ]);
      return { type, ...Object.fromEntries(decoded) } as Readonly<Record<string, string>>;
    };
    const save = (body: object, method: "POST" | "PUT" = "PUT") =>
      ask(shared, `/api/registries${method === "PUT" ? "/saved" : ""}`, { method, cookie, body });

    it("a new registry with its Secret, which is labelled and not shown again", async () => {
      const body = {
        draft: { name: "saved", uid: "", spec: spec() },
        generation: 0,
        credentials: credentials(MARKER),
      };
      const answer = await save(body, "POST");
      expect(JSON.parse(answer.body)).toEqual({
        name: "saved",
        steps: ["Secret pullpass/saved-login written", "Registry saved created"],
      });
      expect(await secretIn("saved-login")).toEqual({
        type: "kubernetes.io/basic-auth",
        username: USER,
        password: MARKER,
      });
      await cluster.kubectl.run(["wait", "--for=condition=Ready", "clusterregistry/saved", "--timeout=20s"]);
      // A second one of that name is refused before its Secret is touched.
      const again = await save({ ...body, credentials: credentials("made-up-other") }, "POST");
      expect(again.status).toBe(422);
      expect(failureIn(again).problems?.[0]?.field).toBe("metadata.name");
      expect((await secretIn("saved-login"))["password"]).toBe(MARKER);
      const other = {
        ...body,
        draft: { ...body.draft, name: "other", spec: spec({ address: "other.example.com" }) },
      };
      const taken = await save(other, "POST");
      expect(failureIn(taken).problems?.[0]?.field).toBe("spec.auth.secretRef.name");
    });

    it("an edit, and keeps the password where none was typed", async () => {
      const { metadata } = await stored();
      const draft = { name: "saved", uid: metadata.uid, spec: spec({ displayName: "Saved again" }) };
      const answer = await save({ draft, generation: metadata.generation, credentials: null });
      expect(JSON.parse(answer.body)).toEqual({ name: "saved", steps: ["Registry saved changed"] });
      expect((await stored()).spec["displayName"]).toBe("Saved again");
      expect((await secretIn("saved-login"))["password"]).toBe(MARKER);
    });

    it("nothing over an edit of somebody else, neither the registry nor the password", async () => {
      const before = await stored();
      await cluster.kubectl.run([
        "patch",
        "clusterregistry",
        "saved",
        "--type=merge",
        '--patch={"spec":{"displayName":"By kubectl"}}',
      ]);
      const draft = { name: "saved", uid: before.metadata.uid, spec: spec({ displayName: "Mine" }) };
      const body = { draft, generation: before.metadata.generation, credentials: credentials("made-up-new") };
      const answer = await save(body);
      expect(answer.status).toBe(409);
      expect(failureIn(answer)).toMatchObject({
        code: "conflict",
        message: expect.stringMatching(/somebody else changed/) as string,
      });
      expect((await stored()).spec["displayName"]).toBe("By kubectl");
      expect((await secretIn("saved-login"))["password"]).toBe(MARKER);
      // Upon the new version it is saved.
      const { metadata } = await stored();
      expect((await save({ ...body, generation: metadata.generation })).status).toBe(200);
      expect((await secretIn("saved-login"))["password"]).toBe("made-up-new");
    });

    it("another auth type in a Secret of its own, since that of the old one is fixed", async () => {
      const { metadata } = await stored();
      const draft = {
        name: "saved",
        uid: metadata.uid,
        spec: spec({ auth: { type: "Token", secretRef: { name: "saved-login" } } }),
      };
      const body = { draft, generation: metadata.generation };
      const without = await waitUntil("the watch", async () => {
        const answer = await save({ ...body, credentials: null });
        return answer.status === 422 ? answer : undefined;
      });
      expect(failureIn(without).problems).toEqual([
        { field: "credentials", message: "are needed, because the auth type changed" },
      ]);
      const answer = await save({ ...body, credentials: { type: "Token", token: MARKER } });
      expect(answer.status).toBe(200);
      const { auth } = (await stored()).spec as {
        readonly auth: { readonly secretRef: { readonly name: string } };
      };
      expect(auth.secretRef.name).toMatch(/^saved-login-\w+$/);
      expect(await secretIn(auth.secretRef.name)).toEqual({ type: "Opaque", token: MARKER });
    });

    it("no field that the schema refuses, whose words it repeats", async () => {
      const draft = {
        name: "Wrong",
        uid: "",
        spec: { address: `user:${MARKER}@example.com`, use: [], nonsense: 1 },
      };
      const body = { draft, generation: 0, credentials: null };
      const answer = await save(body, "POST");
      expect(answer.status).toBe(422);
      expect(failureIn(answer).problems?.map(({ field }) => field)).toEqual([
        "metadata.name",
        "spec.address",
        "spec.use",
        "spec",
      ]);
      expect(answer.body).not.toContain(MARKER);
    });

    it("a deletion, with the Secret that nobody else refers to", async () => {
      const { metadata } = await stored();
      const usage = JSON.parse(
        (await ask(shared, "/api/registries/saved/usage", { cookie })).body,
      ) as RegistryUsage;
      expect(usage).toEqual({
        pods: null,
        secret: expect.stringMatching(/^saved-login-/) as string,
      });
      const wrong = await ask(shared, "/api/registries/saved", {
        method: "DELETE",
        cookie,
        body: { uid: "another", deleteSecret: true },
      });
      expect(wrong.status).toBe(409);
      const answer = await ask(shared, "/api/registries/saved", {
        method: "DELETE",
        cookie,
        body: { uid: metadata.uid, deleteSecret: true },
      });
      expect(answer.status).toBe(200);
      const secrets = await cluster.kubectl.run(["get", "secrets", "--namespace=pullpass", "--output=name"]);
      expect(secrets.stdout).toContain("secret/saved-login\n");
      expect(secrets.stdout).not.toContain(usage.secret);
    });
  });

  describe("says of a stuck pod", () => {
    const listAs = async (cookie: string): Promise<StuckPodList> =>
      JSON.parse((await ask(shared, "/api/stuck-pods", { cookie })).body) as StuckPodList;

    it("when the kubelet tries again, and what heal did, as Events say", async () => {
      const list = await listAs(await logIn(await tokenOf("watcher", "view", "pullpass-registry-view")));
      const rows = list.groups.flatMap(({ pods }) => pods);
      const at = rows.find(({ namespace }) => namespace === "billing")?.nextTry.at ?? 0;
      expect(at).toBeGreaterThan(Date.now());
      expect(at).toBeLessThanOrEqual(Date.now() + 300_000);
      expect(list.healed).toHaveLength(2);
      expect(list.healed).toMatchObject(
        expect.arrayContaining([
          expect.objectContaining({ namespace: "search", state: { level: "good", words: "Evicted" } }),
          expect.objectContaining({ namespace: "shop", state: { level: "quiet", words: "Left alone" } }),
        ]),
      );
      expect(list.unread.join()).not.toContain("events");
    });

    it("which right is missing for that, and what is known without it", async () => {
      await cluster.kubectl.run([
        ...["create", "clusterrole", "pods-alone", "--verb=list,watch"],
        "--resource=pods,namespaces",
      ]);
      const cookie = await logIn(await tokenOf("no-events", "pods-alone", "pullpass-registry-view"));
      const list = await listAs(cookie);
      const [row] = list.groups.flatMap(({ pods }) => pods);
      expect(row?.nextTry).toEqual({ words: "within five minutes" });
      expect(list.healed).toEqual([]);
      expect(list.unread.join()).toMatch(
        /no-events" cannot list resource "events" in API group "" in the namespace/,
      );
    });
  });

  it("explains by the mode that the cluster has, and says what was assumed", async () => {
    const explain = async (cookie: string): Promise<ExplainAnswer> => {
      const question = { image: "gcr.io/kaniko-project/executor:v1.24.0", namespace: "shop" };
      return JSON.parse((await post(shared, "/api/explain", question, cookie)).body) as ExplainAnswer;
    };
    const viewer = await logIn(await tokenOf("reader", "view", "pullpass-registry-view"));
    const assumed = await explain(viewer);
    expect(assumed.text).toContain("a pod with it in namespace shop, by the webhook");
    expect(assumed.unread).toEqual([
      "Whether Pullpass's webhook or its policy gives pods their pull secrets is not known; the webhook is assumed.",
      expect.stringContaining('cannot get resource "mutatingadmissionpolicies"'),
      expect.stringContaining('cannot get resource "mutatingwebhookconfigurations"'),
    ]);
    const admin = await logIn(await tokenOf("mode-admin", "cluster-admin"));
    expect((await explain(admin)).text).not.toContain("the mode is policy");
    const object = { apiVersion: "admissionregistration.k8s.io/v1", metadata: { name: "pullpass" } };
    await cluster.kubectl.apply({
      ...{ ...object, kind: "MutatingAdmissionPolicy" },
      spec: {
        failurePolicy: "Ignore",
        reinvocationPolicy: "IfNeeded",
        matchConstraints: {
          resourceRules: [
            { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] },
          ],
        },
        mutations: [
          {
            patchType: "JSONPatch",
            jsonPatch: { expression: '[JSONPatch{op: "test", path: "/kind", value: "Pod"}]' },
          },
        ],
      },
    });
    await cluster.kubectl.run(["delete", "mutatingwebhookconfiguration", "pullpass", "--ignore-not-found"]);
    const byPolicy = await explain(admin);
    expect(byPolicy.text).toContain("a pod with it in namespace shop, by the policy");
    expect(byPolicy.text).toContain("a policy mounts nothing, and the mode is policy");
    expect(byPolicy.unread).toEqual([]);
    await cluster.kubectl.run(["delete", "mutatingadmissionpolicy", "pullpass"]);
    expect((await explain(admin)).unread.join()).toContain("Neither Pullpass's webhook nor its policy");
  });

  it("sends headers that keep everything else out, with pages, answers and refusals alike", async () => {
    for (const path of ["/", "/app.js", "/api/session", "/nothing"]) {
      const { headers } = await ask(local, path);
      const policy = String(headers["content-security-policy"]);
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(headers).toMatchObject({
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
      });
      expect(headers["access-control-allow-origin"]).toBeUndefined();
      expect(headers["x-powered-by"]).toBeUndefined();
    }
  });

  describe("Test login", () => {
    let cookie: string;
    let session: string;
    beforeAll(async () => {
      session = await logIn(await tokenOf("tester", "cluster-admin"));
      cookie = cookieIn(await post(local, "/api/login", { key: await keyOf(local) }));
    });
    const test = async (
      running: RunningConsole,
      as: string,
      address: string,
      password = MARKER,
      image = "",
    ): Promise<TestLoginAnswer> => {
      const credentials = { type: "BasicAuth", username: USER, password };
      const answer = await post(
        running,
        "/api/test-login",
        { address, username: "", image, credentials },
        as,
      );
      expect(answer.status).toBe(200);
      expect(answer.body).not.toContain(password);
      return JSON.parse(answer.body) as TestLoginAnswer;
    };

    it("says whether the registry accepts what was typed, and never repeats it", async () => {
      expect(await test(local, cookie, `${registry.host}/team-a`)).toMatchObject({
        works: true,
        sentence: expect.stringMatching(/accepted the credentials \(basic\), \d\.\d s\.$/) as string,
      });
      expect(await test(local, cookie, registry.host, "made-up-wrong")).toEqual({
        works: false,
        sentence: `${registry.host} refused the credentials: 401 Unauthorized from ${registry.host}.`,
      });
      const pull = await test(local, cookie, registry.host, MARKER, `${registry.host}/team-a/app:v1`);
      expect(pull.sentence).toMatch(/and they may pull team-a\/app/);
      const missing = await test(local, cookie, registry.host, MARKER, `${registry.host}/team-a/app:missing`);
      expect(missing).toMatchObject({
        works: false,
        sentence: expect.stringMatching(/has no \S+\/team-a\/app:missing\.$/) as string,
      });
    });

    it.each([
      ["loopback", "127.0.0.1:6443"],
      ["loopback by another name", "localhost:6443"],
      ["loopback in IPv6", "[::1]:6443"],
      ["loopback in IPv6 as IPv4", "[::ffff:7f00:1]:6443"],
      ["cloud metadata", "169.254.169.254"],
      ["link-local in IPv6", "[fe80::1]:443"],
      ["this network", "0.0.0.0:6443"],
      ["a private network", "10.0.0.1"],
      ["a Service", "172.16.3.4:443"],
      ["a private network in IPv6", "[fd12::1]:443"],
    ])("in the cluster connects to nothing at %s", async (_, address) => {
      const { works, sentence } = await test(shared, session, address);
      expect(works).toBe(false);
      expect(sentence).toMatch(/which is not asked/);
    });

    it("follows no redirect, and speaks nothing but https", async () => {
      const { createServer } = await import("node:https");
      const { certificatePem, keyPem } = await cluster.authority.issue({
        commonName: "redirect",
        hosts: ["127.0.0.1"],
      });
      const server = createServer({ cert: certificatePem, key: keyPem }, (_, response) => {
        response.writeHead(302, { location: "/v2/elsewhere" }).end();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as { port: number };
      expect((await test(local, cookie, `127.0.0.1:${port.toString()}`)).sentence).toMatch(
        /redirects are not followed/,
      );
      server.close();
      const { createServer: createPlain } = await import("node:http");
      const asked: string[] = [];
      const plain = createPlain(({ url }, response) => {
        asked.push(url ?? "");
        response.end();
      });
      await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
      const plainPort = (plain.address() as { port: number }).port;
      expect((await test(local, cookie, `127.0.0.1:${plainPort.toString()}`)).works).toBe(false);
      expect(asked).toEqual([]);
      plain.close();
    });
  });

  it("has written no credential, key or token anywhere but where it printed its address", async () => {
    const output = (await local.output()) + (await shared.output());
    expect(output).not.toContain(MARKER);
    expect(output).not.toContain("eyJ");
    expect(output.split("\n").filter((line) => line !== "" && !line.startsWith("http"))).toEqual([]);
  });
});

interface StoredRegistry {
  readonly metadata: { readonly uid: string; readonly generation: number };
  readonly spec: Readonly<Record<string, unknown>>;
}

interface StoredSecret {
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

interface Asked {
  readonly method?: string;
  readonly cookie?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}
