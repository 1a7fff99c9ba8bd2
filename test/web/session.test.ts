/** A login that ends, in Chromium: by its time, by a logout, and with a cookie that somebody took before. */
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type OwnCluster } from "../cluster/harness/cluster.ts";
import { describeLevel } from "../cluster/harness/describe-level.ts";
import { clusterRegistry } from "../cluster/harness/registry-objects.ts";
import { waitUntil } from "../wait-until.ts";
import { expectAccessible, keyboardOf, openBrowser } from "./browser.ts";
import {
  MARKER,
  setStage,
  startConsole,
  startRegistry,
  USER,
  type RunningConsole,
} from "./console-under-test.ts";

/** The shortest that an admin may choose. */
const LIFETIME_MS = 10_000;

await describeLevel("browser", "a login to the console", () => {
  let cluster: OwnCluster;
  let browser: Browser;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    cluster = await startCluster();
    const registry = await startRegistry(cluster, 15);
    const { replica } = await setStage(cluster, registry.host);
    browser = await openBrowser();
    stop = async () => {
      await replica.stop();
      registry.close();
    };
  });
  afterAll(async () => {
    await browser.close();
    await stop();
    await cluster.stop();
  });

  const ended = (page: Page) => page.getByRole("heading", { name: "Your session has ended" });

  it("ends when its time is up, asks for another one, and loses nothing that was typed", async () => {
    const running = await startConsole(cluster, { name: "short", flags: ["--session-lifetime=10s"] });
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(await running.address());
    await page.getByRole("heading", { name: "Registries" }).waitFor();
    const startedAt = performance.now();
    const [cookie] = await context.cookies();
    expect((cookie?.expires ?? 0) * 1_000 - Date.now()).toBeLessThanOrEqual(LIFETIME_MS);
    const { press, type, tabTo, isAt } = keyboardOf(page);
    await press("n");
    await isAt("Display name");
    await type("Half typed");
    await tabTo("Address");
    await type("half.example.com");
    await tabTo("User name");
    await type(USER);
    await tabTo("Password");
    await type(MARKER);
    await ended(page).waitFor({ timeout: LIFETIME_MS + 5_000 });
    expect(performance.now() - startedAt).toBeGreaterThan(LIFETIME_MS - 1_000);
    await isAt("Address");
    await expectAccessible(page, "the login over a form");
    // The stream of changes and every request are refused, not only what the page shows.
    expect(await page.evaluate<number>("fetch('/api/registries').then(({ status }) => status)")).toBe(401);
    await type(await running.address());
    await press("Enter");
    await ended(page).waitFor({ state: "detached" });
    // Where somebody was typing.
    await isAt("Password");
    expect(await page.getByLabel("Display name").inputValue()).toBe("Half typed");
    expect(await page.getByLabel("Password", { exact: true }).inputValue()).toBe(MARKER);
    await press("Enter");
    await page.getByText("Registry half-typed created").waitFor();
    await context.close();
    await running.stop();
  });

  it("ends with a logout in every page of it, and for whoever took its cookie", async () => {
    const running = await startConsole(cluster, { name: "stolen" });
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(await running.address());
    await page.getByRole("link", { name: "Add registry" }).click();
    await page.getByLabel("Display name").fill("Half typed");
    const taken = await context.cookies();
    const thief = await browser.newContext();
    await thief.addCookies(taken);
    const watching = await thief.newPage();
    await watching.goto(`${running.url}/#/registries`);
    // It is as good as the cookie of its owner, until then.
    await watching.getByRole("button", { name: "Docker Hub" }).waitFor();

    const other = await context.newPage();
    await other.goto(running.url);
    await other.getByRole("button", { name: "Log out" }).click();
    await other.getByLabel("Address").waitFor();
    await ended(page).waitFor();
    await ended(watching).waitFor();
    const paths = ["/api/session", "/api/registries", "/api/stuck-pods", "/api/changes"];
    const statuses = await watching.evaluate<readonly number[]>(
      `Promise.all(${JSON.stringify(paths)}.map((path) => fetch(path).then(({ status }) => status)))`,
    );
    expect(statuses).toEqual(paths.map(() => 401));
    await watching.reload();
    await watching.getByRole("button", { name: "Log in" }).waitFor();
    expect(await watching.content()).not.toContain("Docker Hub");
    // Nor is anything left behind for whoever goes back.
    await other.goBack().catch(() => null);
    await other.goto(running.url);
    await other.getByRole("button", { name: "Log in" }).waitFor();
    expect(await other.content()).not.toContain("Docker Hub");

    // The owner goes on with another login, which the old cookie does not open.
    await page
      .getByLabel("Address")
      .last()
      .fill(await running.address());
    await page.getByRole("button", { name: "Log in" }).click();
    await ended(page).waitFor({ state: "detached" });
    expect(await page.getByLabel("Display name").inputValue()).toBe("Half typed");
    await waitUntil("another cookie", async () => {
      const [now] = await context.cookies();
      return now !== undefined && now.value !== taken[0]?.value;
    });
    expect(await watching.evaluate<number>("fetch('/api/session').then(({ status }) => status)")).toBe(401);
    await thief.close();
    await context.close();
    await running.stop();
  });

  describe("that ended", () => {
    let running: RunningConsole;
    let context: BrowserContext;
    let page: Page;
    beforeAll(async () => {
      running = await startConsole(cluster, { name: "again" });
      context = await browser.newContext();
      page = await context.newPage();
      await page.goto(await running.address());
      await page.getByRole("heading", { name: "Registries" }).waitFor();
    });
    afterAll(async () => {
      await context.close();
      await running.stop();
    });

    const logOut = (where: Page) =>
      where.evaluate(
        'fetch("/api/logout", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" })',
      );
    /** What a browser does when somebody goes to another tab, and comes back. */
    const show = (isShown: boolean) =>
      page.evaluate(`
        Object.defineProperty(document, "hidden", { configurable: true, value: ${String(!isShown)} });
        document.dispatchEvent(new Event("visibilitychange"));
        ${isShown ? 'window.dispatchEvent(new Event("focus"));' : ""}
      `);
    const rename = (displayName: string) =>
      cluster.kubectl.apply(clusterRegistry("legacy", { displayName, address: "old.example.com" }));

    it("is followed by another one in the same tab, by the address of the terminal, with the page as it was", async () => {
      await page.goto(`${running.url}/#/registries/legacy/edit`);
      await page.getByLabel("Display name").fill("Half typed");
      await logOut(page);
      await ended(page).waitFor();
      const address = await running.address();
      await page.evaluate(`location.href = ${JSON.stringify(address)}`);
      await ended(page).waitFor({ state: "detached" });
      expect(page.url()).toBe(`${running.url}/#/registries/legacy/edit`);
      expect(await page.getByLabel("Display name").inputValue()).toBe("Half typed");
      // One that was used is taken from the address, too, and the session goes on.
      await page.evaluate(`location.href = ${JSON.stringify(address)}`);
      await waitUntil("no key", () => Promise.resolve(!page.url().includes("key=")));
      expect(await page.getByLabel("Display name").inputValue()).toBe("Half typed");
      expect(await page.evaluate<number>("fetch('/api/session').then(({ status }) => status)")).toBe(200);
      await page.getByRole("button", { name: "Cancel" }).click();
    });

    it("is followed by another one with the page up to date", async () => {
      await page.goto(`${running.url}/#/registries`);
      await page.getByRole("button", { name: "Legacy", exact: true }).waitFor();
      const numbers = await page.evaluate<string>(
        `new Promise((resolve) => {
          const source = new EventSource("/api/changes");
          source.onmessage = ({ data }) => {
            source.close();
            resolve(data);
          };
        })`,
      );
      await logOut(page);
      await ended(page).waitFor();
      // Each session counts from zero, and may come to the same numbers.
      await page.route("**/api/changes", (route) =>
        route.fulfill({ contentType: "text/event-stream", body: `data: ${numbers}\n\n` }),
      );
      await rename("Renamed meanwhile");
      await page.getByLabel("Address").fill(await running.address());
      await page.getByRole("button", { name: "Log in" }).click();
      await ended(page).waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Renamed meanwhile" }).waitFor();
      await page.unroute("**/api/changes");
    });

    it("while nobody saw the page says so, and goes on with the login of another tab", async () => {
      await show(false);
      await logOut(page);
      await show(true);
      await ended(page).waitFor();
      await show(false);
      const other = await context.newPage();
      await other.goto(await running.address());
      await other.getByRole("heading", { name: "Registries" }).waitFor();
      await rename("Renamed again");
      await show(true);
      await ended(page).waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Renamed again" }).waitFor();
      await other.close();
    });
  });
});
