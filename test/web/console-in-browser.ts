/** A cluster with a Pullpass, the console beside it, and somebody who is logged in, in Chromium. */
import type { Browser, BrowserContext, Page } from "playwright-core";
import { expect } from "vitest";
import { startCluster, type Cluster } from "../cluster/harness/cluster.ts";
import { openBrowser, record, type Record } from "./browser.ts";
import {
  setStage,
  startConsole,
  startRegistry,
  type FakeRegistry,
  type RunningConsole,
} from "./console-under-test.ts";

export interface ConsoleInBrowser {
  readonly cluster: Cluster;
  readonly registry: FakeRegistry;
  readonly running: RunningConsole;
  readonly browser: Browser;
  /** Logged in. */
  readonly context: BrowserContext;
  /** What its pages said, asked and were answered. */
  readonly seen: Record;
  open(hash: string, where?: BrowserContext): Promise<Page>;
  close(): Promise<void>;
}

export async function showConsole(): Promise<ConsoleInBrowser> {
  const cluster = await startCluster();
  const registry = await startRegistry(cluster, 15);
  const { replica } = await setStage(cluster, registry.host);
  const running = await startConsole(cluster, {
    flags: ["--test-login-allow=127.0.0.0/8", "--cluster-name=prod-eu"],
  });
  const browser = await openBrowser();
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(10_000);
  const seen = record(context);
  const first = await context.newPage();
  await first.goto(await running.address());
  await first.getByRole("heading", { name: "Registries" }).waitFor();
  // The key is of no use any more, and is not left in the address or the history.
  expect(first.url()).toBe(`${running.url}/`);
  await first.close();
  return {
    ...{ cluster, registry, running, browser, context, seen },
    async open(hash, where = context) {
      const page = await where.newPage();
      await page.goto(`${running.url}/${hash}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      // The title is there at once, what the keys go to with the list.
      await page.getByText("Loading…").waitFor({ state: "detached" });
      return page;
    },
    async close() {
      await browser.close();
      await Promise.all([running.stop(), replica.stop()]);
      registry.close();
      await cluster.stop();
    },
  };
}
