/** 10,000 namespaces in Chromium, beside an API server that answers at once. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { waitUntil } from "../wait-until.ts";
import { describeLevel } from "../cluster/harness/describe-level.ts";
import { openBrowser } from "./browser.ts";
import { startFakeCluster, type FakeCluster } from "./fake-cluster.ts";

/** Half a second on a quiet machine. */
const BUSY_MACHINE_MS = 5_000;
const MAIN = join(import.meta.dirname, "../../dist/main.js");

await describeLevel("browser", "10,000 namespaces in the console", () => {
  let fake: FakeCluster;
  let directory: string;
  let browser: Browser;
  let address: string;
  let program: ReturnType<typeof spawn>;

  beforeAll(async () => {
    fake = await startFakeCluster(10_000);
    directory = await mkdtemp(join(tmpdir(), "pullpass-console-"));
    const kubeconfig = {
      ...{ apiVersion: "v1", kind: "Config", "current-context": "fake" },
      contexts: [{ name: "fake", context: { cluster: "fake", user: "fake" } }],
      clusters: [{ name: "fake", cluster: { server: fake.url, "insecure-skip-tls-verify": true } }],
      users: [{ name: "fake", user: { token: "made-up" } }],
    };
    await writeFile(join(directory, "kubeconfig"), JSON.stringify(kubeconfig));
    program = spawn(process.execPath, [MAIN, "console", `--kubeconfig=${join(directory, "kubeconfig")}`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    address = await new Promise<string>((resolve) => {
      program.stdout?.once("data", (line: Buffer) => {
        resolve(line.toString().trim());
      });
    });
    browser = await openBrowser();
  });
  afterAll(async () => {
    program.kill();
    await browser.close();
    fake.close();
    await rm(directory, { recursive: true });
  });

  it("are there at once, a hundred at a time, and are filtered as fast", async () => {
    const page = await browser.newPage();
    await page.goto(address);
    await page.getByRole("heading", { level: 1 }).waitFor();
    const startedAt = performance.now();
    await page.getByRole("link", { name: "Namespaces" }).click();
    await page.getByRole("button", { name: "namespace-00099" }).waitFor();
    const firstMs = performance.now() - startedAt;
    expect(await page.getByRole("switch").count()).toBe(100);
    await page.getByText("1–100 of 10,000").waitFor();

    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText("101–200 of 10,000").waitFor();
    const filteredAt = performance.now();
    await page.getByLabel("Filter namespaces").fill("team=team-7,pullpass.dev/inject");
    await page.getByText("namespace-00087").waitFor();
    await waitUntil("its rows", async () => (await page.getByRole("switch").count()) === 83);
    const filteredMs = performance.now() - filteredAt;
    console.log(
      `10,000 namespaces: first rows after ${firstMs.toFixed(0)} ms, filtered in ${filteredMs.toFixed(0)} ms`,
    );
    expect(Math.max(firstMs, filteredMs)).toBeLessThan(BUSY_MACHINE_MS);
  });
});
