/** A login that ends, in Chromium: by its time, by a logout, and with a cookie that somebody took before. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startCluster, type OwnCluster } from "../cluster/harness/cluster.ts";
import { describeLevel } from "../cluster/harness/describe-level.ts";
import { waitUntil } from "../wait-until.ts";
import { expectAccessible, keyboardOf, openBrowser } from "./browser.ts";
import { MARKER, setStage, startConsole, startRegistry, USER } from "./console-under-test.ts";
import type { Browser } from "playwright-core";

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
});
