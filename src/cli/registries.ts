/** `pullpass registries`, or `pullpass registries list`: the registries of the file and of the cluster, with their state. */
import type { Command } from "commander";
import { authTypeOf, type ConfiguredRegistry } from "../config/configuration.ts";
import { readConfiguration } from "../config/read.ts";
import { asRegistryObject, joinRegistryObjects, readRegistryObject } from "../config/registry-objects.ts";
import { asArray, getString, isObject, type JsonObject } from "../core/kubernetes.ts";
import { escapeControls } from "../core/quote.ts";
import { KubeApiError, KubeUnreachableError } from "../kube/errors.ts";
import { NoApiServerError, type ProgramIo } from "./program-io.ts";
import { readRegistryObjects, warnOfFaults, type RegistryFlags } from "./registries-source.ts";

interface RegistriesFlags extends Omit<RegistryFlags, "fromCluster"> {
  readonly json?: true;
}

/** Adds the flags and the action. `--config` is there already, because other commands have it, too. */
export function registriesCommand(command: Command, io: ProgramIo): Command {
  return command
    .description("list the registries of the configuration and of the cluster, with their state")
    .option("--kubeconfig <file>", "the cluster that is asked; default: as for serve")
    .option("--json", "one JSON object a line")
    .action(async ({ config = [], kubeconfig, json }: RegistriesFlags) => {
      const configuration = readConfiguration(config);
      const objects = await readObjectsIfThere({ config, kubeconfig }, io);
      warnOfFaults(joinRegistryObjects(configuration, objects.map(asRegistryObject)).faults, io);
      const rows = [...configuration.registries.map(describeRegistry), ...objects.map(describeObject)];
      if (json === true) io.writeOut(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
      else if (rows.length > 0) io.writeOut(formatTable(rows));
      else io.writeError("there are no registries\n");
    });
}

/** With a file, and without a cluster that was named, a cluster that does not answer is only worth a line. */
async function readObjectsIfThere(
  { config, kubeconfig }: { readonly config: readonly string[]; readonly kubeconfig: string | undefined },
  io: ProgramIo,
): Promise<readonly JsonObject[]> {
  try {
    return await readRegistryObjects(kubeconfig, io);
  } catch (error) {
    const isNoAnswer =
      error instanceof NoApiServerError ||
      error instanceof KubeApiError ||
      error instanceof KubeUnreachableError;
    if (config.length === 0 || kubeconfig !== undefined || !isNoAnswer) throw error;
    io.writeError(`only the registries of the configuration are listed: ${error.message}\n`);
    return [];
  }
}

/** One registry. What is not known is null; nothing in it is secret. */
interface Row {
  readonly name: string;
  /** The configuration file as it was given, or `cluster`. */
  readonly from: string;
  readonly address: string | null;
  readonly auth: "BasicAuth" | "Token" | "DockerConfig" | "Secret" | "Provider" | "none" | null;
  readonly secret: string | null;
  /** The condition Ready of the object's status. */
  readonly ready: string | null;
  readonly reason: string | null;
  readonly message: string | null;
  readonly namespaces: Readonly<Record<"selected" | "synced" | "refused", number | null>> | null;
  /** When the credentials end, if they say so. */
  readonly expiresAt: string | null;
}

const NO_STATE = { ready: null, reason: null, message: null, namespaces: null, expiresAt: null } as const;

/** Whether another process can read the credentials of a file's registry is not known here. */
function describeRegistry(registry: ConfiguredRegistry): Row {
  const { name, address, secretName, locate } = registry;
  const from = locate([]).file;
  return {
    name,
    from,
    address: address.text,
    auth: authTypeOf(registry) ?? "none",
    secret: secretName,
    ...NO_STATE,
  };
}

/** Of a spec that is not valid nothing is shown: an address may hold a password. */
function describeObject(value: JsonObject): Row {
  const object = asRegistryObject(value);
  const result = readRegistryObject(object);
  const described =
    result.kind === "registry"
      ? describeRegistry(result.registry)
      : { name: object.name, address: null, auth: null, secret: null };
  return { ...described, from: "cluster", ...stateOf(value["status"]) };
}

function stateOf(status: unknown): Omit<Row, "name" | "from" | "address" | "auth" | "secret"> {
  if (!isObject(status)) return NO_STATE;
  const { conditions, namespaces, credentials } = status;
  const ready = asArray(conditions).find((condition) => getString(condition, "type") === "Ready");
  const count = (key: string): number | null => {
    const number = isObject(namespaces) ? namespaces[key] : undefined;
    return typeof number === "number" ? number : null;
  };
  return {
    ready: getString(ready, "status") ?? null,
    reason: getString(ready, "reason") ?? null,
    message: getString(ready, "message") ?? null,
    namespaces: isObject(namespaces)
      ? { selected: count("selected"), synced: count("synced"), refused: count("refused") }
      : null,
    expiresAt: getString(credentials, "expiresAt") ?? null,
  };
}

const HEADER = ["NAME", "FROM", "ADDRESS", "AUTH", "READY", "REASON", "NAMESPACES"];

function formatTable(rows: readonly Row[]): string {
  const lines = [HEADER, ...rows.map(cellsOf)];
  const widths = HEADER.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const format = (cells: readonly string[]): string =>
    cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("   ");
  return lines.map((cells) => `${format(cells).trimEnd()}\n`).join("");
}

function cellsOf({ name, from, address, auth, ready, reason, namespaces }: Row): readonly string[] {
  const counts = namespaces && `${show(namespaces.synced)}/${show(namespaces.selected)}`;
  return [name, from, address, auth, ready, reason, counts].map(show);
}

/** The API server checks the type of what others write into a status, but not its characters. */
function show(value: string | number | null): string {
  return value === null ? "-" : escapeControls(value.toString());
}
