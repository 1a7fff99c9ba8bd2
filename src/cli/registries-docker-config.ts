/** `pullpass registries docker-config`: the credentials of registries as one `config.json`. */
import { Option, type Command } from "commander";
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import { formatSelector } from "../core/labels.ts";
import { quote } from "../core/quote.ts";
import {
  EMPTY_DOCUMENT,
  writeBuildDocument,
  writeNodeDocument,
  type CredentialedRegistry,
} from "../core/write-docker-config.ts";
import { UsageError, type ProgramIo } from "./program-io.ts";
import {
  readAllCredentials,
  readRegistries,
  requireRegistries,
  type RegistryFlags,
  type SecretFlags,
} from "./registries-source.ts";
import { failWith, OUTPUT_OPTION, requireOutput, writeSecret } from "./secret-output.ts";

type Reader = "docker" | "kubelet";

interface DockerConfigFlags extends RegistryFlags, SecretFlags {
  readonly output?: string;
  readonly for: Reader;
}

const WRITERS = { docker: writeBuildDocument, kubelet: writeNodeDocument } as const;
const USES = { docker: "build", kubelet: "pull" } as const;

/** Adds the arguments, the flags and the action, but for `--config`. */
export function registriesDockerConfigCommand(command: Command, io: ProgramIo): Command {
  return command
    .description("write the credentials of registries as one config.json, for a node, a CI job or docker")
    .argument(
      "[name...]",
      "registries; default: those for builds (with --for kubelet: for pulls) that every opted-in namespace may have",
    )
    .option(...OUTPUT_OPTION)
    .addOption(
      new Option("--for <reader>", "who reads the file: kubelet knows * in addresses, docker does not")
        .choices(["docker", "kubelet"])
        .default("docker"),
    )
    .option("--from-cluster", "read ClusterRegistries from the cluster, beside those of --config")
    .option(
      "--kubeconfig <file>",
      "the cluster that registries and Secrets are read from; default: as for serve",
    )
    .option(
      "--namespace <name>",
      "where Secrets are that are named without a namespace; default: as for serve",
    )
    .action(async (names: readonly string[], flags: DockerConfigFlags) => {
      requireRegistries(command, flags);
      requireOutput(flags.output, io);
      const configuration = await readRegistries(flags, io);
      const { registries, left } = chooseRegistries(configuration, names, flags.for);
      const read = await readAllCredentials(registries, flags, io);
      // Half of what was there before is worse than what was there before.
      failWith(
        read.flatMap((each) => ("fault" in each ? each.fault : [])),
        io,
      );
      const sources = read.flatMap((each) => ("fault" in each ? [] : each));
      const write = WRITERS[flags.for];
      const notes = [...left, ...sources.flatMap((source) => findNotWritten(source, write))];
      io.writeError(notes.map((note) => `left out: ${note}\n`).join(""));
      const document = write(sources);
      if (document === EMPTY_DOCUMENT) failWith(["no registry has anything for the file"], io);
      writeSecret(`${document}\n`, flags.output, io);
    });
}

/*
 * the registry                           | named     | not named
 * has no credentials of Pullpass         | wrong     | left out, with a line
 * is limited to some namespaces          | chosen    | left out, with a line: whoever reads the file is in no namespace
 * is not for that use                    | chosen    | left out, with a line
 * anything else                          | chosen    | chosen
 */
function chooseRegistries(
  { registries }: Configuration,
  names: readonly string[],
  reader: Reader,
): { readonly registries: readonly ConfiguredRegistry[]; readonly left: readonly string[] } {
  if (names.length > 0) {
    const byName = new Map(registries.map((registry) => [registry.name, registry]));
    const faults = names.flatMap((name) => {
      const registry = byName.get(name);
      if (registry === undefined) return `there is no registry ${quote(name)}`;
      return registry.source === undefined ? describeUnmanaged(registry) : [];
    });
    if (faults.length > 0) throw new UsageError(faults.join("\n"));
    // In the order of the configuration, which decides between equal addresses.
    return { registries: registries.filter(({ name }) => names.includes(name)), left: [] };
  }
  const left: string[] = [];
  const chosen = registries.filter((registry) => {
    const { name, source, namespaces, use } = registry;
    const isForReader = use.includes(USES[reader]);
    if (!isForReader) left.push(`${name} is not for ${USES[reader]}s; name it to include it`);
    else if (source === undefined) left.push(describeUnmanaged(registry));
    else if (namespaces !== undefined)
      left.push(`${name} is limited to namespaces with ${formatSelector(namespaces)}; name it to include it`);
    return isForReader && source !== undefined && namespaces === undefined;
  });
  return { registries: chosen, left };
}

function describeUnmanaged({ name, secretName }: ConfiguredRegistry): string {
  return `${name} has no credentials of its own: an admin keeps Secret ${secretName} in the namespaces`;
}

/** The credentials for an address with `*`, of which no host is listed. */
function findNotWritten(
  { registry, credentials }: CredentialedRegistry,
  write: (sources: readonly CredentialedRegistry[]) => string,
): readonly string[] {
  return credentials
    .filter((credential) => write([{ registry, credentials: [credential] }]) === EMPTY_DOCUMENT)
    .map(
      ({ address }) =>
        `${registry.name}: docker does not know the * of ${address.text}; list its hosts under hosts`,
    );
}
