/**
 * A model of the readers of pull secrets, after k8s.io/kubernetes `pkg/credentialprovider/keyring.go` and
 * github.com/google/go-containerregistry `pkg/authn/kubernetes/keychain.go`.
 */
import type { Credential } from "../../src/core/credential.ts";
import { parseDockerConfig } from "../../src/core/docker-config.ts";

/**
 * The key without scheme, user information, query and a leading /v1 or /v2, and with its path decoded; undefined if Go cannot parse
 * it.
 */
export function indexKeyOf(key: string): string | undefined {
  const bare = withoutQuery(key.replace(/^https?:\/\//, ""));
  const [host = ""] = bare.split("/", 1);
  const authority = host.slice(host.lastIndexOf("@") + 1);
  if (authority.startsWith("[") && !authority.includes("]")) return undefined;
  const path = decodeURIComponent(bare.slice(host.length)).replace(/^\/v[12]\//, "/");
  return path === "/" ? authority : authority + path;
}

function withoutQuery(text: string): string {
  return text.replace(/[?#].*$/, "");
}

export function indexKeyMatches(indexKey: string, repository: string): boolean {
  // Go parses both again.
  const [glob, target] = [split(withoutQuery(indexKey)), split(repository)];
  return (
    glob.port === target.port &&
    glob.labels.length === target.labels.length &&
    target.path.startsWith(glob.path) &&
    glob.labels.every((label, index) => labelMatches(label, target.labels[index] ?? ""))
  );
}

function split(text: string): {
  readonly labels: readonly string[];
  readonly port: string;
  readonly path: string;
} {
  const slash = `${text}/`.indexOf("/");
  const [, host = "", port = ""] = /^(.*?)(?::(\d+))?$/.exec(text.slice(0, slash)) ?? [];
  const isBracketed = port !== "" && host.startsWith("[");
  return { labels: (isBracketed ? host.slice(1, -1) : host).split("."), port, path: text.slice(slash) };
}

function labelMatches(glob: string, label: string): boolean {
  // In Go's globs brackets are a character class, which no host matches.
  if (glob.startsWith("[")) return false;
  const pattern = glob.split("*").map((part) => part.replaceAll(/[^\w-]/g, "\\$&"));
  return new RegExp(`^${pattern.join(".*")}$`).test(label);
}

/** What kubelet tries for `domain/path`, in its order. */
export function kubeletTries(document: string, repository: string): readonly Credential[] {
  const found = matching(document, repository);
  const [first = ""] = repository.split("/", 1);
  const isHub = /^(?:index\.)?docker\.io$|^[^.:]*$/.test(first);
  return found.length === 0 && isHub ? (entriesOf(document).get("index.docker.io") ?? []) : found;
}

/** What Knative and others find with the pull secrets of an account; Docker Hub has another name there. */
export function resolverTries(document: string, repository: string): readonly Credential[] {
  return matching(document, repository.replace(/^docker\.io\//, "index.docker.io/"));
}

function matching(document: string, repository: string): readonly Credential[] {
  const keys = [...entriesOf(document)].toSorted(([a], [b]) => (a < b ? 1 : -1));
  return keys.filter(([key]) => indexKeyMatches(key, repository)).flatMap(([, credentials]) => credentials);
}

function entriesOf(document: string): ReadonlyMap<string, readonly Credential[]> {
  const index = new Map<string, readonly Credential[]>();
  for (const [key, credential] of parseDockerConfig(document, "dockerconfigjson").entries) {
    const indexKey = indexKeyOf(key);
    if (indexKey !== undefined) index.set(indexKey, [...(index.get(indexKey) ?? []), credential]);
  }
  return index;
}
