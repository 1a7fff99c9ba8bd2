/**
 * Reads Polyaxon's two lists: `privateRegistries` of its deployment values, and the registries among the `connections`
 * of its catalogue. A message names an entry by its index and never repeats a part of it.
 */
import type { z } from "zod";
import { InvalidAddressError, parseAddress, type Address } from "../core/address.ts";
import { normalisePath } from "../core/builds/build-container.ts";
import { readCredentialText, readUsername, Sensitive } from "../core/credential.ts";
import { isObject } from "../core/kubernetes.ts";
import { parseJson } from "../core/parse-json.ts";
import { REGISTRY_DEFAULTS, type ConfiguredRegistry } from "./configuration.ts";
import { schemaDiagnostics, type Diagnostic, type LocatedValue } from "./diagnostics.ts";
import { connectionSchema, privateRegistrySchema } from "./schema.ts";

/** The result of reading one entry of a list of registries. */
export interface RegistryResult {
  /** Undefined if something is wrong, or if the entry is not one of ours. */
  readonly registry?: ConfiguredRegistry;
  readonly diagnostics: readonly Diagnostic[];
}

/** Makes unique names from addresses, because entries of Polyaxon's lists have none, or none of our form. */
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

/** `user:password@host`, or a mapping of host, user and password, which may be JSON in a string, as Polyaxon's chart writes it. */
export function readPrivateRegistry({ value, locate }: LocatedValue, names: RegistryNames): RegistryResult {
  const entry = typeof value === "string" && value.trimStart().startsWith("{") ? parseJson(value) : value;
  if (typeof entry === "string") {
    const uri = parseUri(entry);
    if (typeof uri === "string") return error(locate, uri);
    return { registry: privateRegistry(uri, locate, names), diagnostics: [] };
  }
  if (!isObject(entry)) {
    return error(locate, "must be user:password@host or a mapping of host, user and password");
  }
  const result = privateRegistrySchema.safeParse(entry);
  if (!result.success) return { diagnostics: schemaDiagnostics(result.error, { value: entry, locate }) };
  const { host, user, username = user ?? "", password } = result.data;
  return { registry: privateRegistry({ address: host, username, password }, locate, names), diagnostics: [] };
}

/** Entries of another kind are passed over, and registries without a Secret: there is nothing to inject for them. */
export function readConnection(entry: LocatedValue, names: RegistryNames): RegistryResult {
  const { value, locate } = entry;
  if (!isObject(value)) return error(locate, "must be a mapping");
  if (value["kind"] !== "registry") return { diagnostics: [] };
  const result = connectionSchema.safeParse(value);
  if (!result.success) return { diagnostics: schemaDiagnostics(result.error, entry) };
  return { ...connectionRegistry(result.data, locate, names), diagnostics: [] };
}

type Locate = LocatedValue["locate"];

function error(locate: Locate, message: string): RegistryResult {
  return { diagnostics: [{ location: locate([]), message }] };
}

function connectionRegistry(
  { name, schema, secret }: z.output<typeof connectionSchema>,
  locate: Locate,
  names: RegistryNames,
): { readonly registry?: ConfiguredRegistry } {
  if (secret === undefined) return {};
  return {
    registry: {
      ...REGISTRY_DEFAULTS,
      name: names.nameFor(name),
      address: schema.url,
      secretName: secret.name,
      buildSource:
        secret.mountPath === undefined
          ? undefined
          : { kind: "own-secret", directory: normalisePath(secret.mountPath) },
      list: "connections",
      locate,
    },
  };
}

function privateRegistry(
  { address, username, password }: RegistryUri,
  locate: Locate,
  names: RegistryNames,
): ConfiguredRegistry {
  const name = names.nameFor(address.text);
  return {
    ...REGISTRY_DEFAULTS,
    name,
    address,
    secretName: `pullpass-${name}`,
    source: { kind: "password", username, secret: { kind: "inline", value: new Sensitive(password) } },
    // Builders cannot use a *.
    buildSource: address.isWildcard ? undefined : { kind: "build-secret" },
    list: "privateRegistries",
    locate,
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
  const user = readUsername(username);
  if (user.kind === "unusable") return `must be ${FORM}: the user ${user.fault}`;
  const secret = readCredentialText(password);
  if (secret.kind === "unusable") return `must be ${FORM}: the password ${secret.fault}`;
  try {
    return { username: user.text, password: secret.text, address: parseAddress(bare.slice(at + 1)) };
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
