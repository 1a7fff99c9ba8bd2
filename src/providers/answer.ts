/** The two protocols that credential providers speak: what they are asked, and what of their answer is for a registry. */
import { matchingKeys, type CredentialProvider, type ProviderRequest } from "../core/credential-provider.ts";
import { decodeUtf8, readCredentialText, readUsername, type Credential } from "../core/credential.ts";
import { parseGoDuration } from "../core/go-duration.ts";
import { isObject, type JsonObject } from "../core/kubernetes.ts";
import { parseJson } from "../core/parse-json.ts";
import { usernameForToken } from "../core/vendor-tokens.ts";
import { ProviderFailedError } from "./run-program.ts";

/** https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/ */
const API_VERSION = "credentialprovider.kubelet.k8s.io/v1";
/** What an answer is for; of docker's helpers it is always the host. */
const CACHE_KEY_TYPES = ["Image", "Registry", "Global"] as const;

export interface ProviderAnswer {
  readonly credential: Credential;
  /** In milliseconds; undefined if the answer does not say. */
  readonly cacheDurationMs: number | undefined;
  readonly cacheKeyType: (typeof CACHE_KEY_TYPES)[number];
  readonly entryCount: number;
  /** Entries that kubelet would try for the image. The credential is that of the first one that is not empty. */
  readonly matchCount: number;
}

/** What the program reads: kubelet's question, or docker's to `get`. */
export function questionFor({ protocol }: CredentialProvider, { address, image }: ProviderRequest): string {
  if (protocol === "kubelet") {
    return JSON.stringify({ kind: "CredentialProviderRequest", apiVersion: API_VERSION, image });
  }
  return address.authority === "docker.io" ? "https://index.docker.io/v1/" : address.authority;
}

/** @throws ProviderFailedError if it holds no credential for the image that kubelet and builders could use. */
export function readAnswer(
  { protocol }: CredentialProvider,
  request: ProviderRequest,
  output: Uint8Array,
): ProviderAnswer {
  const text = decodeUtf8(output);
  if (text === undefined) throw unusable("its answer is not UTF-8");
  const answer = parseJson(text);
  if (!isObject(answer)) throw unusable("its answer is not a JSON object");
  return protocol === "kubelet"
    ? readKubeletAnswer(answer, text, request)
    : readDockerAnswer(answer, request);
}

/*
 * kubelet decodes strictly: a member that is not known, one in another case, and one that is there twice are errors.
 *
 * member        | what it has to be
 * apiVersion    | that of the question
 * kind          | CredentialProviderResponse
 * cacheKeyType  | Image, Registry or Global
 * cacheDuration | absent, null or a duration as Go writes it
 * auth          | absent, null or an object; each member null or an object of username and password: absent, null or a string
 */
function readKubeletAnswer(
  answer: JsonObject,
  text: string,
  { image, address }: ProviderRequest,
): ProviderAnswer {
  if (hasMemberTwice(text)) throw unusable("its answer has a member twice");
  requireMembers(answer, ["kind", "apiVersion", "cacheKeyType", "cacheDuration", "auth"], "its answer");
  if (answer["apiVersion"] !== API_VERSION) throw unusable(`its answer's apiVersion is not ${API_VERSION}`);
  if (answer["kind"] !== "CredentialProviderResponse") {
    throw unusable("its answer's kind is not CredentialProviderResponse");
  }
  const cacheKeyType = CACHE_KEY_TYPES.find((type) => type === answer["cacheKeyType"]);
  if (cacheKeyType === undefined) {
    throw unusable(`its answer's cacheKeyType is none of ${CACHE_KEY_TYPES.join(", ")}`);
  }
  const cacheDurationMs = readDuration(answer["cacheDuration"] ?? undefined);
  const auth = answer["auth"] ?? {};
  if (!isObject(auth)) throw unusable("its answer's auth is not an object");
  const entries = new Map(Object.entries(auth).map(([key, entry]) => [key, readEntry(entry ?? {})]));
  if (entries.size === 0) throw new ProviderFailedError("no-credentials", "answered without credentials");
  const matching = matchingKeys(entries.keys(), image).flatMap((key) => entries.get(key) ?? []);
  const first = matching.find(({ username, password }) => username !== "" && password !== "");
  if (first === undefined) {
    const found = matching.length > 0 ? "is empty" : "is there for";
    const what =
      matching.length > 0
        ? `the entry for ${image} ${found}`
        : `none of its ${entries.size.toString()} entries ${found} ${image}`;
    throw new ProviderFailedError("no-credentials", `answered, but ${what}`);
  }
  return {
    credential: readCredential(first, address.host),
    ...{ cacheDurationMs, cacheKeyType, entryCount: entries.size, matchCount: matching.length },
  };
}

function readDuration(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const ms = typeof value === "string" ? parseGoDuration(value) : undefined;
  if (ms === undefined) throw unusable("its answer's cacheDuration is not a duration");
  return ms;
}

/** Go decodes null into an empty value. */
function readEntry(entry: unknown): Credential {
  if (!isObject(entry)) throw unusable("an entry of its answer's auth is not an object");
  requireMembers(entry, ["username", "password"], "an entry of its answer's auth");
  return { username: readString(entry, "username"), password: readString(entry, "password") };
}

function readString(object: JsonObject, member: string): string {
  const value = object[member] ?? "";
  if (typeof value !== "string") throw unusable(`its answer's ${member} is not a string`);
  return value;
}

/** https://github.com/docker/docker-credential-helpers: the answer is decoded as Go does by default, and says no duration. */
function readDockerAnswer(answer: JsonObject, { address }: ProviderRequest): ProviderAnswer {
  const found = { username: readString(answer, "Username"), password: readString(answer, "Secret") };
  if (found.password === "") throw new ProviderFailedError("no-credentials", "answered without credentials");
  return {
    credential: readCredential(found, address.host),
    ...{ cacheDurationMs: undefined, cacheKeyType: "Registry", entryCount: 1, matchCount: 1 },
  };
}

/** With this user name, docker's helpers hand out identity tokens, which kubelet does not know. */
const IDENTITY_TOKEN = "<token>";

/** Of a token alone the user name is the vendor's. Azure takes its identity tokens as passwords; others do not. */
function readCredential({ username, password }: Credential, host: string): Credential {
  const isToken = username === "" || username === IDENTITY_TOKEN;
  const sent = isToken ? usernameForToken(host, password) : username;
  if (username === IDENTITY_TOKEN && sent === "token") {
    throw unusable("answered with an identity token, which kubelet cannot use");
  }
  const [name, secret] = [readUsername(sent), readCredentialText(password)];
  if (name.kind === "unusable") throw unusable(`its answer's user name ${name.fault}`);
  if (secret.kind === "unusable") throw unusable(`its answer's password ${secret.fault}`);
  return { username: name.text, password: secret.text };
}

function requireMembers(object: JsonObject, known: readonly string[], what: string): void {
  if (Object.keys(object).some((member) => !known.includes(member))) {
    throw unusable(`${what} has a member besides ${known.join(", ")}`);
  }
}

const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/g;

/** In a text that is JSON. */
function hasMemberTwice(text: string): boolean {
  /** The members so far of each object that is open; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let isName = false;
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === "{" || token === "[") open.push(token === "{" ? new Set() : undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (token !== "," && isName) {
      const name = JSON.parse(token) as string;
      if (open.at(-1)?.has(name) === true) return true;
      open.at(-1)?.add(name);
    }
    isName = token === "{" || (token === "," && open.at(-1) !== undefined);
  }
  return false;
}

function unusable(message: string): ProviderFailedError {
  return new ProviderFailedError("unusable-answer", message);
}
