/** What `check --login` says of registries that answer, in plain HTTP on loopback. */
import { describe, expect, it } from "vitest";
import { checkLogins, planPulls, type LoginSources } from "../../src/cli/check-login.ts";
import { inParallel } from "../../src/cli/in-parallel.ts";
import type { ConfiguredRegistry } from "../../src/config/configuration.ts";
import { UnusableCredentialsError } from "../../src/config/credentials.ts";
import { parseAddress } from "../../src/core/address.ts";
import { parseImageReference } from "../../src/core/image-reference.ts";
import { planLogins, type LoginStep } from "../../src/registry/plan-logins.ts";
import { loadText } from "../config/load-text.ts";
import { makeRegistry } from "../core/make-registry.ts";
import { startOddServer, type Received, type Reply } from "../registry/odd-server.ts";

const AUTHORIZATION = `Basic ${Buffer.from("u:made-up").toString("base64")}`;

/** The repositories of a registry that lets `u` in, by the status that a HEAD of a manifest has. */
function registryWith(statuses: Readonly<Record<string, number>>): (request: Received) => Reply {
  return ({ path, authorization }) => {
    if (authorization !== AUTHORIZATION)
      return { status: 401, headers: { "www-authenticate": "Basic realm=r" } };
    const repository = /^\/v2\/(.+)\/manifests\//.exec(path)?.[1];
    return { status: repository === undefined ? 200 : (statuses[repository] ?? 404) };
  };
}

async function check(
  text: string,
  images: readonly string[] = [],
  sources: Partial<LoginSources> = {},
): Promise<readonly string[]> {
  const configuration = loadText(text);
  const lines = await checkLogins(configuration, planPulls(images, configuration), {
    environment: {},
    ...sources,
  });
  return lines.map(({ text: line, isFailure }) => `${isFailure ? "failed" : "fine"} ${line}`);
}

const entry = (name: string, address: string, password: string): string =>
  `  - { name: ${name}, address: "${address}", auth: { type: BasicAuth, username: u, password: ${password} } }`;

describe("each registry has a line, in the order of the configuration", () => {
  it("README example", async () => {
    const { host } = await startOddServer(
      registryWith({ "team-a/app": 200, "team-a/secret": 403, "team-a/odd": 500 }),
    );
    const open = await startOddServer(() => ({}));
    const configuration = [
      "registries:",
      entry("team-a", `${host}/team-a`, "made-up"),
      entry("outdated", `${host}/outdated`, "made-up-once"),
      entry("open", open.host, "made-up"),
      "  - { name: hub, address: docker.io, secretName: hub-creds }",
    ].join("\n");
    const images = ["app", "secret", "none:v1", "odd"].map((name) => `${host}/team-a/${name}`);
    expect(await check(configuration)).toEqual([
      `fine team-a: ${host}/team-a: login works (basic)`,
      `failed outdated: ${host}/outdated: refused: 401 Unauthorized from ${host}`,
      `fine open: ${open.host}: asks for no login`,
      "fine hub: docker.io: not asked: an admin keeps Secret hub-creds in the namespaces",
    ]);
    const line = (image: string | undefined) => check(configuration, [image ?? ""]).then(([first]) => first);
    const subject = `team-a: ${host}/team-a: login works (basic)`;
    expect(await line(images[0])).toBe(`fine ${subject}, may pull team-a/app`);
    expect(await line(images[1])).toBe(
      `failed ${subject}, may not pull team-a/secret: 403 Forbidden from ${host}`,
    );
    expect(await line(images[2])).toBe(`fine ${subject}, may pull team-a/none, where there is no v1`);
    expect(await line(images[3])).toBe(
      `failed ${subject}, cannot tell whether it may pull team-a/odd: no usable answer: ${host} answers 500 Internal Server Error`,
    );
    expect((await check(configuration, images.slice(0, 2)))[0]).toBe(
      `failed ${subject}, may pull team-a/app, may not pull team-a/secret: 403 Forbidden from ${host}`,
    );
  });

  it("or one for each host behind a *", async () => {
    const { host } = await startOddServer(registryWith({ "team-a/app": 200 }));
    const port = host.split(":")[1] ?? "";
    const auth = "auth: { type: BasicAuth, username: u, password: made-up }";
    const lines = await check(
      `registries: [{ name: all, address: "127.0.0.*:${port}", hosts: ["${host}", "127.0.0.*:${port}"], ${auth} }]`,
      [`${host}/team-a/app`],
    );
    expect(lines).toEqual([`fine all: ${host}: login works (basic), may pull team-a/app`]);
  });
});

describe("credentials in a Secret", () => {
  const text = (host: string) =>
    `registries: [{ name: a, address: "${host}", auth: { type: Secret, name: source, namespace: sources } }]`;

  it("are asked about where somebody can read it", async () => {
    const { host } = await startOddServer(registryWith({}));
    const asked: unknown[] = [];
    const lines = await check(text(host), [], {
      readSecretSource: (source, address) => {
        asked.push([source, address.text]);
        return Promise.resolve([{ address: parseAddress(host), username: "u", password: "made-up" }]);
      },
    });
    expect(lines).toEqual([`fine a: ${host}: login works (basic)`]);
    expect(asked).toEqual([[{ kind: "secret", name: "source", namespace: "sources" }, host]]);
  });

  it("that holds none are not, and that is a failure", async () => {
    const readSecretSource = () =>
      Promise.reject(new UnusableCredentialsError("Secret sources/source is not there"));
    expect(await check(text("a.com"), [], { readSecretSource })).toEqual([
      "failed a: a.com: not asked: Secret sources/source is not there",
    ]);
  });

  it("that cannot be read for a fault of ours are not passed over in silence", async () => {
    const readSecretSource = () => Promise.reject(new TypeError("a mistake"));
    await expect(check(text("a.com"), [], { readSecretSource })).rejects.toThrow("a mistake");
  });
});

function registryAt(address: string, hosts: readonly string[] = []): ConfiguredRegistry {
  return {
    ...makeRegistry("a", address),
    displayName: undefined,
    source: undefined,
    hosts: hosts.map(parseAddress),
    buildSource: undefined,
    list: "registries",
    locate: (path) => ({ file: "test.yaml", path: ["registries", 0, ...path], line: 1 }),
  };
}

/** `host <- images`, or the reason. */
function words(step: LoginStep): string {
  if (step.kind === "pass-over") return step.reason;
  return [step.address.text, ...step.images.map(({ domain, path }) => `${domain}/${path}`)].join(" ");
}

function plan(
  registry: ConfiguredRegistry,
  credentials: readonly string[],
  images: readonly string[],
): readonly string[] {
  const addressed = credentials.map((text) => ({
    address: parseAddress(text),
    username: "u",
    password: "made-up",
  }));
  return planLogins(registry, addressed, images.map(parseImageReference)).map(words);
}

const NO_HOSTS = "the address has a *, and hosts lists none";

describe("which hosts are asked", () => {
  it.each([
    // address, hosts, addresses of the credentials, images, steps
    ["a.x.io/team", [], ["a.x.io/team"], ["a.x.io/team/app"], ["a.x.io/team a.x.io/team/app"]],
    ["a.x.io/team", [], ["a.x.io"], [], ["a.x.io/team"]],
    ["a.x.io/team", [], ["*.x.io"], ["a.x.io/team/app"], ["a.x.io/team a.x.io/team/app"]],
    ["docker.io", [], ["index.docker.io/v1/"], ["nginx"], ["docker.io docker.io/library/nginx"]],
    ["*.x.io", [], ["*.x.io"], [], [NO_HOSTS]],
    ["*.x.io", ["*.x.io"], ["*.x.io"], [], [NO_HOSTS]],
    ["*.x.io", ["a.x.io", "b.x.io"], ["*.x.io"], ["b.x.io/app"], ["a.x.io", "b.x.io b.x.io/app"]],
    ["*.x.io/team", ["a.x.io"], ["*.x.io/team"], ["a.x.io/team/app"], ["a.x.io a.x.io/team/app"]],
    ["*.x.io", ["a.y.io", "a.x.io:5000"], ["*.x.io"], [], [NO_HOSTS]],
    ["*.x.io", [], ["*.x.io"], ["c.x.io/a", "c.x.io/b"], ["c.x.io c.x.io/a c.x.io/b"]],
    [
      "*.x.io",
      ["a.x.io"],
      ["b.x.io", "c.x.io/team"],
      ["c.x.io/team/app"],
      ["b.x.io", "c.x.io/team c.x.io/team/app"],
    ],
    ["*.x.io", [], ["b.x.io"], ["c.x.io/app"], ["b.x.io", "its source has nothing for c.x.io/app"]],
  ])("%s with hosts %j, credentials for %j and images %j", (address, hosts, credentials, images, steps) => {
    expect(plan(registryAt(address, hosts), credentials, images)).toEqual(steps);
  });
});

describe("which registry is asked about an image", () => {
  const registries = [
    registryAt("x.io"),
    registryAt("x.io/team"),
    registryAt("x.io/team"),
    { ...registryAt("y.io"), use: ["build" as const] },
  ];
  const planned = planPulls(["x.io/team/app", "x.io/app", "x.io/app", "y.io/app", "X"], {
    registries,
    builders: [],
    providers: [],
    isFromFiles: true,
    attachedServiceAccounts: [],
    podTemplates: [],
  });

  it("is each one whose secret a pod would get", () => {
    expect(registries.map((registry) => planned.byRegistry.get(registry)?.map(({ path }) => path))).toEqual([
      ["app"],
      ["team/app"],
      ["team/app"],
      undefined,
    ]);
  });

  it("or the report says that there is none", () => {
    expect(planned.faults).toEqual([
      "--pull y.io/app: no configured registry covers it",
      '--pull "X" is not an image reference: the repository has to be lower case',
    ]);
  });
});

describe("inParallel", () => {
  it("keeps the order, and works on no more items at once than it may", async () => {
    let running = 0;
    let most = 0;
    const results = await inParallel([5, 1, 4, 2, 3], 2, async (ms) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, ms));
      running--;
      return ms * 10;
    });
    expect(results).toEqual([50, 10, 40, 20, 30]);
    expect(most).toBe(2);
  });

  it("has nothing to do without items", async () => {
    expect(await inParallel([], 8, () => Promise.reject(new Error("not called")))).toEqual([]);
  });

  it("fails with the first of its items that does", async () => {
    await expect(inParallel([1], 8, () => Promise.reject(new Error("one")))).rejects.toThrow("one");
  });
});
