/** ClusterRegistries beside the registries of the file: what each says, and which of them are used. */
import { getString, isObject, type JsonObject } from "../core/kubernetes.ts";
import { BUILD_SECRET_NAME } from "../core/replication.ts";
import type { RegistryFault } from "../core/registry-status.ts";
import {
  configuredRegistry,
  type Configuration,
  type ConfiguredRegistry,
  type CredentialSource,
} from "./configuration.ts";
import { formatKeyPath, schemaDiagnostics, type LocatedValue } from "./diagnostics.ts";
import { isDnsLabel } from "./fields.ts";
import { providerFault } from "./providers.ts";
import { REGISTRY_KIND } from "./registry-crd.ts";
import { registryObjectSchema, type RegistryObjectEntry } from "./schema.ts";

/** A ClusterRegistry as far as it says something about a registry. */
export interface RegistryObject {
  readonly name: string;
  /** Of its creation, as the API server writes it. */
  readonly createdAt: string;
  readonly spec: unknown;
  /** The spec that was used last; it stays in force while `spec` cannot be used. */
  readonly lastGoodSpec?: unknown;
}

/** The registries of the file and of the objects, as one list. */
export interface JoinedRegistries {
  /** The file's first, in their order; then those of the objects, the oldest first. */
  readonly registries: readonly ConfiguredRegistry[];
  /** Why objects are not used, by their names. */
  readonly faults: ReadonlyMap<string, RegistryFault>;
}

type JoinedConfiguration = Pick<Configuration, "registries" | "providers" | "isFromFiles">;

/*
 * The first row that holds decides.
 *
 * the object                                          | it is                                  | fault
 * has the name of a registry of the file              | not used                               | NameTakenByFile
 * has a spec that the schema refuses, or would write  | used by its last good spec, if that is | InvalidSpec
 *   a Secret that another registry or a build has,    |   known, and not used otherwise        |
 *   or that the provider it names cannot serve        |                                        |
 * anything else                                       | used                                   | none
 */
export function joinRegistryObjects(
  { registries: fromFile, providers, isFromFiles }: JoinedConfiguration,
  objects: Iterable<RegistryObject>,
): JoinedRegistries {
  const registries = [...fromFile];
  const faults = new Map<string, RegistryFault>();
  const inFile = new Set(fromFile.map(({ name }) => name));
  const writers = new Map(fromFile.filter(writesCopies).map((registry) => [registry.secretName, registry]));
  /** Returns what is wrong. */
  const use = (object: RegistryObject): string | undefined => {
    const result = readRegistryObject(object);
    if (result.kind === "invalid") return result.message;
    const { registry } = result;
    const unprovided = isFromFiles ? providerFault(registry, providers) : undefined;
    if (unprovided !== undefined) {
      return `${formatKeyPath(["spec", ...unprovided.field])}: ${unprovided.message}`;
    }
    const conflict = secretConflict(registry, writers);
    if (conflict !== undefined) return `spec.secretName: ${conflict}`;
    registries.push(registry);
    if (writesCopies(registry)) writers.set(registry.secretName, registry);
    return undefined;
  };
  for (const object of [...objects].toSorted(byAge)) {
    const { name, lastGoodSpec } = object;
    if (inFile.has(name)) {
      const message = `the configuration file has a registry ${name}, which is used instead`;
      faults.set(name, { reason: "NameTakenByFile", message });
      continue;
    }
    const message = use(object);
    if (message === undefined) continue;
    faults.set(name, { reason: "InvalidSpec", message });
    if (lastGoodSpec !== undefined) use({ ...object, spec: lastGoodSpec });
  }
  return { registries, faults };
}

function byAge(a: RegistryObject, b: RegistryObject): number {
  const [left, right] = [`${a.createdAt} ${a.name}`, `${b.createdAt} ${b.name}`];
  return left < right ? -1 : Number(left > right);
}

function writesCopies({ source }: ConfiguredRegistry): boolean {
  return source !== undefined;
}

function secretConflict(
  registry: ConfiguredRegistry,
  writers: ReadonlyMap<string, ConfiguredRegistry>,
): string | undefined {
  const { secretName } = registry;
  if (secretName === BUILD_SECRET_NAME) return `Secret ${secretName} is for builders; choose another name`;
  const writer = writesCopies(registry) ? writers.get(secretName) : undefined;
  return writer && `registry ${writer.name} writes Secret ${secretName} already`;
}

export type RegistryObjectResult =
  | { readonly kind: "registry"; readonly registry: ConfiguredRegistry }
  /** `problems` are all that is wrong, and `message` is the same as one text. Neither repeats a value. */
  | {
      readonly kind: "invalid";
      readonly message: string;
      readonly problems: readonly { readonly field: string; readonly message: string }[];
    };

export function readRegistryObject({ name, spec }: RegistryObject): RegistryObjectResult {
  const file = `${REGISTRY_KIND} ${name}`;
  const located: LocatedValue = {
    value: spec,
    locate: (path) => ({ file, line: undefined, path: ["spec", ...path] }),
  };
  if (!isDnsLabel(name)) {
    const message = "the name is not a DNS label";
    return { kind: "invalid", message, problems: [{ field: "metadata.name", message }] };
  }
  const { data, error } = registryObjectSchema.safeParse(spec);
  if (error !== undefined) {
    const problems = schemaDiagnostics(error, located).map(({ location, message }) => ({
      field: formatKeyPath(location.path),
      message,
    }));
    const message = problems.map((problem) => `${problem.field}: ${problem.message}`).join("; ");
    return { kind: "invalid", message, problems };
  }
  const source = data.auth === undefined ? undefined : sourceOf(data.auth);
  const registry = configuredRegistry({ name, ...data }, { source, list: "objects", locate: located.locate });
  return { kind: "registry", registry };
}

/** The schema ensures that there is either a Secret or a provider. */
function sourceOf({
  type,
  secretRef,
  provider = "",
  username,
}: NonNullable<RegistryObjectEntry["auth"]>): CredentialSource {
  if (type === "Provider") return { kind: "provider", provider };
  return { kind: "offered-secret", name: secretRef?.name ?? "", type, username };
}

/** Reads a ClusterRegistry as the API server sends it. */
export function asRegistryObject({ metadata, spec }: JsonObject): RegistryObject {
  const meta = isObject(metadata) ? metadata : {};
  return {
    name: getString(meta, "name") ?? "",
    createdAt: getString(meta, "creationTimestamp") ?? "",
    spec,
  };
}
