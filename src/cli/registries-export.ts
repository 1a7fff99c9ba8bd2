/** `pullpass registries export`: a configuration's registries as ClusterRegistries and Secrets that mean the same. */
import type { Command } from "commander";
import { stringify } from "yaml";
import {
  REGISTRY_DEFAULTS,
  type Configuration,
  type ConfiguredRegistry,
  type CredentialSource,
} from "../config/configuration.ts";
import { readConfiguration } from "../config/read.ts";
import { REGISTRY_API_VERSION, REGISTRY_KIND } from "../config/registry-crd.ts";
import type { Address } from "../core/address.ts";
import { encodeBase64, type AddressedCredential } from "../core/credential.ts";
import type { JsonObject } from "../core/kubernetes.ts";
import { CREDENTIALS_LABEL } from "../core/labels.ts";
import { writePullDocument } from "../core/write-docker-config.ts";
import type { ProgramIo } from "./program-io.ts";
import { readAllCredentials, type RegistryCredentials, type SecretFlags } from "./registries-source.ts";
import { failWith, OUTPUT_OPTION, requireOutput, writeSecret } from "./secret-output.ts";

interface ExportFlags extends SecretFlags {
  readonly config: readonly string[];
  readonly output?: string;
}

/** Adds the flags and the action, but for `--config`. */
export function registriesExportCommand(command: Command, io: ProgramIo): Command {
  return command
    .description("write the registries of a configuration as ClusterRegistries and Secrets, YAML")
    .option(...OUTPUT_OPTION)
    .option(
      "--namespace <name>",
      "where Pullpass runs: the namespace of the Secrets, and of those that are named without one; default: as for serve",
    )
    .option(
      "--kubeconfig <file>",
      "the cluster that Secrets of the configuration are read from; default: as for serve",
    )
    .action(async (flags: ExportFlags) => {
      const { config, output } = flags;
      requireOutput(output, io);
      const configuration = readConfiguration(config);
      // Loaded only here: the other commands need no cluster.
      const { ownNamespace } = await import("./connect.ts");
      const { name: namespace } = ownNamespace(flags, io.environment);
      const read = await readAllCredentials(configuration.registries, flags, io);
      const { documents, faults } = exportRegistries(read, namespace);
      writeSecret(writeYaml(documents), output, io);
      io.writeError(
        findNotes(configuration)
          .map((note) => `warning: ${note}\n`)
          .join(""),
      );
      failWith(faults, io);
    });
}

/** kubectl reads YAML 1.1, in which `yes` is a boolean; strings are quoted where they would not be strings in it or in 1.2. */
export function writeYaml(documents: readonly JsonObject[]): string {
  const options = { version: "1.1", compat: "core", lineWidth: 0 } as const;
  return documents.map((document) => stringify(document, options)).join("---\n");
}

/** What objects of the cluster say otherwise, or not at all. */
function findNotes({ registries, ...settings }: Configuration): readonly string[] {
  const { providers, builders, attachedServiceAccounts, podTemplates } = settings;
  const left = Object.entries({ providers, builders, serviceAccounts: attachedServiceAccounts, podTemplates })
    .filter(([, entries]) => entries.length > 0)
    .map(([key]) => key);
  const note = `${left.join(", ")}: not registries, and not exported; keep the configuration for them`;
  return [...(left.length === 0 ? [] : [note]), ...orderNotes(registries)];
}

/** Where registries share a host, their order decides whose credentials builders use for it. */
function orderNotes(registries: readonly ConfiguredRegistry[]): readonly string[] {
  const byAuthority = new Map<string, string[]>();
  for (const { name, address, hosts, list } of registries) {
    if (list === "connections") continue;
    for (const authority of new Set([address, ...hosts].map((each) => each.authority)))
      byAuthority.getOrInsert(authority, []).push(name);
  }
  return [...byAuthority].flatMap(([authority, names]) =>
    names.join() === names.toSorted().join()
      ? []
      : `${names.join(", ")}: the configuration has them in this order for ${authority}; ClusterRegistries are ordered by age, and then by name`,
  );
}

/** Registries in the order of the configuration, each after its Secret, and a line for each that cannot be exported. */
export function exportRegistries(
  read: readonly RegistryCredentials[],
  namespace: string,
): { readonly documents: readonly JsonObject[]; readonly faults: readonly string[] } {
  const taken = new Set(read.flatMap(({ registry: { source } }) => secretNameIn(source, namespace) ?? []));
  const documents: JsonObject[] = [];
  const faults: string[] = [];
  for (const each of read) {
    const { registry } = each;
    const { name, secretName, list } = registry;
    if (list === "connections") {
      faults.push(`${name} is not exported: Secret ${secretName} of its connection is Polyaxon's`);
    } else if (registry.source?.kind === "provider") {
      documents.push(objectOf(registry, { type: "Provider", provider: registry.source.provider }));
    } else if ("fault" in each) {
      faults.push(`${name} is not exported: ${each.fault}`);
    } else {
      const secret = { namespace, name: freeName(`${name}-credentials`, taken) };
      documents.push(...exportRegistry(registry, each.credentials, secret));
    }
  }
  return { documents, faults };
}

/** A Secret that a registry of the configuration reads must not be overwritten, possibly with another type. */
function secretNameIn(source: CredentialSource | undefined, namespace: string): string | undefined {
  if (source?.kind !== "secret") return undefined;
  return source.namespace === undefined || source.namespace === namespace ? source.name : undefined;
}

function freeName(name: string, taken: ReadonlySet<string>): string {
  return taken.has(name) ? freeName(`${name}-exported`, taken) : name;
}

function exportRegistry(
  registry: ConfiguredRegistry,
  credentials: readonly AddressedCredential[],
  secret: { readonly namespace: string; readonly name: string },
): readonly JsonObject[] {
  const offer = offerOf(registry, credentials);
  if (offer === undefined) return [objectOf(registry, undefined)];
  const { type, secretType, username } = offer;
  const metadata = { ...secret, labels: { [CREDENTIALS_LABEL]: "true" } };
  const data = Object.fromEntries(
    Object.entries(offer.data).map(([key, text]) => [key, encodeBase64(withLastLineBreak(text))]),
  );
  return [
    { apiVersion: "v1", kind: "Secret", type: secretType, metadata, data },
    objectOf(registry, { type, secretRef: { name: secret.name }, username }),
  ];
}

function objectOf(registry: ConfiguredRegistry, auth: JsonObject | undefined): JsonObject {
  const { name, displayName, address, namespaces, use, secretName, hosts } = registry;
  const isDefaultUse = REGISTRY_DEFAULTS.use.every((each) => use.includes(each));
  // JSON leaves out what is undefined, and YAML's writer does so, too.
  return {
    apiVersion: REGISTRY_API_VERSION,
    kind: REGISTRY_KIND,
    metadata: { name },
    spec: {
      displayName,
      address: writeAddress(address),
      auth,
      namespaces,
      use: isDefaultUse ? undefined : use,
      secretName: secretName === `pullpass-${name}` ? undefined : secretName,
      hosts: hosts.length === 0 ? undefined : hosts.map(writeAddress),
    },
  };
}

/** The text that is read as this address: one leading `/v1/` of the path is taken off. */
function writeAddress({ authority, path, text }: Address): string {
  return /^v[12]\//.test(path) ? `${authority}/v1/${path}` : text;
}

/** Readers take one off: see `readCredentialText`. */
function withLastLineBreak(text: string): string {
  return /[\r\n]$/.test(text) ? `${text}\n` : text;
}

interface Offer {
  readonly type: "BasicAuth" | "Token" | "DockerConfig";
  readonly username?: string | undefined;
  readonly secretType: string;
  readonly data: Readonly<Record<string, string>>;
}

/** Bounds the user name of a ClusterRegistry. */
const MAX_USERNAME_LENGTH = 256;

/*
 * the source                                        | the Secret
 * none                                              | none
 * a token, with a user name that a spec may hold    | Token
 * anything else, with one credential, for the address | BasicAuth
 * anything else                                     | DockerConfig: an address with *, and credentials for some of its hosts
 */
function offerOf(
  registry: ConfiguredRegistry,
  credentials: readonly AddressedCredential[],
): Offer | undefined {
  const { source, address } = registry;
  const [first] = credentials;
  if (first === undefined) return undefined;
  const { username, password } = first;
  if (source?.kind === "token" && (source.username?.length ?? 0) <= MAX_USERNAME_LENGTH)
    return { type: "Token", username: source.username, secretType: "Opaque", data: { token: password } };
  // Of several spellings of the address the first counts.
  if (credentials.every((each) => each.address.text === address.text))
    return { type: "BasicAuth", secretType: "kubernetes.io/basic-auth", data: { username, password } };
  const document = writePullDocument({ ...registry, hosts: [] }, credentials);
  const data = { ".dockerconfigjson": document };
  return { type: "DockerConfig", secretType: "kubernetes.io/dockerconfigjson", data };
}
