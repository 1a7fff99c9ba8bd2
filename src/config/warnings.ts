/** Finds what is valid in a configuration and probably a mistake. */
import { coveredHosts, type Address } from "../core/address.ts";
import type { AddressedCredential } from "../core/credential.ts";
import { isGitLabDeployToken, tokenLifetime } from "../core/vendor-tokens.ts";
import type { Configuration, ConfiguredRegistry } from "./configuration.ts";
import { fileOf } from "./credentials.ts";
import type { Diagnostic, KeyPath } from "./diagnostics.ts";

/** The warnings that take nothing but the configuration. */
export function findWarnings({ registries }: Configuration): readonly Diagnostic[] {
  return [...registries.flatMap(registryWarnings), ...sharedAddresses(registries)];
}

/** The warnings about the credentials that a registry's source holds now. */
export function findCredentialWarnings(
  registry: ConfiguredRegistry,
  credentials: readonly AddressedCredential[],
): readonly Diagnostic[] {
  const { source } = registry;
  const location = locateField(registry, ["auth"]);
  const warnings = new Set<string>();
  for (const { address, username, password } of credentials) {
    const expiring = tokenLifetime(address.host, username);
    if (expiring !== undefined) {
      const renewal =
        fileOf(source) !== undefined ? "whatever writes the file has to renew it" : "nothing renews this one";
      warnings.add(
        `a token of ${expiring.vendor} expires ${expiring.lifetime} after it is issued; ${renewal}`,
      );
    }
    if (source?.kind === "token" && source.username === undefined && isGitLabDeployToken(password)) {
      warnings.add("username is missing: GitLab refuses a deploy token without its user name");
    }
  }
  return Array.from(warnings, (message) => ({ location, message }));
}

function registryWarnings(registry: ConfiguredRegistry): readonly Diagnostic[] {
  const { address, source, list } = registry;
  const warnings: Diagnostic[] = [];
  const warn = (field: KeyPath, message: string): void => {
    warnings.push({ location: locateField(registry, field), message });
  };
  for (const message of addressWarnings(address)) warn(["address"], message);
  for (const { field, text } of credentialTexts(registry)) {
    if (VARIABLE.test(text)) warn(field, VARIABLE_WARNING);
  }
  const isInline =
    (source?.kind === "password" || source?.kind === "token") && source.secret.kind === "inline";
  if (isInline && list === "registries") {
    warn(["auth", source.kind], `is in this file; ${source.kind}From keeps it out`);
  }
  const isForBuilds = registry.use.includes("build") && source !== undefined;
  if (address.isWildcard && isForBuilds && registry.hosts.length === 0) {
    warn(
      [],
      "builders cannot use an address with *; list the concrete hosts under hosts, or set use: [pull]",
    );
  }
  for (const host of address.isWildcard ? registry.hosts : []) {
    if (coveredHosts(address, [host]).length === 0) {
      warn(["hosts"], `${host.text} is not used: it is not a concrete host that ${address.text} covers`);
    }
  }
  if (list === "connections" && registry.use.includes("pull")) {
    warn(
      [],
      `kubelet uses Secret ${registry.secretName} only if its type is kubernetes.io/dockerconfigjson; builders need its key config.json or .dockerconfigjson`,
    );
  }
  return warnings;
}

/** The entries of Polyaxon's lists have other fields; their warnings are about the entry. */
function locateField({ list, locate }: ConfiguredRegistry, field: KeyPath): Diagnostic["location"] {
  return locate(list === "registries" || list === "objects" ? field : []);
}

/** `${NAME}` as shells and Compose expand it, and `$(NAME)` as Kubernetes does in a container's args. */
const VARIABLE = /\$\{\w+\}|\$\(\w+\)/;
const VARIABLE_WARNING =
  "contains ${...} or $(...), which is taken literally; passwordFrom and tokenFrom can read an environment variable";

/** What a registry's source has for programs alone, by field. */
function credentialTexts({
  source,
}: ConfiguredRegistry): readonly { readonly field: KeyPath; readonly text: string }[] {
  if (source?.kind === "docker-config") return [{ field: ["auth", "file"], text: source.path }];
  if (source?.kind !== "password" && source?.kind !== "token") return [];
  const { kind, username = "", secret } = source;
  const texts = [{ field: ["auth", "username"], text: username }];
  if (secret.kind === "inline") texts.push({ field: ["auth", kind], text: secret.value.reveal() });
  if (secret.kind === "file") texts.push({ field: ["auth", `${kind}From`, "file"], text: secret.path });
  return texts;
}

/** Hosts that serve Docker Hub but that no image is written with; kubelet knows none of them as Docker Hub. */
const HUB_LOOKALIKES: ReadonlySet<string> = new Set([
  "registry-1.docker.io",
  "hub.docker.com",
  "registry.hub.docker.com",
  "*.docker.io",
]);

/** What addresses of web pages and Git repositories have, and registries have not. */
const WEB_PAGES: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/^github\.com(?:\/|$)/, "the registry is ghcr.io"],
  [/^gitlab\.com(?:\/|$)/, "the registry is registry.gitlab.com"],
  [/^quay\.io\/(?:repository|organization)\//, "leave out that first part of the path"],
  [/\/harbor\/(?:projects|sign-in)(?:\/|$)/, "the project's name follows the host"],
  [
    /\/(?:artifactory\/webapp|ui\/(?:repos|native|packages))(?:\/|$)/,
    "the repository's name follows the host",
  ],
  [/\/container_registry(?:\/|$)/, "write the address that images have"],
  [/\.git$/, "write the address that images have"],
];

function addressWarnings({ authority, path, host, port, text }: Address): readonly string[] {
  const warnings: string[] = [];
  if (HUB_LOOKALIKES.has(authority)) {
    warnings.push(`images of Docker Hub do not match ${authority}; write docker.io`);
  }
  if (/^v[12]$/.test(path)) {
    warnings.push(`/${path} is taken for the path of a repository; write /${path}/ or leave it out`);
  }
  const page = WEB_PAGES.find(([pattern]) => pattern.test(text));
  if (page !== undefined) warnings.push(`looks like the address of a web page; ${page[1]}`);
  if (host === "*") warnings.push("a * alone covers only hosts without a dot, such as localhost");
  if (port === "443" || port === "80") {
    warnings.push(`covers only images that are written with :${port}, since ports are compared as written`);
  }
  return warnings;
}

/** Both are injected, which is right during a migration and a mistake otherwise. */
function sharedAddresses(registries: readonly ConfiguredRegistry[]): readonly Diagnostic[] {
  const warnings: Diagnostic[] = [];
  const firstByAddress = new Map<string, ConfiguredRegistry>();
  for (const registry of registries) {
    const first = firstByAddress.get(registry.address.text);
    if (first === undefined) firstByAddress.set(registry.address.text, registry);
    else if (first.secretName !== registry.secretName) {
      const message = `${first.name} has the same address; pods get both pull secrets`;
      warnings.push({ location: registry.locate([]), message });
    }
  }
  return warnings;
}
