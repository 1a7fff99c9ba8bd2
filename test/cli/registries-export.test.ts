/** `pullpass registries export`: the objects mean what the file means. */
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { explainImage, explanationJson } from "../../src/core/explain-image.ts";
import { exportRegistries, writeYaml } from "../../src/cli/registries-export.ts";
import type { RegistryCredentials } from "../../src/cli/registries-source.ts";
import {
  indexConfiguration,
  type Configuration,
  type ConfiguredRegistry,
} from "../../src/config/configuration.ts";
import { readCredentials } from "../../src/config/credentials.ts";
import { readConfiguration } from "../../src/config/read.ts";
import { asRegistryObject, joinRegistryObjects } from "../../src/config/registry-objects.ts";
import { parseAddress } from "../../src/core/address.ts";
import { isObject, type JsonObject } from "../../src/core/kubernetes.ts";
import { credentialsInOffer } from "../../src/core/source-secret.ts";
import { writeBuildDocument, writePullDocument } from "../../src/core/write-docker-config.ts";
import { loadText } from "../config/load-text.ts";
import { anyAddress, anyCredential, anyRepository, wildcardAddress } from "../core/any-address.ts";
import { offeredSecret, startClusterOfObjects } from "./cluster-of-objects.ts";

type Registered = Extract<RegistryCredentials, { readonly credentials: unknown }>;

const NAMESPACE = "pullpass";

function readFile(text: string): readonly Registered[] {
  return loadText(text).registries.map((registry) => ({
    registry,
    credentials: readCredentials(registry, {}),
  }));
}

/** The registries that a cluster has once the YAML is applied in one go, with what `serve` reads from their Secrets. */
function readExport(yaml: string, providers: Configuration["providers"] = []): readonly Registered[] {
  const values = parseAllDocuments(yaml).map((document) => document.toJS() as JsonObject);
  const nameOf = ({ metadata }: JsonObject) => (isObject(metadata) ? metadata["name"] : undefined);
  const secrets = new Map(
    values.flatMap((value) => (value["kind"] === "Secret" ? [[nameOf(value), value]] : [])),
  );
  for (const { metadata } of secrets.values()) {
    expect(metadata).toMatchObject({
      namespace: NAMESPACE,
      labels: { "pullpass.dev/registry-credentials": "true" },
    });
  }
  const objects = values.filter(({ kind }) => kind === "ClusterRegistry");
  const { registries, faults } = joinRegistryObjects(
    { registries: [], providers, isFromFiles: true },
    objects.map(asRegistryObject),
  );
  expect(faults).toEqual(new Map());
  return registries.map((registry) => {
    const { source, address } = registry;
    if (source?.kind !== "offered-secret") return { registry, credentials: [] };
    return { registry, credentials: credentialsInOffer(secrets.get(source.name) ?? {}, source, address) };
  });
}

function byName(registered: readonly Registered[]): readonly Registered[] {
  return registered.toSorted((a, b) => (a.registry.name < b.registry.name ? -1 : 1));
}

/** Everything that pods, copies and people get of a registry. */
function meaningOf({ registry, credentials }: Registered): unknown {
  const { source, list, locate, use, ...rest } = registry;
  return {
    ...rest,
    provider: source?.kind === "provider" ? source.provider : undefined,
    use: use.toSorted(),
    hasSource: source !== undefined,
    isLocated: locate([]).file !== "" && list !== "connections",
    pullDocument: writePullDocument(registry, credentials),
    buildDocument: writeBuildDocument([{ registry, credentials }]),
  };
}

function expectSameMeaning(
  before: readonly Registered[],
  after: readonly Registered[],
  images: readonly string[],
): void {
  const [inFile, inCluster] = [byName(before), byName(after)];
  expect(inCluster.map(meaningOf)).toEqual(inFile.map(meaningOf));
  expect(writeBuildDocument(inCluster)).toBe(writeBuildDocument(inFile));
  const explain = (registered: readonly Registered[]): readonly string[] => {
    const registries = registered.map(({ registry }) => registry);
    const index = indexConfiguration({ registries, builders: [] }, true);
    return images.map((image) => explanationJson(explainImage(image, index)));
  };
  expect(explain(inCluster)).toEqual(explain(inFile));
}

const EXAMPLE = fileURLToPath(new URL("../../deploy/examples/pullpass.yaml", import.meta.url));
const IMAGES = [
  ...["registry.example.com/team-a/app:v1", "registry.example.com/team-abc/app", "nginx", "quay.io/app"],
  ...["registry.example.com:5000/team-b/app", "127.0.0.1:5000/private/app:1", "quay.io/my-org/app"],
  ...["europe-docker.pkg.dev/my-project/images/app", "team-c.azurecr.io/app", "ghcr.io/my-org/app"],
];
const credential = (username: string) => ({ username, password: `made-up-${username}` });

describe("registries export", () => {
  it("README example: all of deploy/examples/pullpass.yaml, but for Polyaxon's connection", async () => {
    const text = readFileSync(EXAMPLE, "utf8").replace("/etc/pullpass/credentials/team-a", "team-a");
    const key = '{\n  "type": "service_account"\n}\n';
    const github = { auths: { "ghcr.io": credential("github") } };
    const { run, directory } = await startClusterOfObjects(404, {
      files: {
        "pullpass.yaml": text.replaceAll("file: credentials/", "file: "),
        "team-a": "made-up-team-a\n",
        "service-account.json": key,
        "config.json": JSON.stringify({ auths: { "quay.io": credential("quay"), "a.com": credential("a") } }),
      },
      secrets: {
        "pullpass-sources/github-credentials": offeredSecret(
          "Opaque",
          { "config.json": JSON.stringify(github) },
          {},
        ),
      },
    });
    const environment = { TEAM_B_PASSWORD: "made-up-team-b", AZURE_TOKEN: "made-up-azure" };
    const args = ["registries", "export", "--config=pullpass.yaml", "--output=objects.yaml"];
    expect(await run(args, { environment })).toEqual({
      stdout: "",
      stderr:
        "warning: providers, builders, serviceAccounts, podTemplates: not registries, and not exported; keep the configuration for them\n" +
        "warning: team-a, registry-example-com: the configuration has them in this order for registry.example.com; ClusterRegistries are ordered by age, and then by name\n" +
        "error: docker-connection-kaniko is not exported: Secret docker-conf of its connection is Polyaxon's\n",
      status: 1,
    });
    const file = path.join(directory, "objects.yaml");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const yaml = readFileSync(file, "utf8");
    expect(yaml).not.toContain("made-up");
    const { registries, providers } = readConfiguration([path.join(directory, "pullpass.yaml")]);
    const credentialsOf = (registry: ConfiguredRegistry) => {
      if (registry.source?.kind === "secret") return [{ address: registry.address, ...credential("github") }];
      return registry.source?.kind === "provider" ? [] : readCredentials(registry, environment);
    };
    const before = registries
      .slice(0, -1)
      .map((registry) => ({ registry, credentials: credentialsOf(registry) }));
    expectSameMeaning(before, readExport(yaml, providers), IMAGES);
  });

  const auth = (rest: object) => ({ auth: { ...rest } });
  const basic = auth({ type: "BasicAuth", username: "u", password: "made-up" });
  it.each<[what: string, entry: object, spec: object, secretType?: string, keys?: readonly string[]]>([
    [
      "user name and password",
      { address: "https://a.com/", ...basic },
      { address: "a.com", auth: { type: "BasicAuth", secretRef: { name: "r-credentials" } } },
      "kubernetes.io/basic-auth",
      ["username", "password"],
    ],
    [
      "a token",
      { address: "gcr.io", ...auth({ type: "Token", token: "made-up" }) },
      { address: "gcr.io", auth: { type: "Token", secretRef: { name: "r-credentials" } } },
      "Opaque",
      ["token"],
    ],
    [
      "a token with a user name",
      { address: "quay.io", ...auth({ type: "Token", username: "robot", token: "made-up" }) },
      {
        address: "quay.io",
        auth: { type: "Token", secretRef: { name: "r-credentials" }, username: "robot" },
      },
      "Opaque",
      ["token"],
    ],
    [
      "a token with a user name that no spec may hold",
      { address: "quay.io", ...auth({ type: "Token", username: "r".repeat(257), token: "made-up" }) },
      { address: "quay.io", auth: { type: "BasicAuth", secretRef: { name: "r-credentials" } } },
      "kubernetes.io/basic-auth",
      ["username", "password"],
    ],
    [
      "no credentials",
      { address: "docker.io", secretName: "hub-creds" },
      { address: "docker.io", secretName: "hub-creds" },
    ],
    [
      "every other setting",
      {
        ...{
          displayName: "yes",
          address: "*.a.com/v1/v2/x",
          hosts: ["b.a.com", "c.a.com/v2/v1/y"],
          use: ["build"],
        },
        namespaces: { matchLabels: { on: "1_000" }, matchExpressions: [{ key: "y", operator: "Exists" }] },
      },
      {
        ...{
          displayName: "yes",
          address: "*.a.com/v1/v2/x",
          hosts: ["b.a.com", "c.a.com/v1/v1/y"],
          use: ["build"],
        },
        namespaces: { matchLabels: { on: "1_000" }, matchExpressions: [{ key: "y", operator: "Exists" }] },
      },
    ],
    [
      "the default of use and of secretName, which are left out",
      { address: "a.com", use: ["build", "pull"], secretName: "pullpass-r" },
      { address: "a.com" },
    ],
  ])("writes %s", (_, entry, spec, secretType, keys) => {
    const before = readFile(JSON.stringify({ registries: [{ name: "r", ...entry }] }));
    const { documents, faults } = exportRegistries(before, NAMESPACE);
    const object = {
      apiVersion: "pullpass.dev/v1alpha1",
      kind: "ClusterRegistry",
      metadata: { name: "r" },
      spec,
    };
    const yaml = writeYaml(documents);
    // As kubectl reads it, and as YAML 1.2 is read.
    for (const version of ["1.1", "1.2"] as const) {
      expect(parse(yaml.split("---\n").at(-1) ?? "", { version })).toEqual(object);
    }
    const secret = documents.length === 1 ? undefined : documents[0];
    expect(secret?.["type"]).toBe(secretType);
    if (secret !== undefined) expect(Object.keys(secret["data"] as object)).toEqual(keys);
    expect(faults).toEqual([]);
    expectSameMeaning(before, readExport(yaml), [
      "a.com/x",
      "b.a.com/v2/x",
      "quay.io/x",
      "gcr.io/x",
      "nginx",
    ]);
  });

  it("exports Polyaxon's privateRegistries", () => {
    const before = readFile(
      JSON.stringify({
        privateRegistries: ["u:made-up@a.com", { host: "b.com", user: "u", password: "{\n}\n\n" }],
      }),
    );
    const { documents, faults } = exportRegistries(before, NAMESPACE);
    expect(faults).toEqual([]);
    expectSameMeaning(before, readExport(writeYaml(documents)), ["a.com/x", "b.com/x"]);
  });

  it("does not overwrite a Secret that the configuration reads", () => {
    const source = (namespace?: string) => ({ type: "Secret", name: "r-credentials", namespace });
    const namesWith = (...entries: readonly object[]) => {
      const { registries } = loadText(JSON.stringify({ registries: entries }));
      const read = registries.map((registry) => ({
        registry,
        credentials: [{ address: registry.address, ...credential("u") }],
      }));
      return exportRegistries(read, NAMESPACE).documents.flatMap(({ kind, metadata }) =>
        kind === "Secret" && isObject(metadata) ? metadata["name"] : [],
      );
    };
    const entry = { name: "r", address: "a.com" };
    expect(namesWith({ ...entry, auth: source() })).toEqual(["r-credentials-exported"]);
    expect(namesWith({ ...entry, auth: source(NAMESPACE) })).toEqual(["r-credentials-exported"]);
    expect(namesWith({ ...entry, auth: source("elsewhere") })).toEqual(["r-credentials"]);
    const other = { name: "q", address: "a.com", auth: source() };
    expect(namesWith(other, { ...entry, ...basic })).toEqual(["q-credentials", "r-credentials-exported"]);
  });

  const isText = (text: string): boolean => text.isWellFormed() && !/\ufffd|^\ufeff|\p{Cc}/u.test(text);
  const usable = anyCredential.filter(({ username, password }) => isText(username) && isText(password));
  const key = '{\r\n"type": "service_account" }\n';
  const record = {
    use: fc.subarray(["pull", "build"], { minLength: 1 }),
    labels: fc.dictionary(fc.constantFrom("on", "team"), fc.constantFrom("yes", "0o7", "")),
  };
  const anyEntry = fc.oneof(
    fc.record({
      ...record,
      address: anyAddress,
      kind: fc.constantFrom("password", "token"),
      credential: fc.oneof(
        usable,
        usable.map(({ username }) => ({ username, password: key })),
      ),
      labelsBehindStar: fc.constant([]),
    }),
    fc.record({
      ...record,
      address: wildcardAddress.filter(({ host }) => host.includes(".")),
      kind: fc.constant("docker-config"),
      credential: usable,
      labelsBehindStar: fc.subarray(["a", "b"]),
    }),
  );
  type Entry = typeof anyEntry extends fc.Arbitrary<infer T> ? T : never;

  /** With credentials for the address, or for hosts behind its `*`, as a config.json may have them. */
  function registered(
    name: string,
    { address, kind, credential: each, labelsBehindStar, ...rest }: Entry,
  ): Registered {
    const { use, labels: matchLabels } = rest;
    const entry = { name, address: "a.com", use, namespaces: { matchLabels } };
    const [{ registry }] = readFile(JSON.stringify({ registries: [entry] })) as [Registered];
    const isForBuilds = use.includes("build") && !address.isWildcard;
    const source = { kind, username: each.username } as ConfiguredRegistry["source"];
    const behindStar = labelsBehindStar.map((label) => ({
      ...each,
      address: parseAddress(address.text.replace("*", label).replace("/", "/v1/")),
      password: `${each.password}-${label}`,
    }));
    return {
      registry: {
        ...registry,
        address,
        source,
        buildSource: isForBuilds ? { kind: "build-secret" } : undefined,
      },
      credentials: behindStar.length > 0 ? behindStar : [{ ...each, address }],
    };
  }

  it("means the same for every configuration, and every image", () => {
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 6 }), fc.array(anyRepository), (entries, images) => {
        const before = entries.map((entry, index) => registered(`r${index.toString()}`, entry));
        const { documents, faults } = exportRegistries(before, NAMESPACE);
        expect(faults).toEqual([]);
        expectSameMeaning(before, readExport(writeYaml(documents)), images);
      }),
    );
  });
});
