/** What registries say of a manifest. */
import { describe, expect, it } from "vitest";
import { ask, givesToken, needsBasic, needsToken, TOKEN } from "./ask-odd-server.ts";
import { startOddServer } from "./odd-server.ts";

async function outcomeOfPull(host: string, image: string): Promise<unknown> {
  const { pulls } = await ask(host, [image]);
  return pulls[0]?.outcome;
}

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
