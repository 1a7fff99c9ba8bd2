/**
 * Credential providers: programs that hand out credentials, as kubelet runs them, and which of what they hand out is for a registry.
 *
 * The rules are kubelet's (k8s.io/kubernetes `pkg/credentialprovider/keyring.go` and `plugin/plugin.go`).
 */
import { coveredHosts, globMatches, splitPort, type Address } from "./address.ts";
import type { Sensitive } from "./credential.ts";

/** An entry of a kubelet's CredentialProviderConfig. */
export interface CredentialProvider {
  /** The name of the program, in the directory of the programs. */
  readonly name: string;
  /** kubelet's own protocol, or that of docker's credential helpers. */
  readonly protocol: "kubelet" | "docker";
  /** Patterns of the images that it is asked about; empty, which kubelet refuses, is all. */
  readonly matchImages: readonly string[];
  /** For how long an answer holds that does not say. */
  readonly defaultCacheDurationMs: number | undefined;
  /** For how long a credential is used beside the one that replaced it. */
  readonly gracePeriodMs: number;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: Sensitive }[];
}

/** The Secret, in Pullpass's own namespace, that keeps what providers handed out. It is no source of credentials by itself. */
export const ANSWERS_SECRET_NAME = "pullpass-provider-answers";

/** One question to a provider: about an image, for the concrete address of a registry. */
export interface ProviderRequest {
  readonly address: Address;
  /** `host[:port]/path`, without tag and digest. */
  readonly image: string;
}

/**
 * What to ask a provider for a registry: about its address, or about each of its hosts where the address has a `*`.
 *
 * Where an address is a host alone, the image is one that nobody has: Google's provider cuts what it is given at the first slash.
 */
export function requestsFor({
  address,
  hosts,
}: {
  readonly address: Address;
  readonly hosts: readonly Address[];
}): readonly ProviderRequest[] {
  const concrete = address.isWildcard ? coveredHosts(address, hosts) : [address];
  const unique = new Map(concrete.map((each) => [each.text, each]));
  return Array.from(unique.values(), (each) => ({
    address: each,
    image: `${each.authority}/${each.path === "" ? "pullpass" : each.path}`,
  }));
}

/** Whether kubelet would ask the provider about the image. */
export function isAskedAbout(
  { matchImages }: Pick<CredentialProvider, "matchImages">,
  image: string,
): boolean {
  return matchImages.length === 0 || matchImages.some((pattern) => patternMatches(pattern, image));
}

/*
 * Does a pattern match an image? All have to hold (kubelet's URLsMatch):
 *
 * port      | equal as text; none equals only none
 * host      | as many labels, and each label matches as a glob in which * stands for any run, also none
 * path      | that of the image begins with it, as a plain string: /foo matches /foobar
 *
 * Unlike an address, a pattern's path may end within a word, and Docker Hub has no second name.
 */
export function patternMatches(pattern: string, image: string): boolean {
  const [glob, target] = [splitUrl(pattern), splitUrl(image)];
  if (glob === undefined || target === undefined) return false;
  const [globHost, targetHost] = [splitPort(glob.authority), splitPort(target.authority)];
  return (
    globHost.port === targetHost.port &&
    target.path.startsWith(glob.path) &&
    globMatches(globHost.host, targetHost.host)
  );
}

/**
 * The keys that match an image, in the order in which kubelet tries them: by bytes, descending, so that longer ones come before shorter
 * ones and those without `*` before those with one. A scheme and a leading `/v1` or `/v2` do not count.
 */
export function matchingKeys(keys: Iterable<string>, image: string): readonly string[] {
  return [...keys]
    .flatMap((key) => {
      const index = indexKeyOf(key);
      return index !== undefined && patternMatches(index, image) ? [{ key, index }] : [];
    })
    .toSorted((a, b) => compareText(b.index, a.index))
    .map(({ key }) => key);
}

/** As kubelet's keyring keeps a key; undefined if it is not a URL. */
function indexKeyOf(key: string): string | undefined {
  const url = splitUrl(key.replace(/^https?:\/\//, ""));
  if (url === undefined) return undefined;
  const path = url.path.replace(/^\/v[12]\//, "/");
  return path === "/" ? url.authority : url.authority + path;
}

/** Host and path as Go's net/url reads them after a scheme; undefined where it fails. */
function splitUrl(text: string): { readonly authority: string; readonly path: string } | undefined {
  const [beforeQuery = ""] = text.split(/[?#]/, 1);
  const slash = `${beforeQuery}/`.indexOf("/");
  const path = beforeQuery.slice(slash);
  const authority = beforeQuery.slice(beforeQuery.lastIndexOf("@", slash) + 1, slash);
  // Brackets are for IPv6 alone.
  if (/[\s\\%<>"{}|^`]/.test(authority) || /^.+\[|^\[[^\]]*$/.test(authority)) return undefined;
  try {
    return { authority, path: decodeURIComponent(path) };
  } catch {
    return undefined;
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
