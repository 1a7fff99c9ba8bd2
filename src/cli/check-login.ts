/** `pullpass check --login`: decides what to ask of which registry, asks, and says what the answer was. */
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import { readCredentials, UnusableCredentialsError, type Environment } from "../config/credentials.ts";
import type { AddressedCredential } from "../core/credential.ts";
import type { ImageReference } from "../core/image-reference.ts";
import { quote } from "../core/quote.ts";
import { indexRegistries, selectRegistries, type Registry } from "../core/registry.ts";
import {
  checkLogin,
  type Failure,
  type LoginOutcome,
  type LoginReport,
  type PullOutcome,
} from "../registry/login.ts";
import { passOver, planLogins, type LoginStep } from "../registry/plan-logins.ts";
import { inParallel } from "./in-parallel.ts";
import { isSecretSource } from "./registries-source.ts";
import type { ReadSecretSource } from "./secret-sources.ts";

export interface LoginSources {
  readonly environment: Environment;
  /** Without it, registries whose credentials are in a Secret are not asked. */
  readonly readSecretSource?: ReadSecretSource | undefined;
  /** What providers handed out, by the names of registries. */
  readonly provided?: ReadonlyMap<string, readonly AddressedCredential[]>;
}

/** More would not be faster where one name server and one line serve all. */
const MAX_PARALLEL = 8;

/** The lines in the order of the configuration: one for each registry, or for each of the hosts behind a `*`. */
export async function checkLogins(
  { registries }: Configuration,
  { byRegistry }: PullRequests,
  sources: LoginSources,
): Promise<readonly LoginLine[]> {
  const planned = await Promise.all(
    registries.map(async (registry) => {
      const steps = await planRegistry(registry, byRegistry.get(registry) ?? [], sources);
      return steps.map((step) => ({ registry, step }));
    }),
  );
  return inParallel(planned.flat(), MAX_PARALLEL, ({ registry, step }) => takeStep(registry, step));
}

/*
 * the credentials are in        | the steps
 * a file or the environment     | those of planLogins, or a failure if they cannot be read
 * a Secret, and it can be asked | the same
 * a Secret, without a cluster   | passed over
 * a Secret that an admin keeps  | passed over
 * a provider, which answered    | those of planLogins
 * a provider, and it did not    | a failure
 */
async function planRegistry(
  registry: ConfiguredRegistry,
  images: readonly ImageReference[],
  { environment, readSecretSource, provided }: LoginSources,
): Promise<readonly LoginStep[]> {
  const { source, address, secretName } = registry;
  if (source?.kind === "provider") {
    const credentials = provided?.get(registry.name) ?? [];
    return credentials.length === 0
      ? [passOver("its provider handed out no credentials", true)]
      : planLogins(registry, credentials, images);
  }
  if (source === undefined) return [passOver(`an admin keeps Secret ${secretName} in the namespaces`)];
  try {
    if (!isSecretSource(source)) return planLogins(registry, readCredentials(registry, environment), images);
    if (readSecretSource !== undefined)
      return planLogins(registry, await readSecretSource(source, address), images);
    const namespace = source.kind === "secret" ? source.namespace : undefined;
    const secret = namespace === undefined ? source.name : `${namespace}/${source.name}`;
    return [passOver(`its credentials are in Secret ${secret}`)];
  } catch (error) {
    if (!(error instanceof UnusableCredentialsError)) throw error;
    // The check itself has printed what is wrong with a file or a variable.
    return [passOver(isSecretSource(source) ? error.message : "its credentials cannot be read", true)];
  }
}

async function takeStep({ name, address }: ConfiguredRegistry, step: LoginStep): Promise<LoginLine> {
  if (step.kind === "pass-over") {
    return { text: `${name}: ${address.text}: not asked: ${step.reason}`, isFailure: step.isFailure };
  }
  const { authority } = step.address;
  const report = await checkLogin({ authority, credential: step.credential, images: step.images });
  return loginLine(`${name}: ${step.address.text}`, report);
}

/** The images of `--pull`, by the registries whose secrets a pod would get for them. */
export interface PullRequests {
  readonly byRegistry: ReadonlyMap<Registry, readonly ImageReference[]>;
  /** A sentence for each string that is not an image, or is an image that no registry covers. */
  readonly faults: readonly string[];
}

export function planPulls(texts: readonly string[], { registries }: Configuration): PullRequests {
  const index = indexRegistries(registries);
  const byRegistry = new Map<Registry, ImageReference[]>();
  const faults: string[] = [];
  for (const text of new Set(texts)) {
    const lookup = index.lookUp(text);
    if (lookup.kind === "invalid") {
      faults.push(`--pull ${quote(text)} is not an image reference: ${lookup.reason}`);
      continue;
    }
    // As in a namespace that may have them all.
    const selected = selectRegistries(lookup.covering, () => true);
    if (selected.length === 0) faults.push(`--pull ${text}: no configured registry covers it`);
    for (const registry of selected) {
      byRegistry.set(registry, [...(byRegistry.get(registry) ?? []), lookup.reference]);
    }
  }
  return { byRegistry, faults };
}

const FAILURES: Readonly<Record<Failure["kind"], string>> = {
  refused: "refused",
  "not-reached": "not reached",
  "unusable-answer": "no usable answer",
};

interface LoginLine {
  readonly text: string;
  /** Whether credentials that were asked about do not work, or nobody could tell. */
  readonly isFailure: boolean;
}

/** `subject` is the registry's name and what was asked: `team-a: registry.example.com/team-a`. */
function loginLine(subject: string, { login, pulls }: LoginReport): LoginLine {
  const parts = [
    formatLogin(login),
    ...pulls.map(({ image, outcome }) =>
      formatPull(image.path, image.digest ?? image.tag ?? "latest", outcome),
    ),
  ];
  const isFailure = isFailed(login) || pulls.some(({ outcome }) => isFailed(outcome));
  return { text: `${subject}: ${parts.join(", ")}`, isFailure };
}

function formatLogin(login: LoginOutcome): string {
  switch (login.kind) {
    case "works":
      return `login works (${login.flow})`;
    case "asks-for-none":
      return "asks for no login";
    default:
      return formatFailure(login);
  }
}

function formatPull(path: string, version: string, outcome: PullOutcome): string {
  switch (outcome.kind) {
    case "allowed":
      return `may pull ${path}`;
    case "not-there":
      return `may pull ${path}, where there is no ${version}`;
    case "refused":
      return `may not pull ${path}: ${outcome.reason}`;
    default:
      return `cannot tell whether it may pull ${path}: ${formatFailure(outcome)}`;
  }
}

function formatFailure({ kind, reason }: Failure): string {
  return `${FAILURES[kind]}: ${reason}`;
}

function isFailed({ kind }: LoginOutcome | PullOutcome): boolean {
  return kind in FAILURES;
}
