import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { MAIN } from "../cli/run-pullpass.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { startRegistries, type Credentials, type Registries } from "./harness/registries.ts";

const USER = { username: "pullpass", password: "pass:wörd@with+signs" };
const WRONG = { username: "pullpass", password: "changed-last-year" };
const EMPTY_IMAGE = { files: [], config: { Entrypoint: ["/none"] } };

interface Result {
  readonly lines: readonly string[];
  readonly status: unknown;
}

await describeLevel("registries", "check --login asks real registries", () => {
  let registries: Registries;
  let passwordHost: string;
  let tokenHost: string;

  beforeAll(async () => {
    registries = await startRegistries();
    const { passwordRegistry, tokenRegistry } = registries;
    passwordHost = passwordRegistry.host;
    tokenHost = tokenRegistry.host;
    await passwordRegistry.setUser(USER);
    await tokenRegistry.setUser(USER, (repository) => repository.startsWith("team-a/"));
    await passwordRegistry.push("team-a/app:v1", USER, EMPTY_IMAGE);
    await tokenRegistry.push("team-a/app:v1", USER, EMPTY_IMAGE);
  });
  afterAll(() => registries.stop());

  /** Runs the program with one registry of each kind, and makes sure that it gives nothing away. */
  async function check(
    credentials: Credentials,
    images: readonly string[] = [],
    environment: NodeJS.ProcessEnv = { NODE_EXTRA_CA_CERTS: registries.passwordRegistry.authorityFile },
  ): Promise<Result> {
    const auth = {
      type: "BasicAuth",
      username: credentials.username,
      passwordFrom: { env: "MADE_UP_PASSWORD" },
    };
    const configuration = {
      registries: [
        { name: "with-password", address: `${passwordHost}/team-a`, auth },
        { name: "with-token", address: tokenHost, auth },
      ],
    };
    const file = join(registries.directory, "pullpass.yaml");
    await writeFile(file, JSON.stringify(configuration));
    const flags = images.length === 0 ? [] : ["--pull", ...images];
    const child = spawn(process.execPath, [MAIN, "check", "--config", file, "--login", ...flags], {
      env: { ...environment, MADE_UP_PASSWORD: credentials.password },
    });
    const closed = once(child, "close");
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const [status] = (await closed) as readonly unknown[];
    const base64 = Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64");
    // Every token of this server is a JSON Web Token, and those begin so.
    for (const secret of [credentials.password, base64, "eyJ"]) expect(stdout + stderr).not.toContain(secret);
    expect(stderr).toBe("");
    const [summary, ...lines] = stdout.trimEnd().split("\n");
    expect(summary).toBe("2 registries, 0 errors, 0 warnings");
    return { lines, status };
  }

  it("and the right password works in both flows", async () => {
    const asked = registries.tokenRegistry.tokenRequests.length;
    expect(await check(USER)).toEqual({
      lines: [
        `with-password: ${passwordHost}/team-a: login works (basic)`,
        `with-token: ${tokenHost}: login works (token)`,
      ],
      status: 0,
    });
    expect(registries.tokenRegistry.tokenRequests.slice(asked)).toEqual([
      { method: "GET", username: "pullpass", scopes: [], status: 200 },
    ]);
  });

  it("and a wrong password is refused in both flows", async () => {
    const tokenServer = tokenHost.replace(":5000", ":5001");
    expect(await check(WRONG, [`${tokenHost}/team-a/app:v1`])).toEqual({
      lines: [
        `with-password: ${passwordHost}/team-a: refused: 401 Unauthorized from ${passwordHost}`,
        `with-token: ${tokenHost}: refused: 401 Unauthorized from the token server ${tokenServer}`,
      ],
      status: 1,
    });
  });

  it("and one repository may be pulled and another may not", async () => {
    expect(await check(USER, [`${tokenHost}/team-a/app:v1`, `${passwordHost}/team-a/app:v1`])).toEqual({
      lines: [
        `with-password: ${passwordHost}/team-a: login works (basic), may pull team-a/app`,
        `with-token: ${tokenHost}: login works (token), may pull team-a/app`,
      ],
      status: 0,
    });
    expect(await check(USER, [`${tokenHost}/team-b/app:v1`, `${tokenHost}/team-a/app:v1`])).toMatchObject({
      lines: [
        expect.anything(),
        `with-token: ${tokenHost}: login works (token), may not pull team-b/app: 401 Unauthorized from ${tokenHost}, may pull team-a/app`,
      ],
      status: 1,
    });
  });

  it("and what nobody has pushed is not there", async () => {
    expect(await check(USER, [`${tokenHost}/team-a/app:v2`, `${passwordHost}/team-a/none`])).toEqual({
      lines: [
        `with-password: ${passwordHost}/team-a: login works (basic), may pull team-a/none, where there is no latest`,
        `with-token: ${tokenHost}: login works (token), may pull team-a/app, where there is no v2`,
      ],
      status: 0,
    });
  });

  it("and pulls nothing", async () => {
    const { passwordRegistry } = registries;
    await check(USER, [`${passwordHost}/team-a/app:v1`]);
    const entries = await passwordRegistry.accessLog("team-a/app");
    const own = entries.filter(({ userAgent }) => userAgent === "pullpass");
    expect(own.length).toBeGreaterThan(0);
    expect(new Set(own.map(({ method }) => method))).toEqual(new Set(["HEAD"]));
  });

  it("and trusts only authorities that Node trusts", async () => {
    const before = (await registries.passwordRegistry.accessLog()).length;
    const reason = expect.stringMatching(/: not reached: TLS: .*NODE_EXTRA_CA_CERTS/) as string;
    expect(await check(USER, [], {})).toEqual({ lines: [reason, reason], status: 1 });
    expect(await registries.passwordRegistry.accessLog()).toHaveLength(before);
  });
});
