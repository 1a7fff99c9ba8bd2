/** What the pages in deploy/docs show is taken as it stands, by Pullpass, by the shell and by the chart. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { explainImage } from "../src/cli/explain.ts";
import { indexRegistries } from "../src/core/registry.ts";
import { loadText, diagnosticsIn } from "./config/load-text.ts";
import { blocksOf, valuesIn } from "./read-markdown.ts";

const ROOT = path.join(import.meta.dirname, "..");
const DOCS = path.join(ROOT, "deploy", "docs");
const pages = readdirSync(DOCS).map((name) => ({ name, text: readFileSync(path.join(DOCS, name), "utf8") }));
const blocks = pages.flatMap(({ name, text }) =>
  blocksOf(text).map((block, index) => ({ title: `${name}, block ${String(index + 1)}`, name, ...block })),
);
const configurations = blocks.filter(({ language }) => language === "yaml");
const shells = blocks.filter(({ language }) => language === "sh");

describe("deploy/docs", () => {
  it("has a page for kind, Knative, Polyaxon and a hosted platform, and nothing but configurations and commands", () => {
    expect(pages.map(({ name }) => name)).toEqual([
      "hosted-platform.md",
      "kind.md",
      "knative.md",
      "polyaxon.md",
    ]);
    expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(["yaml", "sh"]));
  });

  it.each(configurations)("$title is a configuration without a fault", ({ text }) => {
    expect(diagnosticsIn(text)).toEqual([]);
    expect(loadText(text).registries).not.toEqual([]);
  });

  it.each<[string, string, readonly string[]]>([
    ["hosted-platform.md", "my-registry.com/app:v1", ["my-org"]],
    ["hosted-platform.md", "us-docker.pkg.dev/my-project/images/app", ["my-cloud"]],
    ["kind.md", "gcr.io/my-project/app", ["gcr"]],
    ["knative.md", "registry.example.com/team-a/app", ["team-a"]],
    ["polyaxon.md", "registry.example.com/private/image:v1.1", ["registry-example-com"]],
    ["polyaxon.md", "registry:5000/app", ["registry-5000"]],
    ["polyaxon.md", "my.registry.com/app", ["my-registry-com"]],
    [
      "polyaxon.md",
      "myregistry.com/org/repo:v1",
      ["docker-connection-kaniko", "docker-connection-dockerizer"],
    ],
  ])("%s has the registry for %s", (page, image, names) => {
    const found = configurations
      .filter(({ name }) => name === page)
      .map(({ text }) => explainImage(image, indexRegistries(loadText(text).registries)).registries)
      .filter((registries) => registries.length > 0);
    expect(found).not.toEqual([]);
    for (const registries of found) expect(registries.map(({ name }) => name)).toEqual(names);
  });

  it.each(shells)("$title is what a shell reads", ({ text }) => {
    expect(spawnSync("bash", ["-n"], { input: text, encoding: "utf8" })).toMatchObject({
      stderr: "",
      status: 0,
    });
  });

  it.each(shells.filter(({ text }) => text.includes("helm ")))(
    "$title sets what the chart has",
    ({ text }) => {
      const chart = parse(readFileSync(path.join(ROOT, "deploy/pullpass/values.yaml"), "utf8")) as object;
      const flags = [...text.matchAll(/--set(?:-file|-json)? '?([A-Za-z]+)/g)].map(([, key = ""]) => key);
      const values = valuesIn(text).flatMap((value) => Object.keys(parse(value) as object));
      expect([...flags, ...values].filter((key) => !Object.hasOwn(chart, key))).toEqual([]);
    },
  );
});
