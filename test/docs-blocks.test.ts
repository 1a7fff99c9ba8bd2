/** What the README and the pages in docs/ show can be used as it is: by Pullpass, by the shell and by the chart. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { explainImage } from "../src/core/explain-image.ts";
import { indexRegistries } from "../src/core/registry.ts";
import { loadText, diagnosticsIn } from "./config/load-text.ts";
import { blocksOf, valuesIn } from "./read-markdown.ts";

const ROOT = path.join(import.meta.dirname, "..");
const docs = readdirSync(path.join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
const names = ["README.md", ...docs.map((name) => `docs/${name}`)];
const pages = names.map((name) => ({ name, text: readFileSync(path.join(ROOT, name), "utf8") }));
const blocks = pages.flatMap(({ name, text }) =>
  blocksOf(text).map((block, index) => ({ title: `${name}, block ${String(index + 1)}`, name, ...block })),
);
const configurations = blocks.filter(({ language }) => language === "yaml");
const shells = blocks.filter(({ language }) => language === "sh");

describe("the documentation", () => {
  it.each(configurations)("$title is a configuration without a fault", ({ text }) => {
    expect(diagnosticsIn(text)).toEqual([]);
    const { registries, podTemplates } = loadText(text);
    expect([...registries, ...podTemplates]).not.toEqual([]);
  });

  it.each<[string, string, readonly string[]]>([
    ["docs/hosted-platform.md", "my-registry.com/app:v1", ["my-org"]],
    ["docs/hosted-platform.md", "us-docker.pkg.dev/my-project/images/app", ["my-cloud"]],
    [
      "docs/cloud-registries.md",
      "europe-docker.pkg.dev/my-project/my-repository/app:v1",
      ["artifact-registry"],
    ],
    ["docs/cloud-registries.md", "myregistry.azurecr.io/team-a/app:v1", ["acr"]],
    ["docs/cloud-registries.md", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team-a/app:v1", ["ecr"]],
    ["docs/kind.md", "gcr.io/my-project/app", ["gcr"]],
    ["docs/knative.md", "registry.example.com/team-a/app", ["team-a"]],
    ["docs/polyaxon.md", "registry.example.com/private/image:v1.1", ["registry-example-com"]],
    ["docs/polyaxon.md", "registry:5000/app", ["registry-5000"]],
    ["docs/polyaxon.md", "my.registry.com/app", ["my-registry-com"]],
    [
      "docs/polyaxon.md",
      "myregistry.com/org/repo:v1",
      ["docker-connection-kaniko", "docker-connection-dockerizer"],
    ],
    ["README.md", "registry.example.com/team-a/app:v1", ["team-a"]],
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
