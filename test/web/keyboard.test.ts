/** The console without a mouse: every action, with the focus in sight and where a person goes on. */
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { describeLevel } from "../cluster/harness/describe-level.ts";
import { keyboardOf } from "./browser.ts";
import { showConsole, type ConsoleInBrowser } from "./console-in-browser.ts";
import { MARKER, startConsole, USER } from "./console-under-test.ts";

await describeLevel("browser", "the console by keyboard alone", () => {
  let shown: ConsoleInBrowser;
  let page: Page;

  beforeAll(async () => {
    shown = await showConsole();
  });
  // Each has a stream of changes, of which a person has four.
  afterEach(() => Promise.all(shown.context.pages().map((each) => each.close())));
  afterAll(() => shown.close());

  /** A page on which nobody has clicked, and the keys of whoever looks at it. */
  async function open(hash: string) {
    page = await shown.open(hash);
    return keyboardOf(page);
  }
  const kubectl = (...args: readonly string[]) => shown.cluster.kubectl.run(args);
  const row = (name: string) => page.getByRole("button", { name, exact: true });

  it("a registry is created from a preset, for some namespaces, tested, and shown as YAML", async () => {
    const { host } = shown.registry;
    const { press, type, tabTo, isAt } = await open("#/registries");
    await press("n");
    await isAt("Display name");
    await type("Keyboard");
    await tabTo("Other", "Shift+Tab");
    await press("ArrowLeft");
    await isAt("Harbor");
    await page.getByText("A robot account has a user name").waitFor();
    await tabTo("Address");
    await type(`${host}/keys`);
    await tabTo("Try an image");
    await type(`${host}/keys/app`);
    await page.getByText(`covers ${host}/keys/app`).waitFor();
    await tabTo("User name and password");
    await press("ArrowRight");
    await isAt("Token");
    await press("ArrowLeft");
    await tabTo("User name");
    await type(USER);
    await tabTo("Password");
    await type(MARKER);
    await tabTo("Show password");
    await press("Space");
    await isAt("Show password");

    await tabTo(/^Which namespaces/);
    await press("Enter");
    await tabTo("All that opted in");
    await press("ArrowDown");
    await isAt("Those of them with these labels");
    await tabTo("Label 1");
    await type("team");
    await tabTo("Value 1");
    await type("a");
    await tabTo("Add a label");
    await press("Enter");
    await isAt("Label 2");
    await tabTo("Remove label 2");
    await press("Enter");
    await isAt("Add a label");
    await page.getByText("Now: billing, shop.").waitFor();

    await tabTo("Test login");
    await press("Enter");
    await page.getByText("accepted the credentials").waitFor();
    await isAt("Test login");
    await tabTo("Show YAML");
    await press("Enter");
    await page.getByText("kind: ClusterRegistry").waitFor();
    await isAt("Show YAML");
    await tabTo("Password", "Shift+Tab");
    // Enter saves, from any field.
    await press("Enter");
    await page.getByText("Registry keyboard created").waitFor();
    await isAt("Close");
    await press("Enter");
    await isAt("Keyboard");
  });

  it("a registry that is created has the focus, however late its row comes", async () => {
    const { press, type, tabTo, isAt } = await open("#/registries");
    const { promise: closed, resolve: close } = Promise.withResolvers<undefined>();
    let isHeld = false;
    // Also the answer to a question from before the save, which has the registry if the server is slow.
    await page.route("**/api/registries", async (route) => {
      if (route.request().method() !== "GET") return route.continue();
      const response = await route.fetch();
      if (isHeld) await closed;
      await route.fulfill({ response });
    });
    await page.reload();
    await row("Keyboard").waitFor();
    await press("n");
    await isAt("Display name");
    await type("Late");
    await tabTo("Address");
    await type("late.example.com");
    await tabTo("User name");
    await type(USER);
    await tabTo("Password");
    await type(MARKER);
    isHeld = true;
    await press("Enter");
    await isAt("Close");
    await press("Enter");
    await page.getByText("There is no registry late.").waitFor();
    close(undefined);
    await isAt("Late");
    // Not while a question is under way, whose answer nobody would take.
    await page.unrouteAll({ behavior: "wait" });
    await kubectl("delete", "clusterregistry", "late");
  });

  it("a form that is left gives the focus back to what opened it", async () => {
    const { press, tabTo, isAt } = await open("#/registries/keyboard");
    await tabTo("Edit");
    await press("Enter");
    await isAt("Display name");
    await press("Escape");
    await isAt("Edit");
    await press("Enter");
    await isAt("Display name");
    await tabTo("Cancel");
    await press("Enter");
    await isAt("Edit");
    await tabTo("Add registry", "Shift+Tab");
    await press("Enter");
    await isAt("Display name");
    await press("Escape");
    await isAt("Add registry");
  });

  it("a registry is found, edited and deleted, and the focus goes to the one beside it", async () => {
    const { press, type, tabTo, isAt } = await open("#/registries");
    await press("/");
    await isAt("Filter registries");
    await type("keyb");
    await tabTo("Keyboard");
    await press("Enter");
    await isAt("Keyboard");
    await tabTo("Edit");
    await press("Enter");
    await isAt("Display name");
    await type("Keys");
    await press("Enter");
    await page.getByText("Registry keyboard changed").waitFor();
    await isAt("Close");
    await press("Enter");
    await isAt("Edit");
    await row("Keys").waitFor();
    await tabTo("Delete…");
    await press("Enter");
    // Escape closes, and the focus is back where it was.
    await isAt(/^Type the name/);
    await press("Escape");
    await isAt("Delete…");
    // The browser gives the focus back a moment before it says that the dialog is closed.
    await page.locator("dialog").waitFor({ state: "detached" });
    await press("Enter");
    await isAt(/^Type the name/);
    await type("keyboard");
    await tabTo("Delete registry");
    await press("Enter");
    await row("Keys").waitFor({ state: "detached" });
    // The filter still shows what matches "keyb", which is nothing any more.
    await isAt("Filter registries");
    await type("");
    await press("Backspace");
    await row("Legacy").waitFor();
  });

  describe("a registry that somebody else deletes", () => {
    beforeEach(() =>
      shown.cluster.kubectl.apply({
        apiVersion: "pullpass.dev/v1alpha1",
        kind: "ClusterRegistry",
        metadata: { name: "goes" },
        spec: { displayName: "Goes away", address: "goes.example.com" },
      }),
    );

    it("takes the focus with it no further than the next row", async () => {
      const { tabTo, isAt } = await open("#/registries/goes");
      await tabTo("Show YAML");
      await kubectl("delete", "clusterregistry", "goes");
      await isAt("Kept by hand");
    });

    it("does so, too, while its deletion is being asked about", async () => {
      const { press, tabTo, isAt } = await open("#/registries/goes");
      await tabTo("Delete…");
      await press("Enter");
      await isAt("Cancel");
      await kubectl("delete", "clusterregistry", "goes");
      await isAt("Kept by hand");
    });
  });

  it("pages are changed, and the next Tab is in the page that came", async () => {
    const { press, tabTo, isAt } = await open("#/registries");
    await tabTo("Skip to the content");
    await press("Enter");
    await isAt("Registries");
    await tabTo("Namespaces", "Shift+Tab");
    for (const [link, title] of [
      ["Namespaces", "Namespaces"],
      [/^Stuck pods/, "Stuck pods"],
    ] as const) {
      await tabTo(link, "Shift+Tab");
      await press("Enter");
      await page.getByRole("heading", { level: 1, name: title }).waitFor();
      await isAt(title);
    }
    await tabTo("Explain", "Shift+Tab");
    await press("Enter");
    await isAt("Image");
    await tabTo("Pullpass", "Shift+Tab");
    await press("Enter");
    await isAt("Registries");
  });

  it("a namespace is found, opened, opted in and out, and the switch keeps the focus", async () => {
    const { press, type, tabTo, isAt } = await open("#/namespaces");
    await press("/");
    await isAt("Filter namespaces by name or labels");
    await type("team=b");
    await tabTo("sandbox");
    await press("Enter");
    await page.getByText("It has no pull secrets of Pullpass.").waitFor();
    await isAt("sandbox");
    await tabTo("Opt sandbox in");
    for (const isOptedIn of [true, false]) {
      await press("Space");
      await page
        .locator(`[role=switch][aria-label='Opt sandbox in'][aria-checked=${String(isOptedIn)}]`)
        .waitFor();
      await isAt("Opt sandbox in");
    }
    await press("Space");
    await page.locator("[role=switch][aria-label='Opt sandbox in'][aria-checked=true]").waitFor();
    // Of those that opted in it is gone as soon as it opted out, and the next one has the focus.
    await tabTo("opted in", "Shift+Tab");
    await Promise.all([
      page.waitForResponse((answer) => answer.url().includes("optedIn=true")),
      press("Space"),
    ]);
    await tabTo("Opt sandbox in");
    await press("Space");
    await isAt("Opt search in");
  });

  it("a cause of stuck pods leads to where it is mended", async () => {
    const { press, tabTo, isAt } = await open("#/stuck-pods");
    await page.getByRole("heading", { name: "The registry refuses the credentials" }).waitFor();
    await tabTo("Edit registry docker-hub");
    await press("Enter");
    await isAt("Display name");
    await page.getByRole("heading", { name: "Edit Docker Hub" }).waitFor();
    await press("Escape");
    await isAt(/^(?:Docker Hub|Edit)$/);
    await page.goBack();
    await page.goBack();
    await page.getByRole("heading", { name: "Stuck pods" }).waitFor();
    await tabTo("Open namespace sandbox");
    await press("Enter");
    await isAt("sandbox");
    expect(page.url()).toContain("#/namespaces/sandbox");
  });

  it("an image is explained, and its registry opened", async () => {
    const { press, type, tabTo, isAt } = await open("#/explain");
    await isAt("Image");
    await type("docker.io/my-org/web:v7");
    await tabTo("Namespace");
    await type("shop");
    await press("Enter");
    await page.getByText("pull secret pullpass-docker-hub for docker-hub").waitFor();
    await isAt("Namespace");
    await tabTo("Open registry docker-hub");
    await press("Enter");
    await isAt("Docker Hub");
  });

  it("a person logs in and out", async () => {
    const mine = await startConsole(shown.cluster, { name: "keys" });
    const own = await shown.browser.newContext();
    page = await own.newPage();
    await page.goto(mine.url);
    const { press, type, tabTo, isAt } = keyboardOf(page);
    await isAt("Address");
    await type("http://127.0.0.1/#key=wrong");
    await press("Enter");
    await page.getByText("this address was used already").waitFor();
    await isAt("Address");
    await type(await mine.address());
    await tabTo("Log in");
    await press("Enter");
    await isAt("Registries");
    await tabTo("Log out", "Shift+Tab");
    await press("Enter");
    await isAt("Address");
    await own.close();
    await mine.stop();
  });
});
