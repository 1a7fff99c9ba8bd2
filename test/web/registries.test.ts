/** In Chromium: what Pullpass tests for people, which pods pull with a registry, and registries with a credential provider. */
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { registryCrd } from "../../src/config/registry-crd.ts";
import { startCluster, type OwnCluster } from "../cluster/harness/cluster.ts";
import { describeLevel } from "../cluster/harness/describe-level.ts";
import { installPullpass } from "../cluster/harness/install-pullpass.ts";
import { createNamespace } from "../cluster/harness/kubectl.ts";
import { podWith } from "../cluster/harness/pods.ts";
import { clusterRegistry, offeredLogin } from "../cluster/harness/registry-objects.ts";
import { leaderOf, type Replica } from "../cluster/harness/run-replica.ts";
import { waitUntil } from "../wait-until.ts";
import { expectAccessible, openBrowser, record, type Record } from "./browser.ts";
import {
  MARKER,
  startConsole,
  startRegistry,
  USER,
  type FakeRegistry,
  type RunningConsole,
} from "./console-under-test.ts";

const PROVIDER = "made-up-provider";
/** A plugin for kubelets, for every registry that asks. */
const PLUGIN = `#!/bin/sh
host=$(sed -n 's/.*"image": *"\\([^/"]*\\).*/\\1/p')
cat <<END
{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry",
"cacheDuration":"12h0m0s","auth":{"$host":{"username":"made-up-user","password":"${MARKER}"}}}
END
`;
/** There are ten seconds between two logins. */
const TEST_MS = 30_000;

await describeLevel("browser", "registries in the console", () => {
  let cluster: OwnCluster;
  let registry: FakeRegistry;
  let replica: Replica;
  let running: RunningConsole;
  let browser: Browser;
  let context: BrowserContext;
  let seen: Record;

  beforeAll(async () => {
    cluster = await startCluster();
    const { kubectl } = cluster;
    registry = await startRegistry(cluster, 15);
    await kubectl.apply(registryCrd());
    await kubectl.run(["wait", "--for=condition=Established", "crd/clusterregistries.pullpass.dev"]);
    const installation = await installPullpass(cluster, {
      providers: [
        {
          ...{ name: PROVIDER, apiVersion: "credentialprovider.kubelet.k8s.io/v1" },
          ...{ matchImages: ["*.example.com"], defaultCacheDuration: "1h" },
        },
      ],
      registries: [
        {
          ...{ name: "legacy", displayName: "Legacy", address: "old.example.com" },
          auth: { type: "BasicAuth", username: USER, password: "made-up" },
        },
      ],
    });
    const plugins = join(installation.directory, "plugins");
    await mkdir(plugins);
    await writeFile(join(plugins, PROVIDER), PLUGIN);
    await chmod(join(plugins, PROVIDER), 0o755);
    // It writes the certificate of the registry's authority.
    running = await startConsole(cluster, { flags: [`--config=${installation.configFile}`] });
    replica = await installation.startReplica({
      flags: [`--credential-provider-bin-dir=${plugins}`],
      env: { NODE_EXTRA_CA_CERTS: join(cluster.network.directory, "authority.pem") },
    });
    await leaderOf(replica);
    for (const name of ["shop", "billing"])
      await createNamespace(kubectl, name, { "pullpass.dev/inject": "enabled" });
    await kubectl.apply(
      offeredLogin("my-org", { username: USER, password: MARKER }),
      clusterRegistry("my-org", { displayName: "My Org Registry", address: `${registry.host}/team-a` }),
    );
    await kubectl.run(["wait", "--for=condition=Ready", "clusterregistry/my-org", "--timeout=20s"]);
    for (let number = 1; number <= 7; number++) await runningPod(number);
    browser = await openBrowser();
    context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    context.setDefaultTimeout(10_000);
    seen = record(context);
    const page = await context.newPage();
    await page.goto(await running.address());
    await page.getByRole("heading", { name: "Registries" }).waitFor();
    await page.close();
  });
  afterEach(() => Promise.all(context.pages().map((page) => page.close())));
  afterAll(async () => {
    await browser.close();
    await Promise.all([running.stop(), replica.stop()]);
    registry.close();
    await cluster.stop();
  });

  /** As the webhook and kubelet leave it. */
  async function runningPod(number: number): Promise<void> {
    const namespace = number <= 3 ? "shop" : "billing";
    const name = `web-${number.toString()}`;
    const annotations = { "pullpass.dev/injected": number === 1 ? "legacy,my-org" : "my-org" };
    const pod = podWith(`${registry.host}/team-a/web:v1`, { name, namespace, annotations });
    await cluster.kubectl.create(pod);
    await cluster.kubectl.run([
      ...["patch", "pod", name, `--namespace=${namespace}`, "--subresource=status", "--type=merge"],
      '--patch={"status":{"phase":"Running"}}',
    ]);
  }
  async function open(hash: string): Promise<Page> {
    const page = await context.newPage();
    await page.goto(`${running.url}/${hash}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    return page;
  }
  const annotationsOf = async (name: string): Promise<Annotations> => {
    const { metadata } = await cluster.kubectl.json("get", "clusterregistry", name);
    return metadata?.annotations ?? {};
  };
  const answer = (page: Page, text: string) =>
    page.getByRole("status").filter({ hasText: text }).waitFor({ timeout: TEST_MS });

  it("test a pull with the credentials that Pullpass has, and refuse an image of another registry", async () => {
    const page = await open("#/registries/my-org");
    await page.getByRole("button", { name: "Test pull…" }).click();
    const image = page.getByLabel("Image to pull");
    await image.fill(`${registry.host}/team-b/app:v1`);
    await page.getByRole("button", { name: "Test pull", exact: true }).click();
    await answer(page, `${registry.host}/team-a does not cover ${registry.host}/team-b/app`);
    expect((await annotationsOf("my-org"))["pullpass.dev/check-image"]).toBeUndefined();

    // By keyboard, too.
    await image.fill(`${registry.host}/team-a/app:v1`);
    await image.press("Enter");
    await answer(page, "Asking the registry…");
    await answer(page, `The credentials may pull ${registry.host}/team-a/app:v1.`);
    expect(registry.requests).toContain("/v2/team-a/app/manifests/v1");
    // The row keeps the answer, for whoever comes next.
    await page.getByText("Last test pull").waitFor();

    await image.fill(`${registry.host}/team-a/app:missing`);
    await page.getByRole("button", { name: "Test pull", exact: true }).click();
    await answer(page, `The registry has no ${registry.host}/team-a/app:missing.`);
    await page.getByRole("button", { name: "Test login" }).click();
    await answer(page, `The login works at ${registry.host}.`);
    await page.getByText("Last test pull").waitFor({ state: "detached" });
    expect((await annotationsOf("my-org"))["pullpass.dev/check-image"]).toBeUndefined();
  });

  it("test the pull of an image that is explained, and say how for a registry of the file", async () => {
    const image = `${registry.host}/team-a/app:v2`;
    const page = await open(`#/explain/${encodeURIComponent(image)}/shop`);
    await page.getByRole("button", { name: "Test pull with My Org Registry" }).click();
    await answer(page, `The credentials may pull ${image}.`);
    await page.goto(`${running.url}/#/explain/old.example.com%2Fapp/shop`);
    await page.getByText("pullpass check --config FILE --login --pull old.example.com/app").waitFor();
    expect(await page.getByRole("button", { name: /^Test pull/ }).count()).toBe(0);
  });

  it("say which running pods pull with a registry, a few by name, and how many a deletion concerns", async () => {
    const page = await open("#/registries/my-org");
    await page
      .getByText(
        "7 running pods with the pull secret: billing/web-4, billing/web-5, billing/web-6, billing/web-7, shop/web-1, and 2 more",
      )
      .waitFor();
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByText("7 running pods pulled with it").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Legacy" }).click();
    await page.getByText("1 running pod with the pull secret: shop/web-1", { exact: true }).waitFor();
  });

  it("have a credential provider of the configuration", async () => {
    const page = await open("#/registries//new");
    await page.getByLabel("Display name").fill("From a provider");
    await page.getByLabel("Address").fill("provided.example.com");
    await page.getByRole("radio", { name: "Provider" }).check();
    const provider = page.getByLabel("Provider", { exact: true }).and(page.getByRole("combobox"));
    // What Pullpass has to hand out cannot be tried from here.
    expect(await page.getByRole("button", { name: "Test login" }).count()).toBe(0);
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await waitUntil("the focus", () => page.evaluate<boolean>("document.activeElement.id === 'provider'"));
    await provider.fill("no-such");
    await page.getByText("is not the name of an entry of providers in the configuration").waitFor();
    const offered = await page.evaluate<readonly string[]>(
      "[...document.querySelectorAll('datalist option')].map(({ value }) => value)",
    );
    expect(offered).toEqual([PROVIDER]);
    await provider.fill(PROVIDER);
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText("Registry from-a-provider created").waitFor();
    await page.getByText("2 namespaces: 2 done").waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    const row = page.getByRole("row").filter({ hasText: "From a provider" }).first();
    await row.getByText("● Ready", { exact: true }).waitFor();
    expect(await row.getByRole("cell").allInnerTexts()).toContain("Provider");
    await page.getByText(`The credentials were read. provider ${PROVIDER}, set`).waitFor();
    await page.getByRole("link", { name: "Edit" }).click();
    expect(await provider.inputValue()).toBe(PROVIDER);
  });

  it("are edited beside one of the file with the same name, and lose nothing that was typed when they are deleted", async () => {
    const { kubectl } = cluster;
    await kubectl.apply(clusterRegistry("legacy", { displayName: "Legacy too", address: "too.example.com" }));
    const page = await open("#/registries/legacy/edit");
    await page.getByRole("heading", { name: "Edit Legacy too" }).waitFor();
    await page.getByLabel("Display name").fill("Half typed");
    await kubectl.run(["delete", "clusterregistry/legacy"]);
    await page.getByText("This registry was deleted while you were editing it.").waitFor();
    expect(await page.getByLabel("Display name").inputValue()).toBe("Half typed");
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("heading", { name: "Registries" }).waitFor();
  });

  it("and all else that somebody may not read are not said to be none", async () => {
    const { kubectl } = cluster;
    const shared = await startConsole(cluster, { name: "shared", flags: ["--login=token"] });
    await kubectl.run(["create", "serviceaccount", "nobody", "--namespace=default"]);
    const { stdout: token } = await kubectl.run(["create", "token", "nobody", "--namespace=default"]);
    const own = await browser.newContext();
    own.setDefaultTimeout(10_000);
    const page = await own.newPage();
    await page.goto(shared.url);
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Log in" }).click();
    const isMissing = async (resource: string, none: string): Promise<void> => {
      await page.getByText(`cannot list resource "${resource}"`).first().waitFor();
      expect(await page.getByText(none).count(), none).toBe(0);
    };
    await isMissing("clusterregistries", "There are no registries.");
    await page.goto(`${shared.url}/#/namespaces`);
    await isMissing("namespaces", "0 namespaces opted in.");
    expect(await page.getByText("No namespace matches.").count()).toBe(0);
    await page.goto(`${shared.url}/#/stuck-pods`);
    await isMissing("pods", "No pod waits");
    await page.goto(`${shared.url}/#/registries//new`);
    await page.getByText("Which namespaces all that opted in", { exact: true }).click();
    await page
      .getByText(/^Which ones they are now is not known: .*cannot list resource "namespaces"/)
      .waitFor();
    await own.close();
    await shared.stop();
  });

  const STATES: readonly (readonly [string, () => string, (page: Page) => Promise<unknown>])[] = [
    [
      "a test pull",
      () => "#/registries/my-org",
      async (page) => {
        await page.getByText("7 running pods").waitFor();
        await page.getByRole("button", { name: "Test pull…" }).click();
        await page.getByLabel("Image to pull").fill(`${registry.host}/team-b/app:v1`);
        await page.getByRole("button", { name: "Test pull", exact: true }).click();
        await answer(page, "does not cover");
      },
    ],
    [
      "a registry of the file",
      () => "#/registries/legacy",
      (page) => page.getByText("1 running pod").waitFor(),
    ],
    [
      "a form with a provider",
      () => "#/registries//new",
      async (page) => {
        await page.getByText("ECR", { exact: true }).click();
        await page.getByRole("radio", { name: "Provider" }).check();
      },
    ],
    [
      "an explanation with a test pull",
      () => `#/explain/${encodeURIComponent(`${registry.host}/team-a/app:v2`)}/shop`,
      (page) => page.getByRole("button", { name: /^Test pull/ }).waitFor(),
    ],
    [
      "an explanation of the file",
      () => "#/explain/old.example.com%2Fapp/shop",
      (page) => page.getByText("--login --pull").waitFor(),
    ],
  ];

  describe("in every width, light and dark, have no violation of axe, and do not scroll sideways:", () => {
    it.each(STATES)("%s", async (what, hash, act) => {
      const page = await open(hash());
      await act(page);
      await expectAccessible(page, what);
    });
  });

  it("hold the password nowhere", async () => {
    const { stdout: objects } = await cluster.kubectl.run(["get", "clusterregistries", "--output=json"]);
    const log = JSON.stringify(await replica.log());
    for (const text of [JSON.stringify(seen), await running.output(), objects, log])
      expect(text).not.toContain(MARKER);
  });
});

type Annotations = Readonly<Partial<globalThis.Record<string, string>>>;
