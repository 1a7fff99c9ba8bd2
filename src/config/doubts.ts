/** Finds what is valid in a configuration and probably not meant. */
import type { Address } from "../core/address.ts";
import type { Configuration, ConfiguredRegistry } from "./configuration.ts";
import type { Problem } from "./place.ts";

/** Hosts that serve Docker Hub but that no image is written with; kubelet knows none of them as Docker Hub. */
const HUB_LOOKALIKES: ReadonlySet<string> = new Set([
  "registry-1.docker.io",
  "hub.docker.com",
  "registry.hub.docker.com",
  "*.docker.io",
]);

export function findDoubts(configuration: Configuration): readonly Problem[] {
  const { registries } = configuration;
  const doubts = registries.flatMap((registry) =>
    doubtsOf(registry).map((message) => ({ place: registry.place, message })),
  );
  return [...doubts, ...sharedAddresses(registries)];
}

function doubtsOf(registry: ConfiguredRegistry): readonly string[] {
  const { address, source } = registry;
  const doubts = doubtsOfAddress(address);
  const isInline =
    (source?.kind === "basic" && source.password.kind === "inline") ||
    (source?.kind === "token" && source.token.kind === "inline");
  if (isInline && registry.list === "registries") {
    doubts.push("the credential stands in this file; passwordFrom or tokenFrom keeps it out");
  }
  if (
    address.isWildcard &&
    registry.use.includes("build") &&
    registry.hosts.length === 0 &&
    source !== undefined
  ) {
    doubts.push("builders know no *; list the concrete hosts under hosts, or set use: [pull]");
  }
  if (registry.list === "connections" && registry.use.includes("pull")) {
    doubts.push(
      `kubelet uses Secret ${registry.secretName} only if its type is kubernetes.io/dockerconfigjson; builders need its key config.json or .dockerconfigjson`,
    );
  }
  return doubts;
}

function doubtsOfAddress(address: Address): string[] {
  const doubts: string[] = [];
  if (HUB_LOOKALIKES.has(address.authority)) {
    doubts.push(`${address.authority} is not what images of Docker Hub are matched with; write docker.io`);
  }
  if (/^v[12]$/.test(address.path)) {
    doubts.push(`/${address.path} is read as a repository's path; add a slash to have it taken off`);
  }
  if (address.host === "*") {
    doubts.push("a * alone covers only hosts without a dot, such as localhost");
  }
  if (address.port === "443" || address.port === "80") {
    doubts.push(`covers only images that are written with :${address.port}; no port is a port of its own`);
  }
  return doubts;
}

/** Both are injected, which is right during a migration and a mistake otherwise. */
function sharedAddresses(registries: readonly ConfiguredRegistry[]): readonly Problem[] {
  const doubts: Problem[] = [];
  for (const [index, registry] of registries.entries()) {
    const other = registries.slice(0, index).find(({ address }) => address.text === registry.address.text);
    if (other === undefined || other.secretName === registry.secretName) continue;
    const message = `${other.name} has the same address; pods get both pull secrets`;
    doubts.push({ place: registry.place, message });
  }
  return doubts;
}
