import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressCovers, parseAddress, splitRepository, type Address } from "../../src/core/address.ts";
import type { AddressedCredential, Credential } from "../../src/core/credential.ts";
import { entriesFor, parseDockerConfig } from "../../src/core/docker-config.ts";
import { parseImageReference, repositoryName } from "../../src/core/image-reference.ts";
import {
  writeBuildDocument,
  writeNodeDocument,
  writePullDocument,
  writePullDocumentWithPrevious,
  type CredentialedRegistry,
} from "../../src/core/write-docker-config.ts";
import { anyAddress, anyCredential, anyRepository, concreteAddress, repositoryUnder } from "./any-address.ts";
import { builderFinds } from "./builder-keychain.ts";
import { indexKeyMatches, indexKeyOf, kubeletTries, resolverTries } from "./kubelet-keyring.ts";
import { makeRegistry } from "./make-registry.ts";

const HUB_KEY = "https://index.docker.io/v1/";

/** A registry with one credential for each address, its own if none is given; the password is the address. */
function source(
  address: string,
  hosts: readonly string[] = [],
  ...addresses: readonly string[]
): CredentialedRegistry {
  return {
    registry: { ...makeRegistry("r", address), hosts: hosts.map(parseAddress) },
    credentials: (addresses.length === 0 ? [address] : addresses).map((text) => ({
      address: parseAddress(text),
      username: "u",
      password: text,
    })),
  };
}

function pull({ registry, credentials }: CredentialedRegistry): string {
  return writePullDocument(registry, credentials);
}

/** Each key with its password. */
function passwordsIn(document: string): Readonly<Record<string, string>> {
  const { entries } = parseDockerConfig(document, "dockerconfigjson");
  return Object.fromEntries(Array.from(entries, ([key, { password }]) => [key, password]));
}

function keysIn(document: string): readonly string[] {
  return Object.keys(passwordsIn(document));
}

it("README example", () => {
  const { registry } = source("registry.example.com/team-a");
  const credential = { address: registry.address, username: "my_username", password: "my_password" };
  expect(writePullDocument(registry, [credential])).toBe(
    '{"auths":{"registry.example.com/team-a":{"username":"my_username","password":"my_password","auth":"bXlfdXNlcm5hbWU6bXlfcGFzc3dvcmQ="}}}',
  );
});

describe("the keys for an address", () => {
  const AZURE = ["x.azurecr.io", "y.azurecr.io"];

  it.each([
    ["a.com", [], ["a.com"], ["a.com"]],
    ["a.com:5000/team", [], ["a.com:5000/team"], ["a.com:5000/team", "a.com:5000"]],
    ["docker.io", [], ["docker.io", HUB_KEY], ["docker.io", HUB_KEY]],
    [
      "docker.io/acme",
      [],
      ["docker.io/acme", "index.docker.io/acme"],
      ["docker.io/acme", "index.docker.io/acme", HUB_KEY],
    ],
    ["*.azurecr.io", AZURE, ["*.azurecr.io", ...AZURE], AZURE],
    ["a.com/v1/v1/foo", [], ["a.com/v1/v1/foo"], ["a.com/v1/foo", "a.com"]],
    // Not in the table, but following from it.
    ["*.azurecr.io", [], ["*.azurecr.io"], []],
    [
      "*.azurecr.io/team",
      ["x.azurecr.io"],
      ["*.azurecr.io/team", "x.azurecr.io/team"],
      ["x.azurecr.io/team", "x.azurecr.io"],
    ],
    [
      "*.azurecr.io",
      ["x.azurecr.io/team", "x.azurecr.com", "*.azurecr.io"],
      ["*.azurecr.io", "x.azurecr.io/team"],
      ["x.azurecr.io/team", "x.azurecr.io"],
    ],
    ["*.io", ["docker.io"], ["*.io", "docker.io", HUB_KEY], ["docker.io", HUB_KEY]],
    [
      "docker.io/v1/v1/foo",
      [],
      ["docker.io/v1/v1/foo", "index.docker.io/v1/v1/foo"],
      ["docker.io/v1/foo", "index.docker.io/v1/foo", HUB_KEY],
    ],
    ["a.com/v2", [], ["a.com/v2"], ["a.com/v2", "a.com"]],
    ["a.com", ["b.com"], ["a.com"], ["a.com"]],
  ])("%s with the hosts %j", (address, hosts, inPull, inBuild) => {
    expect(keysIn(pull(source(address, hosts)))).toEqual(inPull);
    expect(keysIn(writeBuildDocument([source(address, hosts)]))).toEqual(inBuild);
  });

  it("are those that a config.json brought", () => {
    const brought = source("*.*.io", ["x.a.io", "z.a.io"], "*.a.io", "x.a.io", "y.a.io/team");
    expect(passwordsIn(pull(brought))).toEqual({
      "*.a.io": "*.a.io",
      "x.a.io": "x.a.io",
      "y.a.io/team": "y.a.io/team",
      "z.a.io": "*.a.io",
    });
    expect(passwordsIn(writeBuildDocument([brought]))).toEqual({
      "x.a.io": "x.a.io",
      "y.a.io/team": "y.a.io/team",
      "y.a.io": "y.a.io/team",
      "z.a.io": "*.a.io",
    });
  });

  it("are, read as addresses, the address", () => {
    fc.assert(
      fc.property(anyAddress, (address) => {
        const { registry } = source("a.com");
        const keys = keysIn(writePullDocument(registry, [{ address, username: "u", password: "made-up" }]));
        for (const key of keys) expect(parseAddress(key).text).toBe(address.text);
      }),
    );
  });
});

describe("registries that share a host in a build secret", () => {
  it.each([
    [["a.com/x", "a.com"], { "a.com/x": "a.com/x", "a.com": "a.com" }],
    [["a.com/x", "a.com/y"], { "a.com/x": "a.com/x", "a.com/y": "a.com/y", "a.com": "a.com/x" }],
    [["a.com/x", "a.com/x/y"], { "a.com/x": "a.com/x", "a.com/x/y": "a.com/x/y", "a.com": "a.com/x" }],
    [
      ["docker.io/x", "docker.io"],
      {
        "docker.io/x": "docker.io/x",
        "index.docker.io/x": "docker.io/x",
        "docker.io": "docker.io",
        [HUB_KEY]: "docker.io",
      },
    ],
  ])("%j", (addresses, passwords) => {
    expect(passwordsIn(writeBuildDocument(addresses.map((address) => source(address))))).toEqual(passwords);
  });

  it("the first of one address has its key", () => {
    const second = {
      ...source("a.com"),
      credentials: [{ address: parseAddress("a.com"), username: "u", password: "second" }],
    };
    expect(passwordsIn(writeBuildDocument([source("a.com"), second]))).toEqual({ "a.com": "a.com" });
    expect(passwordsIn(writeBuildDocument([second, source("a.com")]))).toEqual({ "a.com": "second" });
  });

  it("the address itself goes before a host behind a star, as it does for an image", () => {
    const both = [source("*.azurecr.io", ["x.azurecr.io"]), source("x.azurecr.io")];
    expect(passwordsIn(writeBuildDocument(both))).toEqual({ "x.azurecr.io": "x.azurecr.io" });
  });

  it("none gives a document without entries", () => {
    expect(writeBuildDocument([])).toBe('{"auths":{}}');
  });
});

const credentials = fc
  .tuple(anyAddress, anyCredential)
  .map(([address, credential]) => ({ address, ...credential }));

/** Half of a surrogate pair is no text; every reader gets U+FFFD for it. */
function asRead({ username, password }: Credential): Credential {
  return { username: username.toWellFormed(), password: password.toWellFormed() };
}

function sourceOf(credential: AddressedCredential, hosts: readonly Address[] = []): CredentialedRegistry {
  const registry = { ...makeRegistry("r", "a.com"), address: credential.address, hosts };
  return { registry, credentials: [credential] };
}

describe("a registry's own copy", () => {
  it("gives the credential back, whatever characters it has", () => {
    fc.assert(
      fc.property(credentials, (credential) => {
        const config = parseDockerConfig(pull(sourceOf(credential)), "dockerconfigjson");
        const found = entriesFor(config, credential.address);
        expect(found.length).toBeGreaterThan(0);
        for (const { address, ...rest } of found) {
          expect(address.text).toBe(credential.address.text);
          expect(rest).toEqual(asRead(credential));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("has each member that a reader may look at, and they agree", () => {
    fc.assert(
      fc.property(credentials, (credential) => {
        const { auths } = JSON.parse(pull(sourceOf(credential))) as {
          auths: Record<string, Record<string, string>>;
        };
        for (const { username = "", password = "", auth } of Object.values(auths)) {
          expect(auth).toBe(Buffer.from(`${username}:${password}`).toString("base64"));
        }
      }),
    );
  });

  const underAddress = credentials.chain((credential) =>
    fc.tuple(fc.constant(credential), repositoryUnder(credential.address)),
  );

  it("lets kubelet find the credential for every image that the address covers", () => {
    fc.assert(
      fc.property(underAddress, ([credential, repository]) => {
        expect(kubeletTries(pull(sourceOf(credential)), repository)).toEqual([asRead(credential)]);
      }),
      { numRuns: 2000 },
    );
  });

  it("lets Knative find it, too; a star covers Docker Hub for kubelet alone", () => {
    fc.assert(
      fc.property(underAddress, ([credential, repository]) => {
        fc.pre(!(credential.address.isWildcard && repository.startsWith("docker.io/")));
        expect(resolverTries(pull(sourceOf(credential)), repository)).toEqual([asRead(credential)]);
      }),
      { numRuns: 2000 },
    );
  });

  it("gives kubelet nothing for other images, but for /team-a where /team is meant, and Docker Hub for localhost", () => {
    fc.assert(
      fc.property(
        credentials,
        fc.array(concreteAddress, { maxLength: 2 }),
        anyRepository,
        (credential, hosts, name) => {
          const { address } = credential;
          const repository = splitRepository(name);
          const isOnHost = addressCovers({ ...address, path: "" }, repository);
          const isHub = [address, ...hosts].some(
            (each) => each.text === "docker.io" && addressCovers(address, each),
          );
          const isExpected =
            (isOnHost && repository.path.startsWith(address.path)) ||
            (isHub && name.startsWith("localhost/"));
          expect(kubeletTries(pull(sourceOf(credential, hosts)), name).length > 0).toBe(isExpected);
        },
      ),
      { numRuns: 5000 },
    );
  });
});

describe("a node's own config.json", () => {
  it("has the keys of all registries, and of two for one key the more specific one", () => {
    const star = source("*.azurecr.io", ["x.azurecr.io", "y.azurecr.io"]);
    const sources = [
      star,
      source("x.azurecr.io"),
      source("docker.io/acme"),
      source("docker.io/acme", [], "a.com"),
    ];
    expect(passwordsIn(writeNodeDocument(sources))).toEqual({
      "*.azurecr.io": "*.azurecr.io",
      "x.azurecr.io": "x.azurecr.io",
      "y.azurecr.io": "*.azurecr.io",
      "docker.io/acme": "docker.io/acme",
      "index.docker.io/acme": "docker.io/acme",
      "a.com": "a.com",
    });
  });

  it("lets kubelet find for every image the credential of the most specific registry first", () => {
    const single = fc.tuple(concreteAddress, anyCredential);
    const distinct = fc.uniqueArray(single, { maxLength: 4, selector: ([{ text }]) => text });
    fc.assert(
      fc.property(distinct, anyRepository, (entries, name) => {
        const repository = splitRepository(name);
        // For kubelet /team covers /team-a, too.
        const [expected] = entries
          .filter(
            ([{ authority, path }]) => authority === repository.authority && repository.path.startsWith(path),
          )
          .toSorted(([a], [b]) => b.path.length - a.path.length);
        fc.pre(expected !== undefined);
        const sources = entries.map(([address, each]) => sourceOf({ address, ...each }));
        expect(kubeletTries(writeNodeDocument(sources), name)[0]).toEqual(asRead(expected[1]));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a build secret", () => {
  /** Each with a password of its own. */
  const manySources = fc
    .array(fc.tuple(anyAddress, fc.array(concreteAddress, { maxLength: 2 })), { maxLength: 5 })
    .map((entries) =>
      entries.map(([address, hosts], index) =>
        sourceOf({ address, username: "u", password: `made-up-${String(index)}` }, hosts),
      ),
    );

  it("is the same text for the same input", () => {
    fc.assert(
      fc.property(manySources, (sources) => {
        expect(writeBuildDocument(structuredClone(sources))).toBe(writeBuildDocument(sources));
      }),
    );
  });

  it("lets a builder find the credential of the only registry of a host", () => {
    const oneSource = fc
      .tuple(concreteAddress, anyCredential)
      .map(([address, rest]) => ({ address, ...rest }));
    const withImage = oneSource.chain((credential) =>
      fc.tuple(fc.constant(credential), repositoryUnder(credential.address)),
    );
    fc.assert(
      fc.property(withImage, manySources, ([credential, repository], others) => {
        const { authority } = credential.address;
        const elsewhere = others.filter(
          ({ registry }) =>
            ![registry.address, ...registry.hosts].some((each) => each.authority === authority),
        );
        const document = writeBuildDocument([...elsewhere, sourceOf(credential)]);
        expect(builderFinds(document, repository)).toEqual([asRead(credential)]);
      }),
      { numRuns: 2000 },
    );
  });

  it("gives a builder the credential of the registry for all of a host, unless a path is the whole repository", () => {
    const wholeHost = concreteAddress.map(({ authority }) => parseAddress(authority));
    fc.assert(
      fc.property(wholeHost, manySources, (address, others) => {
        const credential = { address, username: "u", password: "made-up" };
        const document = writeBuildDocument([sourceOf(credential), ...others]);
        expect(builderFinds(document, `${address.authority}/nobody/has/this`)).toEqual([asRead(credential)]);
      }),
    );
  });

  it("leaves nothing to the order of a map, and gives no host the credential of another", () => {
    fc.assert(
      fc.property(manySources, anyRepository, (sources, name) => {
        const found = builderFinds(writeBuildDocument(sources), name);
        const repository = splitRepository(name);
        const permitted = sources.filter(({ registry }) =>
          addressCovers({ ...registry.address, path: "" }, repository),
        );
        expect(found.length).toBeLessThanOrEqual(1);
        for (const { password } of found) {
          expect(permitted.flatMap((each) => each.credentials.map((own) => own.password))).toContain(
            password,
          );
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe("the models of the readers that are used here", () => {
  const keyring = JSON.parse(
    readFileSync(new URL("../fixtures/cases/keyring.json", import.meta.url), "utf8"),
  ) as {
    readonly match: readonly { id: string; pattern: string; lookupName: string; match: boolean }[];
    readonly ordering: readonly {
      id: string;
      keys: readonly string[];
      image: string;
      expected: readonly string[];
    }[];
    readonly normalisation: readonly { id: string; configKey: string; indexKey: string | null }[];
  };
  const documentOf = (keys: readonly string[]): string =>
    JSON.stringify({ auths: Object.fromEntries(keys.map((key) => [key, { username: "u", password: key }])) });

  it.each(keyring.match)(
    "kubelet's match of $pattern and $lookupName is $match ($id)",
    ({ pattern, lookupName, match }) => {
      expect(kubeletTries(documentOf([pattern]), lookupName).length > 0).toBe(match);
    },
  );

  it.each(keyring.ordering)("kubelet's order for $image ($id)", ({ keys, image, expected }) => {
    const repository = repositoryName(parseImageReference(image));
    expect(kubeletTries(documentOf(keys), repository).map(({ password }) => password)).toEqual(expected);
  });

  it.each(keyring.normalisation)("kubelet's index key for $configKey ($id)", ({ configKey, indexKey }) => {
    expect(indexKeyOf(configKey) ?? null).toBe(indexKey);
  });

  it.each([
    [["https://index.docker.io/v1/"], "docker.io/library/nginx", ["https://index.docker.io/v1/"]],
    [["docker.io"], "docker.io/library/nginx", []],
    [["test.io"], "test.io/my-repo", ["test.io"]],
    [["test.io/my-repo", "test.io/another-repo", "test.io"], "test.io/my-repo", ["test.io/my-repo"]],
    [["test.io/team"], "test.io/team/app", ["test.io/team"]],
    [["test.io/a", "test.io/b"], "test.io/b/app", ["test.io/a", "test.io/b"]],
    [["*.io"], "test.io/app", []],
  ])("of %j a builder finds for %s %j", (keys, repository, expected) => {
    expect(builderFinds(documentOf(keys), repository).map(({ password }) => password)).toEqual(expected);
  });

  it("a star stays within a label", () => {
    expect(indexKeyMatches("*.io", "a.b.io/app")).toBe(false);
  });
});

describe("the previous credentials beside the new ones", () => {
  const withPrevious = ({ registry, credentials }: CredentialedRegistry): string =>
    writePullDocumentWithPrevious(
      registry,
      credentials.map((credential) => ({
        ...credential,
        previous: { username: "before", password: credential.password, isInGrace: true },
      })),
    );
  const usersTried = (document: string, repository: string) =>
    kubeletTries(document, repository).map(({ username }) => username);

  it.each([
    ["a.com", "a.com/team/app", ["a.com", "a.com/%23", "https://a.com"]],
    ["a.com:5000", "a.com:5000/0", ["a.com:5000", "a.com:5000/%23", "https://a.com:5000"]],
    ["a.com/team", "a.com/team/app", ["a.com/team", "a.com/team%23", "https://a.com/team"]],
    ["[::1]:5000", "[::1]:5000/app", ["[::1]:5000", "[::1]:5000/%23", "https://[::1]:5000"]],
    ["*.a.com", "x.a.com/app", ["*.a.com", "*.a.com/%23", "https://*.a.com"]],
    ["docker.io", "docker.io/library/nginx", ["docker.io", HUB_KEY, "docker.io/%23", "https://docker.io"]],
    [
      "docker.io/acme",
      "docker.io/acme/app",
      ["docker.io/acme", "index.docker.io/acme", "docker.io/acme%23", "https://docker.io/acme"],
    ],
    [
      "a.com/v1/v1/foo",
      "a.com/v1/foo/app",
      ["a.com/v1/v1/foo", "a.com/v1/v1/foo%23", "https://a.com/v1/v1/foo"],
    ],
  ])("of %s: kubelet tries the new one for %s first, and the previous one, too", (address, image, keys) => {
    const document = withPrevious(source(address));
    expect(keysIn(document)).toEqual(keys);
    const tried = usersTried(document, image);
    expect(tried[0]).toBe("u");
    expect(new Set(tried)).toEqual(new Set(["u", "before"]));
    expect(resolverTries(document, image)[0]?.username ?? "u").toBe("u");
  });

  it("are for the same images, and whoever looks for the plain key finds the new one", () => {
    fc.assert(
      fc.property(anyAddress, anyRepository, (address, repository) => {
        const plain = pull(source(address.text));
        const document = withPrevious(source(address.text));
        const before = kubeletTries(plain, repository).length > 0;
        const tried = usersTried(document, repository);
        expect(tried.length > 0).toBe(before);
        if (before) expect(tried[0]).toBe("u");
        const { entries } = parseDockerConfig(document, "dockerconfigjson");
        for (const key of keysIn(plain)) expect(entries.get(key)?.username).toBe("u");
      }),
    );
  });

  it("are left out where there is none", () => {
    const one = source("a.com");
    expect(writePullDocumentWithPrevious(one.registry, one.credentials)).toBe(pull(one));
  });
});
