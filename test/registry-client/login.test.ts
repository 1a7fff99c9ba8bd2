/** Registries and token servers that answer oddly, over real connections. */
import { globalAgent } from "node:https";
import { beforeAll, describe, expect, it } from "vitest";
import { parseImageReference } from "../../src/core/image-reference.ts";
import { findEndpoint } from "../../src/registry-client/endpoint.ts";
import { checkLogin, type LoginReport } from "../../src/registry-client/login.ts";
import { makeSelfSignedCertificate } from "../../src/tls/self-signed.ts";
import { startOddServer, type OddServer, type Received, type Reply } from "./odd-server.ts";

const CREDENTIAL = { username: "made-up-user", password: "made-up:pässword" };
const BASIC = `Basic ${Buffer.from("made-up-user:made-up:pässword").toString("base64")}`;
const TOKEN = "made-up-token";

/** What is in no report, whatever a server does with it. */
const SECRETS = [
  CREDENTIAL.password,
  BASIC.slice("Basic ".length),
  TOKEN,
  encodeURIComponent(CREDENTIAL.password),
];

async function ask(host: string, images: readonly string[] = [], timeoutMs?: number): Promise<LoginReport> {
  const references = images.map((image) => parseImageReference(`${host}/${image}`));
  const report = await checkLogin({ authority: host, credential: CREDENTIAL, images: references }, timeoutMs);
  for (const secret of SECRETS) expect(JSON.stringify(report)).not.toContain(secret);
  return report;
}

async function outcomeOfPull(host: string, image: string): Promise<unknown> {
  const { pulls } = await ask(host, [image]);
  return pulls[0]?.outcome;
}

const unauthorized = (challenge: string | string[]): Reply => ({
  status: 401,
  headers: { "www-authenticate": challenge },
});

const needsBasic = ({ authorization }: Received): Reply =>
  authorization === BASIC ? {} : unauthorized('Basic realm="r"');

/** A token server that gives the token to everybody. */
const givesToken = (): Reply => ({ body: JSON.stringify({ token: TOKEN }) });

/** A registry that sends clients to a token server, and lets in whoever has its token. */
const needsToken =
  (realm: string, parameters = "") =>
  ({ authorization }: Received): Reply =>
    authorization === `Bearer ${TOKEN}` ? {} : unauthorized(`Bearer realm="${realm}"${parameters}`);

const authorizations = ({ received }: OddServer): readonly unknown[] =>
  received.map(({ authorization }) => authorization);

let tls: { readonly certificate: string; readonly privateKey: string };

beforeAll(async () => {
  tls = await makeSelfSignedCertificate(["127.0.0.1"], new Date());
  // What NODE_EXTRA_CA_CERTS does at the start of a process; the test of the program sets that.
  globalAgent.options.ca = [tls.certificate];
});

describe("a password", () => {
  it("works, and is given only once it was asked for", async () => {
    const registry = await startOddServer(needsBasic, { tls });
    expect(await ask(registry.host)).toEqual({ login: { kind: "works", flow: "basic" }, pulls: [] });
    expect(registry.received.map(({ path }) => path)).toEqual(["/v2/", "/v2/"]);
    expect(authorizations(registry)).toEqual([undefined, BASIC]);
  });

  it.each([
    [401, "401 Unauthorized"],
    [403, "403 Forbidden"],
  ])("is refused with %i, and nothing is pulled", async (status, words) => {
    const registry = await startOddServer(({ authorization }) => ({
      status: authorization === undefined ? 401 : status,
      headers: { "www-authenticate": "Basic realm=r", "x-echo": authorization ?? "" },
      body: authorization ?? "",
    }));
    const reason = `${words} from ${registry.host}`;
    expect(await ask(registry.host, ["app"])).toEqual({ login: { kind: "refused", reason }, pulls: [] });
    expect(registry.received).toHaveLength(2);
  });

  it("is not given to a registry that asks for none", async () => {
    const registry = await startOddServer(() => ({}));
    expect(await ask(registry.host, ["app"])).toMatchObject({
      login: { kind: "asks-for-none" },
      pulls: [{ outcome: { kind: "allowed" } }],
    });
    expect(authorizations(registry)).toEqual([undefined, undefined]);
  });

  it("does not follow a redirect to another host", async () => {
    const other = await startOddServer(() => ({}));
    const registry = await startOddServer(({ authorization }) =>
      authorization === undefined
        ? unauthorized("Basic realm=r")
        : { status: 307, headers: { location: `${other.url}/v2/?echo=${authorization}` } },
    );
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `${registry.host} redirects to another host, where credentials do not follow`,
    });
    expect(other.received).toEqual([]);
  });

  it("follows a redirect within the host", async () => {
    const registry = await startOddServer((request) =>
      request.path === "/v2/" ? { status: 308, headers: { location: "/registry/v2/" } } : needsBasic(request),
    );
    expect((await ask(registry.host)).login).toEqual({ kind: "works", flow: "basic" });
  });

  it.each([
    ["/v2/", "answers with one redirect after the other"],
    ["https://", "redirects to another host, where credentials do not follow"],
    ["", "answers with one redirect after the other"],
  ])("goes nowhere with a redirect to %j", async (location, reason) => {
    const registry = await startOddServer(() => ({ status: 302, headers: { location } }));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `${registry.host} ${reason}`,
    });
    expect(registry.received.length).toBeLessThanOrEqual(4);
  });
});

describe("a token", () => {
  it("is fetched of a server on another host, which alone gets the password", async () => {
    const tokenServer = await startOddServer(givesToken, { tls });
    const registry = await startOddServer(
      needsToken(`${tokenServer.url}/token?x=1`, ',service="the registry",scope="s"'),
      {
        tls,
      },
    );
    expect((await ask(registry.host)).login).toEqual({ kind: "works", flow: "token" });
    expect(authorizations(registry)).toEqual([undefined, `Bearer ${TOKEN}`]);
    expect(tokenServer.received).toMatchObject([
      { method: "GET", path: "/token?x=1&service=the+registry&account=made-up-user", authorization: BASIC },
    ]);
  });

  it.each([
    ["token", { token: TOKEN }],
    ["access_token", { access_token: TOKEN }],
    ["both, of which access_token counts", { token: "made-up", access_token: TOKEN }],
    ["an empty one of the two", { token: TOKEN, access_token: "" }],
  ])("comes as %s", async (_, answer) => {
    const tokenServer = await startOddServer(() => ({ body: JSON.stringify(answer) }));
    const registry = await startOddServer(needsToken(tokenServer.url));
    expect((await ask(registry.host)).login).toEqual({ kind: "works", flow: "token" });
  });

  it("comes before a password where both will do", async () => {
    const tokenServer = await startOddServer(givesToken);
    const registry = await startOddServer(({ authorization }) =>
      authorization === `Bearer ${TOKEN}`
        ? {}
        : unauthorized(["Basic realm=r", `Bearer realm="${tokenServer.url}"`]),
    );
    expect((await ask(registry.host)).login).toEqual({ kind: "works", flow: "token" });
    expect(authorizations(registry)).not.toContain(BASIC);
  });

  it("is refused by the token server", async () => {
    const tokenServer = await startOddServer(({ authorization }) => ({
      status: 401,
      body: authorization ?? "",
    }));
    const registry = await startOddServer(needsToken(tokenServer.url));
    expect((await ask(registry.host)).login).toEqual({
      kind: "refused",
      reason: `401 Unauthorized from the token server ${tokenServer.host}`,
    });
  });

  it("is refused by the registry", async () => {
    const tokenServer = await startOddServer(givesToken);
    const registry = await startOddServer(() => unauthorized(`Bearer realm="${tokenServer.url}"`));
    expect((await ask(registry.host)).login).toEqual({
      kind: "refused",
      reason: `401 Unauthorized from ${registry.host}`,
    });
  });

  it.each([
    ["is not JSON", { body: "made-up-token" }, "answers without a token"],
    ["is null", { body: "null" }, "answers without a token"],
    ["holds none", { body: "{}" }, "answers without a token"],
    ["holds a number", { body: '{"token": 1}' }, "answers without a token"],
    ["would add a header", { body: JSON.stringify({ token: "x\r\ny: z" }) }, "answers without a token"],
    [
      "is too long",
      { body: JSON.stringify({ token: "x".repeat(1024 * 1024) }) },
      "answers with more than 256 KiB",
    ],
    ["is a fault", { status: 500, body: TOKEN }, "answers 500 Internal Server Error"],
    ["has a status that nobody knows", { status: 599 }, "answers 599"],
  ])("is not there if the answer %s", async (_, reply, reason) => {
    const tokenServer = await startOddServer(() => reply);
    const registry = await startOddServer(needsToken(tokenServer.url));
    const { login } = await ask(registry.host);
    expect(login).toMatchObject({ kind: "unusable-answer" });
    expect(login).toHaveProperty(
      "reason",
      expect.stringMatching(new RegExp(`${tokenServer.host} ${reason}$`)),
    );
    expect(registry.received).toHaveLength(1);
  });

  it("is not fetched over http for a registry that speaks https", async () => {
    const tokenServer = await startOddServer(givesToken);
    const registry = await startOddServer(needsToken(tokenServer.url), { tls });
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `the token server ${tokenServer.host} is not asked over https, so credentials were not sent to it`,
    });
    expect(tokenServer.received).toEqual([]);
  });

  it("is not fetched over http from another machine", async () => {
    const registry = await startOddServer(needsToken("http://auth.example.com/token"));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: "the token server auth.example.com is not asked over https, so credentials were not sent to it",
    });
  });

  it("is not fetched where a token server redirects to another host", async () => {
    const other = await startOddServer(givesToken, { tls });
    const tokenServer = await startOddServer(({ authorization = "" }) => ({
      status: 302,
      headers: { location: `${other.url}/${authorization}` },
    }));
    const registry = await startOddServer(needsToken(tokenServer.url));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `${tokenServer.host} redirects to another host, where credentials do not follow`,
    });
    expect(other.received).toEqual([]);
  });
});

describe("a challenge that nothing can be done with", () => {
  it.each([
    ["none", [], "asks neither for Basic nor for Bearer"],
    ["another scheme", "Negotiate", "asks neither for Basic nor for Bearer"],
    ["a broken one", 'Basic realm="r', "breaks the rules of RFC 9110"],
    ["Bearer without a realm", "Bearer service=x", "names no token server"],
    ["Bearer whose realm is no URL", 'Bearer realm="the registry"', "names no token server"],
    ["Bearer whose realm is a file", 'Bearer realm="file:///etc/passwd"', "not asked over https"],
  ])("is named: %s", async (_, challenge, reason) => {
    const registry = await startOddServer(() => unauthorized(challenge));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: expect.stringContaining(reason) as string,
    });
    expect(authorizations(registry)).toEqual([undefined]);
  });

  it("does not let a realm say who we are", async () => {
    const tokenServer = await startOddServer(givesToken);
    const registry = await startOddServer(needsToken(tokenServer.url.replace("//", "//someone:else@")));
    await ask(registry.host);
    expect(authorizations(tokenServer)).toEqual([BASIC]);
  });
});

describe("what answers", () => {
  it.each([
    [404, "404 Not Found"],
    [403, "403 Forbidden"],
    [503, "503 Service Unavailable"],
  ])("%i to the first request is no registry that works", async (status, words) => {
    const registry = await startOddServer(() => ({ status }));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `${registry.host} answers ${words} to GET /v2/`,
    });
  });

  it.each([
    ["nothing", undefined],
    ["half a body", { body: "{", hangs: true }],
  ])("with %s in time was not reached", async (_, reply) => {
    const registry = await startOddServer(() => reply);
    expect((await ask(registry.host, [], 200)).login).toEqual({
      kind: "not-reached",
      reason: `no answer from ${registry.host} within 0.2 s`,
    });
  });

  it("without an end is not read to the end", async () => {
    const registry = await startOddServer(() => ({ body: "x".repeat(300 * 1024), hangs: true }));
    expect((await ask(registry.host)).login).toEqual({
      kind: "unusable-answer",
      reason: `${registry.host} answers with more than 256 KiB`,
    });
  });

  it("with a certificate that is not trusted gets nothing", async () => {
    const stranger = await makeSelfSignedCertificate(["127.0.0.1"], new Date());
    const registry = await startOddServer(needsBasic, { tls: stranger });
    expect((await ask(registry.host)).login).toEqual({
      kind: "not-reached",
      reason: expect.stringMatching(/^TLS: self-signed certificate; NODE_EXTRA_CA_CERTS/) as string,
    });
    expect(registry.received).toEqual([]);
  });

  it("with a certificate for another name gets nothing", async () => {
    const registry = await startOddServer(needsBasic, { tls });
    expect((await ask(registry.host.replace("127.0.0.1", "localhost"))).login).toEqual({
      kind: "not-reached",
      reason: expect.stringMatching(/^TLS: Hostname\/IP does not match/) as string,
    });
    expect(registry.received).toEqual([]);
  });

  it.skipIf(process.platform !== "linux")(
    "in plain HTTP at another address than this machine's gets nothing",
    async () => {
      const registry = await startOddServer(needsBasic, { hostname: "127.0.0.2" });
      expect((await ask(registry.host)).login).toEqual({
        kind: "not-reached",
        reason: "TLS: what answers does not speak it",
      });
      expect(registry.received).toEqual([]);
    },
  );

  it("is nothing where nobody listens", async () => {
    expect((await ask("127.0.0.1:1")).login).toEqual({
      kind: "not-reached",
      reason: "connect ECONNREFUSED 127.0.0.1:1",
    });
    expect((await ask("localhost:1")).login).toEqual({
      kind: "not-reached",
      reason: expect.stringContaining("connect ECONNREFUSED 127.0.0.1:1") as string,
    });
  });

  it("is nothing where nobody can be", async () => {
    expect((await checkLogin({ authority: "host:99999", credential: CREDENTIAL, images: [] })).login).toEqual(
      {
        kind: "unusable-answer",
        reason: "host:99999 is no host that could be asked",
      },
    );
  });

  it("for Docker Hub is another host than the one in its images' names", async () => {
    const { url } = await findEndpoint("docker.io", () =>
      Promise.resolve({ status: 200, authenticate: undefined, body: "" }),
    );
    expect(url.href).toBe("https://registry-1.docker.io/v2/");
  });
});

/*
 * HEAD of the manifest without credentials, with credentials -> outcome
 */
describe("whether an image may be pulled", () => {
  it.each([
    [200, undefined, { kind: "allowed" }],
    [404, undefined, { kind: "not-there" }],
    [401, 200, { kind: "allowed" }],
    [401, 404, { kind: "not-there" }],
    [401, 401, { kind: "refused", reason: expect.stringContaining("401 Unauthorized") as string }],
    [401, 403, { kind: "refused", reason: expect.stringContaining("403 Forbidden") as string }],
    [401, 429, { kind: "unusable-answer", reason: expect.stringContaining("429 Too Many") as string }],
  ])("%s, then %s", async (first, second, outcome) => {
    const registry = await startOddServer((request) => {
      if (request.path === "/v2/") return needsBasic(request);
      const status = request.authorization === undefined ? first : second;
      return { status: status ?? 500, headers: { "www-authenticate": "Basic realm=r" } };
    });
    expect(await outcomeOfPull(registry.host, "team-a/app:v1")).toEqual(outcome);
    expect(registry.received.slice(2).map(({ method, path }) => `${method} ${path}`)).toEqual(
      Array(second === undefined ? 1 : 2).fill("HEAD /v2/team-a/app/manifests/v1"),
    );
  });

  it("is asked with what a container runtime accepts, by digest before tag before latest", async () => {
    const registry = await startOddServer(() => ({}));
    const digest = `sha256:${"0".repeat(64)}`;
    await ask(registry.host, ["app", "app:v1", `app:v1@${digest}`]);
    expect(registry.received.slice(1).map(({ path }) => path)).toEqual(
      ["latest", "v1", digest].map((version) => `/v2/app/manifests/${version}`),
    );
    expect(registry.received[1]?.accept).toContain("application/vnd.oci.image.index.v1+json");
  });

  it("is not said by a token that allows nothing, but by the registry", async () => {
    const tokenServer = await startOddServer(({ path }) => ({
      body: JSON.stringify({ token: path.includes("team-b") ? "made-up-empty" : TOKEN }),
    }));
    const registry = await startOddServer(needsToken(tokenServer.url));
    const { login, pulls } = await ask(registry.host, ["team-a/app", "team-b/app"]);
    expect(login).toEqual({ kind: "works", flow: "token" });
    expect(pulls.map(({ outcome }) => outcome.kind)).toEqual(["allowed", "refused"]);
    expect(
      tokenServer.received.map(({ path }) => new URL(path, "http://x").searchParams.get("scope")),
    ).toEqual([null, "repository:team-a/app:pull", "repository:team-b/app:pull"]);
  });

  it("can be refused by the token server", async () => {
    const tokenServer = await startOddServer((request) =>
      request.path.includes("scope") ? { status: 403 } : givesToken(),
    );
    const registry = await startOddServer(needsToken(tokenServer.url));
    expect(await outcomeOfPull(registry.host, "app")).toEqual({
      kind: "refused",
      reason: `403 Forbidden from the token server ${tokenServer.host}`,
    });
  });
});
