/** What `check` says of providers, which are scripts, and of the logins with what they hand out. */
import { describe, expect, it } from "vitest";
import { checkConfiguration } from "../../src/cli/check.ts";
import { checkLogins, planPulls } from "../../src/cli/check-login.ts";
import { askProviders, providedCredentials } from "../../src/cli/check-providers.ts";
import { loadText } from "../config/load-text.ts";
import { answer, noteOf, programs } from "../providers/programs.ts";
import { startOddServer } from "../registry/odd-server.ts";

const AUTHORIZATION = `Basic ${Buffer.from("user:made-up").toString("base64")}`;

const provider = (name: string, matchImages: string) =>
  `  - { name: ${name}, apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: ["${matchImages}"], defaultCacheDuration: 1h }`;
const registry = (name: string, address: string, by: string) =>
  `  - { name: ${name}, address: "${address}", auth: { type: Provider, provider: ${by} } }`;

async function check(text: string, scripts: Readonly<Record<string, string>>) {
  const configuration = loadText(text);
  const directory = programs(scripts);
  const environment = { PATH: "/usr/bin:/bin" };
  const asked = await askProviders(configuration, { directory, environment });
  const report = checkConfiguration(configuration, environment, { asked });
  const provided = new Map(Array.from(asked, ([name, each]) => [name, providedCredentials(each)]));
  const logins = await checkLogins(configuration, planPulls([], configuration), { environment, provided });
  const shown = [...report.lines, ...logins.map((line) => line.text)];
  expect(shown.join("\n")).not.toContain("made-up");
  // The time that it took.
  const lines = shown.map((line) => line.replace(/ in \d+\.\d s/, " in N s"));
  return { lines, errorCount: report.errorCount, directory, logins };
}

describe("check", () => {
  it("runs each provider once and says what came, and whether it works", async () => {
    const { host } = await startOddServer(({ authorization }) =>
      authorization === AUTHORIZATION
        ? {}
        : { status: 401, headers: { "www-authenticate": "Basic realm=r" } },
    );
    const payload = Buffer.from(JSON.stringify({ exp: 1_900_000_000 })).toString("base64url");
    const entries = {
      [host]: { username: "user", password: "made-up" },
      [`${host}/b`]: { username: "user", password: `made-up.${payload}.signature` },
    };
    const script = `echo run >> "$0.runs"; echo '${answer({ auth: entries, cacheDuration: undefined })}'`;
    const { lines, errorCount, directory, logins } = await check(
      [
        ...["providers:", provider("vendor", host), "registries:"],
        ...[
          registry("a", host, "vendor"),
          registry("a-too", host, "vendor"),
          registry("b", `${host}/b`, "vendor"),
        ],
      ].join("\n"),
      { vendor: script },
    );
    expect(lines).toEqual([
      "warning: pullpass.yaml:5: registries[1] (a-too): a has the same address; pods get both pull secrets",
      "3 registries, 0 errors, 1 warning",
      `a: ${host}/pullpass: vendor answered in N s: 1 of 2 entries match, cacheKeyType Registry, no cacheDuration`,
      `a-too: ${host}/pullpass: vendor answered in N s: 1 of 2 entries match, cacheKeyType Registry, no cacheDuration`,
      `b: ${host}/b: vendor answered in N s: 2 of 2 entries match, cacheKeyType Registry, no cacheDuration, expires 2030-03-17T17:46:40Z`,
      `a: ${host}: login works (basic)`,
      `a-too: ${host}: login works (basic)`,
      `b: ${host}/b: refused: 401 Unauthorized from ${host}`,
    ]);
    expect(errorCount).toBe(0);
    expect(logins.map(({ isFailure }) => isFailure)).toEqual([false, false, true]);
    expect(noteOf(directory, "vendor", "runs")).toBe("run\nrun\n");
  });

  it("says what is wrong, and what is doubtful", async () => {
    const { lines, errorCount } = await check(
      [
        ...[
          "providers:",
          provider("broken", "a.com"),
          provider("missing", "b.com"),
          provider("narrow", "*.c.com"),
        ],
        ...["registries:", registry("a", "a.com/team", "broken"), registry("b", "b.com", "missing")],
        `  - { name: c, address: "*.c.com", hosts: [x.c.com, y.c.com], use: [pull], auth: { type: Provider, provider: narrow } }`,
      ].join("\n"),
      {
        broken: "echo made-up >&2; exit 7",
        narrow: `grep -q x.c.com || exit 1; echo '${answer({
          auth: { "*.c.com": { username: "user", password: "made-up" } },
          ...{ cacheKeyType: "Image", cacheDuration: "90m30s" },
        })}'`,
      },
    );
    expect(lines.slice(0, -4)).toEqual([
      "error: pullpass.yaml:6: registries[0] (a).auth.provider: provider broken exited with 7",
      "error: pullpass.yaml:7: registries[1] (b).auth.provider: provider missing is not in the directory of the programs",
      "error: pullpass.yaml:8: registries[2] (c).auth.provider: provider narrow exited with 1",
      "warning: pullpass.yaml:8: registries[2] (c).auth.provider: the answer of provider narrow is for one image alone (cacheKeyType Image), and the address covers more",
      "3 registries, 3 errors, 1 warning",
    ]);
    expect(lines.slice(-4, -1)).toEqual([
      "c: x.c.com/pullpass: narrow answered in N s: 1 of 1 entry matches, cacheKeyType Image, cacheDuration 1h30m30s",
      "a: a.com/team: not asked: its provider handed out no credentials",
      "b: b.com: not asked: its provider handed out no credentials",
    ]);
    expect(errorCount).toBe(3);
  });
});
