/** Finds what is valid in a configuration and probably not meant. */
import type { Address } from "../core/address.ts";
import type { Configuration, ConfiguredRegistry } from "./configuration.ts";
import type { Diagnostic } from "./diagnostics.ts";

/** Hosts that serve Docker Hub but that no image is written with; kubelet knows none of them as Docker Hub. */
const HUB_LOOKALIKES: ReadonlySet<string> = new Set([
  "registry-1.docker.io",
  "hub.docker.com",
  "registry.hub.docker.com",
  "*.docker.io",
]);

export function findWarnings(configuration: Configuration): readonly Diagnostic[] {
  const { registries } = configuration;
  const warnings = registries.flatMap((registry) =>
    registryWarnings(registry).map((message) => ({ location: registry.location, message })),
  );
  return [...warnings, ...sharedAddresses(registries)];
}

function registryWarnings(registry: ConfiguredRegistry): readonly string[] {
  const { address, source } = registry;
  const warnings = addressWarnings(address);
  const isInline =
    (source?.kind === "basic" && source.password.kind === "inline") ||
    (source?.kind === "token" && source.token.kind === "inline");
  if (isInline && registry.list === "registries") {
    warnings.push("the credential stands in this file; passwordFrom or tokenFrom keeps it out");
  }
  if (
    address.isWildcard &&
    registry.use.includes("build") &&
    registry.hosts.length === 0 &&
    source !== undefined
  ) {
    warnings.push("builders know no *; list the concrete hosts under hosts, or set use: [pull]");
  }
  if (registry.list === "connections" && registry.use.includes("pull")) {
    warnings.push(
      `kubelet uses Secret ${registry.secretName} only if its type is kubernetes.io/dockerconfigjson; builders need its key config.json or .dockerconfigjson`,
    );
  }
  return warnings;
}

function addressWarnings(address: Address): string[] {
  const warnings: string[] = [];
  if (HUB_LOOKALIKES.has(address.authority)) {
    warnings.push(`${address.authority} is not what images of Docker Hub are matched with; write docker.io`);
  }
  if (/^v[12]$/.test(address.path)) {
    warnings.push(`/${address.path} is read as a repository's path; add a slash to have it taken off`);
  }
  if (address.host === "*") {
    warnings.push("a * alone covers only hosts without a dot, such as localhost");
  }
  if (address.port === "443" || address.port === "80") {
    warnings.push(`covers only images that are written with :${address.port}; no port is a port of its own`);
  }
  return warnings;
}

/** Both are injected, which is right during a migration and a mistake otherwise. */
function sharedAddresses(registries: readonly ConfiguredRegistry[]): readonly Diagnostic[] {
  const warnings: Diagnostic[] = [];
  for (const [index, registry] of registries.entries()) {
    const other = registries.slice(0, index).find(({ address }) => address.text === registry.address.text);
    if (other === undefined || other.secretName === registry.secretName) continue;
    const message = `${other.name} has the same address; pods get both pull secrets`;
    warnings.push({ location: registry.location, message });
  }
  return warnings;
}
