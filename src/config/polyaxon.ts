/**
 * Reads Polyaxon's two lists: `privateRegistries` of its deployment values, and the registries among the `connections`
 * of its catalogue. A message names an entry by its index and never repeats a part of it.
 */
import type { z } from "zod";
import { InvalidAddressError, parseAddress, type Address } from "../core/address.ts";
import { Sensitive } from "../core/credential.ts";
import { isObject } from "../core/kubernetes.ts";
import type { ConfiguredRegistry } from "./configuration.ts";
import type { SourceLocation, Diagnostic } from "./diagnostics.ts";
import { connectionSchema, privateRegistrySchema } from "./schema.ts";
import type { ParsedDocument } from "./yaml-document.ts";
import { schemaDiagnostics } from "./schema-diagnostics.ts";

/** What comes of one entry of a list of registries. */
export interface RegistryResult {
  /** Undefined if something is wrong, or if the entry is none of ours. */
  readonly registry?: ConfiguredRegistry;
  readonly diagnostics: readonly Diagnostic[];
}

/** Makes up names from addresses, each once: entries of Polyaxon's lists have none, or not of our form. */
export class RegistryNames {
  readonly #taken: Set<string>;

  constructor(taken: readonly string[]) {
    this.#taken = new Set(taken);
  }

  /** `registry.example.com:5000/team` becomes `registry-example-com-5000-team`, and if that is taken, `…-2`. */
  nameFor(text: string): string {
    const slug =
      text
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .slice(0, 50)
        .replace(/^-+|-+$/g, "") || "registry";
    let name = slug;
    for (let count = 2; this.#taken.has(name); count++) name = `${slug}-${count.toString()}`;
    this.#taken.add(name);
    return name;
  }
}

/** `user:password@host`, or a dictionary `{host, user, password}`, which may be JSON in a text, as Polyaxon's chart writes it. */
export function readPrivateRegistry(
  entry: unknown,
  location: SourceLocation,
  document: ParsedDocument,
  names: RegistryNames,
): RegistryResult {
  const value = typeof entry === "string" && entry.trimStart().startsWith("{") ? parseJson(entry) : entry;
  if (typeof value === "string") {
    const uri = parseUri(value);
    if (typeof uri === "string") return { diagnostics: [{ location, message: uri }] };
    return {
      registry: privateRegistry(uri.address, uri.username, uri.password, location, names),
      diagnostics: [],
    };
  }
  if (!isObject(value)) {
    return {
      diagnostics: [
        { location, message: "must be user:password@host or a mapping of host, user and password" },
      ],
    };
  }
  const result = privateRegistrySchema.safeParse(value);
  if (!result.success) return { diagnostics: schemaDiagnostics(result.error, document, location.path) };
  const { host, user, username, password } = result.data;
  return {
    registry: privateRegistry(host, user ?? username ?? "", password, location, names),
    diagnostics: [],
  };
}

/** Entries of another kind are passed over, and registries without a Secret: there is nothing to inject for them. */
export function readConnection(
  entry: unknown,
  location: SourceLocation,
  document: ParsedDocument,
  names: RegistryNames,
): RegistryResult {
  if (!isObject(entry)) return { diagnostics: [{ location, message: "must be a mapping" }] };
  if (entry["kind"] !== "registry") return { diagnostics: [] };
  const result = connectionSchema.safeParse(entry);
  if (!result.success) return { diagnostics: schemaDiagnostics(result.error, document, location.path) };
  return { ...connectionRegistry(result.data, location, names), diagnostics: [] };
}

function connectionRegistry(
  { name, schema, secret }: z.output<typeof connectionSchema>,
  location: SourceLocation,
  names: RegistryNames,
): { readonly registry?: ConfiguredRegistry } {
  if (secret === undefined) return {};
  return {
    registry: {
      name: names.nameFor(name),
      displayName: undefined,
      address: schema.url,
      secretName: secret.name,
      use: ["pull", "build"],
      namespaces: undefined,
      source: undefined,
      hosts: [],
      buildSource:
        secret.mountPath === undefined ? undefined : { kind: "own-secret", directory: secret.mountPath },
      list: "connections",
      location,
    },
  };
}

function privateRegistry(
  address: Address,
  username: string,
  password: string,
  location: SourceLocation,
  names: RegistryNames,
): ConfiguredRegistry {
  const name = names.nameFor(address.text);
  return {
    name,
    displayName: undefined,
    address,
    secretName: `pullpass-${name}`,
    use: ["pull", "build"],
    namespaces: undefined,
    source: { kind: "basic", username, password: { kind: "inline", value: new Sensitive(password) } },
    hosts: [],
    // Builders know no *.
    buildSource: address.isWildcard ? undefined : { kind: "build-secret" },
    list: "privateRegistries",
    location,
  };
}

interface RegistryUri {
  readonly username: string;
  readonly password: string;
  readonly address: Address;
}

const FORM = "user:password@host[:port]";

/*
 * The last @ and the first : divide, so that passwords may hold both. Returns what is wrong, without repeating any of it.
 *
 * scheme             | taken off if http:// or https://, else ambiguous: a user name and a password that begins with //?
 * no @, no :         | not of the form
 * an empty part      | an error; Polyaxon lets it pass and fails at the registry
 * %XX                | decoded, as in any URI; a % without two hexadecimal digits is ambiguous
 */
function parseUri(text: string): RegistryUri | string {
  const bare = text.replace(/^https?:\/\//, "");
  const at = bare.lastIndexOf("@");
  if (at < 0) return `must be ${FORM}: there is no @`;
  const colon = bare.indexOf(":");
  if (colon < 0 || colon > at) return `must be ${FORM}: there is no colon before the last @`;
  if (bare.startsWith("://", colon)) {
    return `is ambiguous: is this a scheme other than http and https, or a password that begins with //? Use a mapping of host, user and password`;
  }
  const username = decode(bare.slice(0, colon));
  const password = decode(bare.slice(colon + 1, at));
  if (username === undefined || password === undefined) {
    return "is ambiguous: a % without two hexadecimal digits of UTF-8 after it; write %25, or use a mapping of host, user and password";
  }
  if (username === "") return `must be ${FORM}: the user is empty`;
  if (username.includes(":")) return `must be ${FORM}: the user holds a colon`;
  if (password === "") return `must be ${FORM}: the password is empty`;
  try {
    return { username, password, address: parseAddress(bare.slice(at + 1)) };
  } catch (error) {
    if (error instanceof InvalidAddressError) return `the host is ${error.message}`;
    throw error;
  }
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
