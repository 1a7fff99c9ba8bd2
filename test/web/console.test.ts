/** The console's pages in Chromium, beside a real API server: each action by mouse, and each attack. */
import { createServer } from "node:http";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Cluster } from "../cluster/harness/cluster.ts";
import { describeLevel } from "../cluster/harness/describe-level.ts";
import { waitUntil } from "../wait-until.ts";
import { expectAccessible, FOCUSED_NAME } from "./browser.ts";
import { showConsole, type ConsoleInBrowser } from "./console-in-browser.ts";
import { MARKER, startConsole, USER, type FakeRegistry, type RunningConsole } from "./console-under-test.ts";

/** Under 60 KB before compression: most of a page is not its code. */
const MAX_SCRIPT_BYTES = 60_000;

await describeLevel("browser", "the console's pages", () => {
  let shown: ConsoleInBrowser;
  let cluster: Cluster;
  let registry: FakeRegistry;
  let running: RunningConsole;
  let browser: Browser;
  let context: BrowserContext;

  beforeAll(async () => {
    shown = await showConsole();
    ({ cluster, registry, running, browser, context } = shown);
  });
  afterEach(() => Promise.all(context.pages().map((page) => page.close())));
  afterAll(() => shown.close());

  const open = (hash: string, where?: BrowserContext): Promise<Page> => shown.open(hash, where);
  const kubectl = (...args: readonly string[]) => cluster.kubectl.run(args);
  const row = (page: Page, name: string) =>
    page.getByRole("row").filter({ has: page.getByRole("button", { name, exact: true }) });
  const stored = (name: string) =>
    cluster.kubectl.json<{ readonly spec: { readonly address: string; readonly displayName?: string } }>(
      "get",
      "clusterregistry",
      name,
    );

  /** Every page and every dialog, by what brings it up. */
  const STATES: readonly (readonly [string, string, (page: Page) => Promise<unknown>])[] = [
    ["registries", "#/registries", (page) => row(page, "Docker Hub").waitFor()],
    [
      "an open registry",
      "#/registries/legacy",
      (page) => page.getByText("Secret pullpass/legacy-login does not exist.").first().waitFor(),
    ],
    [
      "its YAML",
      "#/registries/my-org",
      async (page) => {
        await page.getByRole("button", { name: "Show YAML" }).click();
        await page.getByText("kind: ClusterRegistry").waitFor();
      },
    ],
    ["a new registry", "#/registries//new", (page) => page.getByLabel("Address").waitFor()],
    [
      "a form with errors",
      "#/registries//new",
      async (page) => {
        await page.getByText("Which namespaces").click();
        await page.getByLabel("Those of them with these labels").check();
        await page.getByText("More", { exact: false }).first().click();
        await page.getByRole("button", { name: "Save", exact: true }).click();
        await page.getByText("names no label").waitFor();
      },
    ],
    [
      "an edited registry",
      "#/registries/docker-hub/edit",
      (page) => page.getByText("leave both empty to keep them").waitFor(),
    ],
    [
      "a deletion",
      "#/registries/my-org",
      async (page) => {
        await page.getByRole("button", { name: "Delete…" }).click();
        await page.getByText("4 copies of its credentials go").waitFor();
      },
    ],
    ["namespaces", "#/namespaces", (page) => page.getByRole("row").nth(1).waitFor()],
    [
      "an open namespace",
      "#/namespaces/shop",
      (page) => page.getByText("pullpass-docker-hub", { exact: true }).waitFor(),
    ],
    [
      "stuck pods",
      "#/stuck-pods",
      async (page) => {
        await page.getByRole("heading", { name: "The registry refuses the credentials" }).waitFor();
        await page.getByText("Evicted pod index-6b5c9d7f8-x2x7p").waitFor();
        await page.getByText("left alone: a PodDisruptionBudget allows no disruption").waitFor();
      },
    ],
    [
      "an explanation",
      "#/explain/docker.io%2Fmy-org%2Fweb%3Av7/shop",
      (page) => page.getByText("is the most specific address").waitFor(),
    ],
  ];

  // Before all that takes minutes: the kubelet waits for five of them.
  it("say when a pod is tried next", async () => {
    const page = await open("#/stuck-pods");
    await page
      .getByRole("row", { name: /^shop\/web-/ })
      .getByText(/^in \d minutes?$/)
      .waitFor();
    await page.close();
  });

  describe("in every width, light and dark, have no violation of axe, and do not scroll sideways:", () => {
    it.each(STATES)("%s", async (what, hash, act) => {
      const page = await open(hash);
      await act(page);
      await expectAccessible(page, what);
    });
    it("the login", async () => {
      const anonymous = await browser.newContext();
      await expectAccessible(await open("", anonymous), "the login");
      await anonymous.close();
    });
  });

  it("create, test, edit and delete a registry by mouse", async () => {
    const page = await open("#/registries");
    await page.getByRole("link", { name: "Add registry" }).click();
    await page.getByText("Harbor").click();
    await page.getByLabel("Display name").fill("Team Harbor");
    await page.getByLabel("Address").fill(`${registry.host}/harbor`);
    await page.getByLabel("Try an image").fill(`${registry.host}/harbor/app:v1`);
    await page.getByText(`covers ${registry.host}/harbor/app`).waitFor();
    await page.getByLabel("Try an image").fill("elsewhere.example.com/app");
    await page.getByText("does not cover elsewhere.example.com/app").waitFor();
    await page.getByLabel("User name", { exact: true }).fill(USER);
    await page.getByLabel("Password", { exact: true }).fill("made-up-wrong");
    await page.getByRole("button", { name: "Test login" }).click();
    await page.getByText("refused the credentials").waitFor();
    await page.getByLabel("Password", { exact: true }).fill(MARKER);
    await page.getByRole("button", { name: "Test login" }).click();
    await page.getByText("accepted the credentials (basic)").waitFor();
    await page.getByRole("button", { name: "Test pull…" }).click();
    await page.getByLabel("Image to pull").fill(`${registry.host}/harbor/app:missing`);
    await page.getByRole("button", { name: "Test pull", exact: true }).click();
    await page.getByText(`has no ${registry.host}/harbor/app:missing`).waitFor();
    await page.getByText("Which namespaces").click();
    await page.getByLabel("Those of them with these labels").check();
    await page.getByLabel("Label 1", { exact: true }).fill("team");
    await page.getByLabel("Value 1", { exact: true }).fill("a");
    await page.getByText("Now: billing, shop.").waitFor();
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("Secret pullpass/team-harbor-login written").waitFor();
    await page.getByText("2 namespaces: 2 done").waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    // Its row is open, and its address says so.
    expect(page.url()).toBe(`${running.url}/#/registries/team-harbor`);
    await page.getByRole("button", { name: "Test login" }).click();
    await page
      .getByRole("status")
      .filter({ hasText: `The login works at ${registry.host}.` })
      .waitFor();

    await page.getByRole("link", { name: "Edit" }).click();
    await page.getByText("leave both empty to keep them").waitFor();
    await page.getByLabel("Display name").fill("Harbor of the team");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("Registry team-harbor changed").waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await row(page, "Harbor of the team").waitFor();
    const { stdout } = await kubectl(
      "get",
      "secret",
      "team-harbor-login",
      "--namespace=pullpass",
      "--output=jsonpath={.data.password}",
    );
    expect(Buffer.from(stdout, "base64").toString()).toBe(MARKER);

    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByText("2 copies of its credentials go, in 2 namespaces.").waitFor();
    expect(await page.getByRole("button", { name: "Delete registry" }).isDisabled()).toBe(true);
    await page.getByLabel("Type the name").fill("team-harbor");
    await page.getByRole("button", { name: "Delete registry" }).click();
    await row(page, "Harbor of the team").waitFor({ state: "detached" });
    const left = await kubectl("get", "secrets", "--all-namespaces", "--output=name");
    expect(left.stdout).not.toContain("team-harbor-login");
    await page.close();
  });

  it("opt a namespace in, by mouse and by keyboard, and say what is blocked and by whom", async () => {
    const page = await open("#/namespaces");
    const toggle = page.getByRole("switch", { name: "Opt sandbox in" });
    await toggle.click();
    await page.locator("[role=switch][aria-label='Opt sandbox in'][aria-checked=true]").waitFor();
    const labels = await kubectl("get", "namespace", "sandbox", "--output=jsonpath={.metadata.labels}");
    expect(labels.stdout).toContain('"pullpass.dev/inject":"enabled"');
    await toggle.focus();
    await page.keyboard.press("Space");
    await page.locator("[role=switch][aria-label='Opt sandbox in'][aria-checked=false]").waitFor();
    await page.getByLabel("Filter namespaces").fill("team=b,pullpass.dev/inject=enabled");
    await page.getByRole("button", { name: "ml-training" }).waitFor();
    await waitUntil("two rows", async () => (await page.getByRole("switch").count()) === 2);
    await page.getByLabel("Filter namespaces").fill("team in (");
    await page.getByText("not a label selector").waitFor();
    await page.close();
  });

  it("show what kubectl changed within two seconds, in place", async () => {
    const page = await open("#/registries/partner");
    await page.getByRole("button", { name: "Show YAML" }).focus();
    const startedAt = performance.now();
    await kubectl(
      "patch",
      "clusterregistry",
      "docker-hub",
      "--type=merge",
      '--patch={"spec":{"displayName":"Hub by kubectl"}}',
    );
    const changedAt = performance.now();
    await row(page, "Hub by kubectl").waitFor({ timeout: 2_000 });
    expect(performance.now() - changedAt).toBeLessThan(2_000);
    expect(await page.evaluate<string>(FOCUSED_NAME)).toBe("Show YAML");
    await kubectl(
      "patch",
      "clusterregistry",
      "docker-hub",
      "--type=merge",
      '--patch={"spec":{"displayName":"Docker Hub"}}',
    );
    await row(page, "Docker Hub").waitFor({ timeout: 2_000 });
    expect(startedAt).toBeGreaterThan(0);
    await page.close();
  });

  it("show that somebody else changed what is being edited, and overwrite nothing", async () => {
    const page = await open("#/registries/partner/edit");
    await page.getByLabel("Display name").fill("Mine");
    await kubectl(
      "patch",
      "clusterregistry",
      "partner",
      "--type=merge",
      '--patch={"spec":{"address":"partner2.example.net"}}',
    );
    await page.getByText("Somebody else changed this registry while you were editing it: address.").waitFor();
    expect(await page.getByRole("button", { name: "Save", exact: true }).isDisabled()).toBe(true);
    expect(await page.getByLabel("Display name").inputValue()).toBe("Mine");
    await page.getByRole("button", { name: "Load the new version" }).click();
    expect(await page.getByLabel("Display name").inputValue()).toBe("Partner images");
    expect(await page.getByLabel("Address").inputValue()).toBe("partner2.example.net");
    await page.getByLabel("Address").fill("partner.example.net");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("Registry partner changed").waitFor();
    expect((await stored("partner")).spec).toMatchObject({
      address: "partner.example.net",
      displayName: "Partner images",
    });
    await page.close();
  });

  it("show a viewer no button that would be refused", async () => {
    const shared = await startConsole(cluster, { name: "shared", flags: ["--login=token"] });
    await kubectl("create", "serviceaccount", "viewer", "--namespace=default");
    for (const role of ["view", "pullpass-registry-view"])
      await kubectl(
        "create",
        "clusterrolebinding",
        `viewer-${role}`,
        `--clusterrole=${role}`,
        "--serviceaccount=default:viewer",
      );
    const { stdout: token } = await kubectl("create", "token", "viewer", "--namespace=default");
    const own = await browser.newContext();
    const page = await own.newPage();
    await page.goto(shared.url);
    await page.getByLabel("Token").fill("made-up");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("the API server does not accept this token").waitFor();
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("button", { name: "My Org Private Registry" }).click();
    await page.getByText("pullpass-my-org", { exact: true }).waitFor();
    for (const name of ["Add registry", "Edit", "Delete…", "Test login", "Test pull…"])
      expect(
        await page
          .getByRole(name === "Add registry" || name === "Edit" ? "link" : "button", { name })
          .count(),
        name,
      ).toBe(0);
    await page.getByRole("link", { name: "Namespaces" }).click();
    await page.getByRole("button", { name: "shop" }).click();
    // Who may not list Secrets is told so, and what is missing for it.
    await page.getByText('cannot list resource "secrets"').waitFor();
    expect(await page.getByRole("switch").count()).toBe(0);
    await own.close();
    await shared.stop();
  });

  it("treat names and messages of strangers as text", async () => {
    const hostile = `<img src=x onerror="document.title='owned'">`;
    await cluster.kubectl.apply({
      apiVersion: "pullpass.dev/v1alpha1",
      kind: "ClusterRegistry",
      metadata: { name: "hostile" },
      spec: { displayName: hostile, address: "hostile.example.com" },
    });
    const message = JSON.stringify({
      status: {
        conditions: [
          {
            type: "Ready",
            status: "False",
            reason: "InvalidSpec",
            message: hostile,
            observedGeneration: 1,
            lastTransitionTime: "2026-01-01T00:00:00Z",
          },
        ],
      },
    });
    // Who may not write a status cannot say this; Pullpass puts its own back.
    await kubectl(
      "patch",
      "clusterregistry",
      "hostile",
      "--subresource=status",
      "--type=merge",
      `--patch=${message}`,
    );
    const page = await open("#/registries/hostile");
    await page.getByRole("button", { name: hostile }).waitFor();
    await page.getByRole("button", { name: "Show YAML" }).click();
    await page.getByText("kind: ClusterRegistry").waitFor();
    await page.goto(`${running.url}/#/explain/${encodeURIComponent(hostile)}`);
    await page.getByText("because").waitFor();
    expect(await page.title()).not.toContain("owned");
    expect(await page.evaluate<number>("document.images.length")).toBe(0);
    await page.close();
    await kubectl("delete", "clusterregistry", "hostile");
  });

  it("take nothing from another site: no form, no fetch, no frame", async () => {
    const attacker = createServer((_, response) => {
      response.setHeader("content-type", "text/html");
      response.end(`<!doctype html><title>attacker</title>
        <form method="post" enctype="text/plain" action="${running.url}/api/registries" target="frame">
          <input name='{"draft":{"name":"forged","uid":"","spec":{"address":"forged.example.com"}},"generation":0,"credentials":null,"x":"' value='"}'>
        </form>
        <iframe name="frame"></iframe><iframe id="framed" src="${running.url}/"></iframe>`);
    });
    const host = cluster.network.address(40);
    await new Promise<void>((resolve) => attacker.listen(8080, host, resolve));
    const page = await context.newPage();
    await page.goto(`http://${host}:8080/`);
    await page.evaluate("document.forms[0].submit()");
    const body = JSON.stringify({
      draft: { name: "forged", uid: "", spec: { address: "forged.example.com" } },
      generation: 0,
      credentials: null,
    });
    for (const [mode, type] of [
      ["cors", "application/json"],
      ["no-cors", "text/plain"],
    ] as const) {
      const outcome = await page.evaluate<string>(
        `fetch(${JSON.stringify(`${running.url}/api/registries`)}, { method: "POST", mode: "${mode}", credentials: "include", headers: { "content-type": "${type}" }, body: ${JSON.stringify(body)} }).then((answer) => answer.type, () => "refused")`,
      );
      expect(["refused", "opaque"]).toContain(outcome);
    }
    const framed = page
      .frames()
      .find((frame) => frame.url().startsWith(running.url) && frame.name() !== "frame");
    expect((await framed?.locator("#app").count()) ?? 0).toBe(0);
    const { stdout } = await kubectl("get", "clusterregistries", "--output=name");
    expect(stdout).not.toContain("forged");
    await page.close();
    attacker.close();
  });

  it("show the form of a first registry where there is none, and what happens next", async () => {
    const { stdout } = await kubectl("get", "clusterregistries", "--output=json");
    await kubectl("delete", "clusterregistries", "--all");
    const page = await open("#/registries");
    await page
      .getByText(
        "There is no registry yet. Once this one is saved, the 4 namespaces that opted in get copies",
      )
      .waitFor();
    await expectAccessible(page, "the first registry");
    await page.getByText("ECR", { exact: true }).click();
    expect(await page.getByLabel("Address").inputValue()).toBe("ACCOUNT.dkr.ecr.REGION.amazonaws.com");
    expect(await page.getByLabel("User name", { exact: true }).inputValue()).toBe("AWS");
    await page.close();
    const { items } = JSON.parse(stdout) as {
      readonly items: readonly { metadata: { name: string }; spec: object }[];
    };
    await cluster.kubectl.apply(
      ...items.map(({ metadata: { name }, spec }) => ({
        apiVersion: "pullpass.dev/v1alpha1",
        kind: "ClusterRegistry",
        metadata: { name },
        spec,
      })),
    );
  });

  it("hold the password nowhere, and ask nobody but the console", async () => {
    const page = await open("#/registries//new");
    await page.getByLabel("Display name").fill("Scanned");
    await page.getByLabel("Address").fill(`user:${MARKER}@scanned.example.com`);
    await page.getByLabel("User name", { exact: true }).fill(USER);
    await page.getByLabel("Password", { exact: true }).fill(MARKER);
    await page.getByRole("button", { name: "Show YAML" }).click();
    await page.getByLabel("Address").fill("scanned.example.com");
    await page.getByRole("button", { name: "Test login" }).click();
    await page.getByText("was not reached").waitFor({ timeout: 15_000 });
    expect(await page.content()).not.toContain(MARKER);
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("Registry scanned created").waitFor();
    for (const hash of [
      "#/registries/scanned",
      "#/registries/scanned/edit",
      "#/namespaces/shop",
      "#/stuck-pods",
      "#/explain/scanned.example.com%2Fa",
    ]) {
      await page.goto(`${running.url}/${hash}`);
      await page.waitForTimeout(300);
      expect(await page.content()).not.toContain(MARKER);
    }
    expect(
      await page.evaluate<string>(
        "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])",
      ),
    ).toBe('[{},{},""]');
    await page.close();
    await kubectl("delete", "clusterregistry", "scanned");
    const everything = JSON.stringify(shown.seen) + (await running.output());
    expect(everything).not.toContain(MARKER);
    expect(everything).not.toContain(Buffer.from(MARKER).toString("base64"));
    const elsewhere = shown.seen.requests.filter(
      (url) => ![running.url, `http://${cluster.network.address(40)}:8080`].includes(new URL(url).origin),
    );
    expect(elsewhere).toEqual([]);
    // A refused request is an error to Chromium; nothing else is. It gives advice, too, which depends on when it looks.
    expect(
      shown.seen.messages.filter(
        (message) =>
          !/^(?:debug|verbose): |Failed to load resource|Refused to frame|Framing|has been blocked by CORS|ERR_/.test(
            message,
          ),
      ),
    ).toEqual([]);
  });

  it("are small", async () => {
    const { size } = await stat(join(import.meta.dirname, "../../dist/web/app.js"));
    expect(size).toBeLessThan(MAX_SCRIPT_BYTES);
  });
});
