/** The list `providers` of the configuration: entries of a kubelet's CredentialProviderConfig, as they are. */
import * as z from "zod";
import { isAskedAbout, requestsFor, type CredentialProvider } from "../core/credential-provider.ts";
import { Sensitive } from "../core/credential.ts";
import { parseGoDuration } from "../core/go-duration.ts";
import type { Configuration, ConfiguredProvider, ConfiguredRegistry } from "./configuration.ts";
import { formatLocation, schemaDiagnostics, type Diagnostic, type LocatedValue } from "./diagnostics.ts";
import { bounded, list, providerName, strictObject } from "./fields.ts";

export const PROVIDER_API_VERSION = "credentialprovider.kubelet.k8s.io/v1";

/** Pullpass's own field; a kubelet has no such thing. */
const DEFAULT_GRACE_PERIOD_MS = 10 * 60_000;

/** In milliseconds. */
const duration = bounded(64).transform((text, context) => {
  const ms = parseGoDuration(text);
  if (ms !== undefined && ms >= 0) return ms;
  context.issues.push({
    code: "custom",
    message: "must be a duration as Go writes it, such as 12h or 10m30s, and not negative",
    input: "",
  });
  return z.NEVER;
});

const pattern = bounded(520).regex(
  /^(?:\[[0-9A-Fa-f:]+\]|[^\s/?#@:[\]]+)(?::\d+)?(?:\/[^\s?#@]*)?$/,
  "must be a pattern of images: host[:port][/path], where a * matches within a label of the host",
);

const environmentVariable = strictObject({
  name: bounded(256)
    .regex(/^[^=\0]+$/, "must be the name of an environment variable")
    .describe("The name of the variable."),
  value: z
    .string()
    .max(32_768, "is too long: at most 32768 characters")
    .regex(/^[^\0]*$/, "contains a NUL character")
    .describe("Its value."),
});

const argument = z
  .string()
  .max(4096, "is too long: at most 4096 characters")
  .regex(/^[^\0]*$/, "contains a NUL character");

const TOKEN_ATTRIBUTES =
  "is not supported: Pullpass runs the program for registries, not for pods, and has no pod's service account token to give to it";

const providerSchema = strictObject({
  name: providerName.describe("The name of the program in the directory --credential-provider-bin-dir."),
  protocol: z
    .enum(["kubelet", "docker"], "must be kubelet or docker")
    .default("kubelet")
    .describe(
      "kubelet: a plugin for kubelets. docker: a credential helper of docker's, `docker-credential-...`.",
    ),
  apiVersion: z
    .literal(PROVIDER_API_VERSION, `must be ${PROVIDER_API_VERSION}; Pullpass speaks no older version`)
    .optional()
    .describe(`The version of kubelet's protocol: ${PROVIDER_API_VERSION}.`),
  matchImages: list(pattern)
    .optional()
    .describe("Which images the program has credentials for, as kubelet matches them."),
  defaultCacheDuration: duration
    .optional()
    .describe("For how long an answer holds that does not say, as a duration of Go: 12h."),
  args: list(argument).default([]).describe("Arguments of the program."),
  env: list(environmentVariable).default([]).describe("Environment variables of the program."),
  credentialGracePeriod: duration
    .default(DEFAULT_GRACE_PERIOD_MS)
    .describe("For how long a credential is used beside the one that replaced it. Default: 10m."),
  tokenAttributes: z
    .unknown()
    .optional()
    .refine((value) => value === undefined, TOKEN_ATTRIBUTES)
    .describe("Not supported."),
}).superRefine(({ protocol, ...entry }, context) => {
  if (protocol === "docker") return;
  // As kubelet requires them.
  for (const key of ["apiVersion", "matchImages", "defaultCacheDuration"] as const) {
    if (entry[key] === undefined) context.addIssue({ code: "custom", message: "is missing", path: [key] });
  }
  if (entry.matchImages?.length === 0)
    context.addIssue({ code: "custom", message: "must name a pattern", path: ["matchImages"] });
});

export interface ProviderResult {
  /** Undefined if something is wrong. */
  readonly provider?: ConfiguredProvider;
  readonly diagnostics: readonly Diagnostic[];
}

export function readProvider(entry: LocatedValue): ProviderResult {
  const { data, error } = providerSchema.safeParse(entry.value);
  if (error !== undefined) return { diagnostics: schemaDiagnostics(error, entry) };
  const { name, protocol, matchImages = [], defaultCacheDuration, credentialGracePeriod, args } = data;
  const provider = {
    ...{ name, protocol, matchImages, args },
    defaultCacheDurationMs: defaultCacheDuration,
    gracePeriodMs: credentialGracePeriod,
    env: data.env.map(({ name: variable, value }) => ({ name: variable, value: new Sensitive(value) })),
    locate: entry.locate,
  };
  return { provider, diagnostics: [] };
}

/** Two programs of one name. */
export function providerConflicts(providers: readonly ConfiguredProvider[]): readonly Diagnostic[] {
  const byName = new Map<string, ConfiguredProvider>();
  return providers.flatMap((provider) => {
    const first = byName.getOrInsert(provider.name, provider);
    if (first === provider) return [];
    const message = `the provider at ${formatLocation(first.locate([]))} has this name already`;
    return { location: provider.locate(["name"]), message };
  });
}

/*
 * Can a registry use its provider? The first row that holds decides.
 *
 * the registry                                                     | field          | the fault
 * names none of the providers                                      | auth.provider  | no such entry
 * has an address with a *, and no hosts that it covers             | hosts          | a program is asked about one host
 * has an address, or a host, that matchImages of it does not cover | auth.provider  | kubelet would not run it, either
 */
export function providerFault(
  { source, address, hosts }: Pick<ConfiguredRegistry, "source" | "address" | "hosts">,
  providers: readonly CredentialProvider[],
): { readonly field: readonly string[]; readonly message: string } | undefined {
  if (source?.kind !== "provider") return undefined;
  const field = ["auth", "provider"];
  const provider = providers.find(({ name }) => name === source.provider);
  if (provider === undefined) {
    return { field, message: "is not the name of an entry of providers in the configuration" };
  }
  const requests = requestsFor({ address, hosts });
  if (requests.length === 0) {
    const message = "must list the hosts behind the * of the address: a provider is asked about one host";
    return { field: ["hosts"], message };
  }
  const uncovered = requests.find(({ image }) => !isAskedAbout(provider, image));
  if (uncovered === undefined) return undefined;
  return { field, message: `matchImages of the provider does not cover ${uncovered.image}` };
}

/** Each provider, where nobody says in which directory its program is. */
export function providersWithoutPrograms(
  { providers }: Pick<Configuration, "providers">,
  directory: string | undefined,
): readonly Diagnostic[] {
  if (directory !== undefined) return [];
  const message = "needs --credential-provider-bin-dir, the directory that the program is in";
  return providers.map(({ locate }) => ({ location: locate([]), message }));
}
