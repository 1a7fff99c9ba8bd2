/** Addresses, repositories that they cover, and credentials for them. */
import fc from "fast-check";
import { parseAddress, type Address } from "../../src/core/address.ts";
import type { Credential } from "../../src/core/credential.ts";

const label = fc.constantFrom("a", "b", "x-1", "azurecr", "Capital");
const component = fc.constantFrom("team", "team-a", "v1", "v2", "app");
const path = fc.array(component, { maxLength: 3 }).map((components) => components.join("/"));
const port = fc.constantFrom("", "", ":5000");
const host = fc.oneof(
  fc.array(label, { minLength: 2, maxLength: 3 }).map((labels) => labels.join(".")),
  fc.constantFrom("docker.io", "docker.io", "localhost"),
);
const wildcardHost = host.map((text) => text.replace(/^[^.]+/, "*"));

/** The `/v1/` that is taken off keeps a path that begins so itself. */
function addressOf(authority: string, itsPath: string): Address {
  return parseAddress(itsPath === "" ? authority : `${authority}/v1/${itsPath}`);
}

function addressOver(hosts: fc.Arbitrary<string>): fc.Arbitrary<Address> {
  return fc.tuple(hosts, port, path).map(([name, itsPort, itsPath]) => addressOf(name + itsPort, itsPath));
}

export const concreteAddress = addressOver(host);
export const wildcardAddress = addressOver(wildcardHost);
export const anyAddress = fc.oneof(concreteAddress, wildcardAddress);

/** `domain/path`. */
export const anyRepository = fc
  .tuple(host, port, path)
  .map(([name, itsPort, itsPath]) => `${name}${itsPort}/${itsPath === "" ? "app" : itsPath}`);

/** A repository, as `domain/path`, that an address covers. */
export function repositoryUnder(address: Address): fc.Arbitrary<string> {
  return fc.tuple(label, path).map(([itsLabel, rest]) => {
    const parts = [address.authority.replace("*", itsLabel), address.path, rest].filter(
      (part) => part !== "",
    );
    return parts.length === 1 ? `${parts.join("")}/app` : parts.join("/");
  });
}

const anyText = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.string({ unit: "binary", minLength: 1 }),
  fc.constantFrom('"', "\\", "pä:ß:wört", "🔑", "\u0000", "\ud83d", "\u2028", "__proto__"),
);

export const anyCredential: fc.Arbitrary<Credential> = fc.record({
  username: anyText.map((text) => text.replaceAll(":", "-")),
  password: anyText,
});
