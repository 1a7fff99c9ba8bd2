/** What the README and the pages in docs/ show is what the commands print. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { Metrics } from "../src/telemetry/metrics.ts";

const ROOT = path.join(import.meta.dirname, "..");

interface Example {
  readonly command: string;
  readonly output: string;
}

/** Every block of a console with one command. */
function examplesIn(markdown: string): readonly Example[] {
  return [...markdown.matchAll(/^```console\n\$ (.+)\n([^]*?)^```/gm)].map(
    ([, command = "", output = ""]) => ({ command, output }),
  );
}

/** A pattern for the output, in which `...` stands for anything, and times and free ports for any other. */
function patternFor(output: string): RegExp {
  const escaped = output.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const loose = escaped
    .replaceAll(String.raw`\.\.\.`, "[^]*?")
    .replaceAll(/\d+\\\.\d+ ms/g, String.raw`\d+\.\d+ ms`)
    .replaceAll(/127\\\.0\\\.0\\\.1:\d{5}\b/g, String.raw`127\.0\.0\.1:\d+`);
  return new RegExp(`^${loose}$`);
}

const PAGES = [
  "README.md",
  ...readdirSync(path.join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

describe("the documentation", () => {
  const examples = PAGES.flatMap((page) => examplesIn(readFileSync(path.join(ROOT, page), "utf8")));

  it("has every metric that the program exports, and no other", async () => {
    const metrics = new Metrics();
    // The gauge of the authority is there only where the authority is ours.
    metrics.setCertificateExpiry(new Date(), new Date());
    metrics.forCluster().observe(() => ({
      copies: 0,
      queueDepth: 0,
      blockedNamespaces: 0,
      isLeading: false,
      unreadableSources: new Set(),
      credentialExpiries: new Map(),
      watchAgesSeconds: new Map(),
      stuckPods: new Map(),
    }));
    const exported = [...(await metrics.render()).matchAll(/^# TYPE (pullpass_\w+)/gm)].map(
      ([, name]) => name,
    );
    const operations = readFileSync(path.join(ROOT, "docs/operations.md"), "utf8");
    const described = [...operations.matchAll(/^\| `(pullpass_\w+)`/gm)].map(([, name]) => name);
    expect(described.toSorted()).toEqual(exported.toSorted());
  });

  it("opens with the demo and the tests", () => {
    expect(examples.slice(0, 2).map(({ command }) => command)).toEqual([
      "npm ci && npm run demo",
      "npm ci && npm test",
    ]);
  });

  // This very run is the second example.
  it.each(examples.filter(({ command }) => command !== "npm ci && npm test"))(
    "shows what $command prints",
    ({ command, output }) => {
      // What is installed and built stays as it is while the tests run.
      const shell = command.replace("npm ci && npm run demo", "node test/demo/demo.ts");
      const { stdout } = spawnSync("bash", ["-c", `{ ${shell}; } 2>&1`], { cwd: ROOT, encoding: "utf8" });
      expect(stdout).toMatch(patternFor(output));
    },
  );

  it.each(PAGES)("%s links to files that are there", (page) => {
    const text = readFileSync(path.join(ROOT, page), "utf8");
    const links = [...text.matchAll(/\]\(([^)#]+)/g)].map(([, link = ""]) => link);
    const missing = links.filter(
      (link) => !link.startsWith("https://") && !existsSync(path.join(ROOT, path.dirname(page), link)),
    );
    expect(missing).toEqual([]);
  });

  it("has a README of at most 150 lines", () => {
    expect(readFileSync(path.join(ROOT, "README.md"), "utf8").split("\n").length).toBeLessThanOrEqual(150);
  });
});
