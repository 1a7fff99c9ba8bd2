/** `pullpass check`: runs each credential provider once, and says what came of it, but never the credential. */
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import type { Diagnostic } from "../config/diagnostics.ts";
import { requestsFor, type CredentialProvider, type ProviderRequest } from "../core/credential-provider.ts";
import type { AddressedCredential } from "../core/credential.ts";
import { expiryOf } from "../core/pull-secret.ts";
import { formatTime } from "../core/registry-status.ts";
import type { ProviderAnswer } from "../providers/answer.ts";
import { askProvider, type Programs } from "../providers/ask.ts";
import { ProviderFailedError } from "../providers/run-program.ts";
import { keyOf } from "../providers/stored-answers.ts";
import { inParallel } from "./in-parallel.ts";

/** What came of one question. */
export interface AskedProvider {
  readonly provider: CredentialProvider;
  readonly request: ProviderRequest;
  readonly durationMs: number;
  /** A predicate where it failed. */
  readonly result: ProviderAnswer | string;
}

/** By the names of registries. */
export type AskedProviders = ReadonlyMap<string, readonly AskedProvider[]>;

const MAX_PARALLEL = 4;

/** Asks for each registry with a provider; for registries with the same question once. */
export async function askProviders(
  { registries, providers }: Configuration,
  programs: Programs,
): Promise<AskedProviders> {
  const questions = registries.flatMap((registry) => {
    const { source } = registry;
    const provider = source?.kind === "provider" && providers.find(({ name }) => name === source.provider);
    if (!provider) return [];
    return requestsFor(registry).map((request) => {
      return { registry: registry.name, provider, request, key: keyOf(provider.name, request) };
    });
  });
  const unique = [...new Map(questions.map((question) => [question.key, question])).values()];
  const asked = await inParallel(unique, MAX_PARALLEL, async ({ key, provider, request }) => {
    return [key, await ask(provider, request, programs)] as const;
  });
  const byKey = new Map(asked);
  const byRegistry = Map.groupBy(questions, ({ registry }) => registry);
  return new Map(
    Array.from(byRegistry, ([name, own]) => [name, own.flatMap(({ key }) => byKey.get(key) ?? [])]),
  );
}

async function ask(
  provider: CredentialProvider,
  request: ProviderRequest,
  programs: Programs,
): Promise<AskedProvider> {
  const startedAt = performance.now();
  const result = await askProvider({ provider, request }, programs, new AbortController().signal).catch(
    (error: unknown) => {
      if (error instanceof ProviderFailedError) return error.message;
      throw error;
    },
  );
  return { provider, request, durationMs: performance.now() - startedAt, result };
}

export function providedCredentials(asked: readonly AskedProvider[]): readonly AddressedCredential[] {
  return asked.flatMap(({ request: { address }, result }) =>
    typeof result === "string" ? [] : [{ address, ...result.credential }],
  );
}

export interface ProviderReport {
  readonly errors: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
  readonly lines: readonly string[];
}

export function reportProviders(
  { name, address, locate }: ConfiguredRegistry,
  asked: readonly AskedProvider[],
): ProviderReport {
  const location = locate(["auth", "provider"]);
  const errors: Diagnostic[] = [];
  const warnings: Diagnostic[] = [];
  const lines: string[] = [];
  for (const { provider, request, durationMs, result } of asked) {
    if (typeof result === "string") {
      errors.push({ location, message: `provider ${provider.name} ${result}` });
      continue;
    }
    const { entryCount, matchCount, cacheKeyType, cacheDurationMs, credential } = result;
    const expiresAt = expiryOf(credential.password);
    if (cacheKeyType === "Image" && address.path === "") {
      const message = `the answer of provider ${provider.name} is for one image alone (cacheKeyType Image), and the address covers more`;
      warnings.push({ location, message });
    }
    const facts = [
      `${matchCount.toString()} of ${entryCount.toString()} ${entryCount === 1 ? "entry matches" : "entries match"}`,
      `cacheKeyType ${cacheKeyType}`,
      cacheDurationMs === undefined ? "no cacheDuration" : `cacheDuration ${formatDuration(cacheDurationMs)}`,
      ...(expiresAt === undefined ? [] : [`expires ${formatTime(expiresAt)}`]),
    ];
    const took = `${(durationMs / 1000).toFixed(1)} s`;
    lines.push(`${name}: ${request.image}: ${provider.name} answered in ${took}: ${facts.join(", ")}`);
  }
  return { errors, warnings, lines };
}

/** Units as Go writes them. */
function formatDuration(ms: number): string {
  if (Math.abs(ms) < 1_000) return `${ms.toString()}ms`;
  const seconds = Math.round(ms / 1000);
  const units = [
    [Math.trunc(seconds / 3600), "h"],
    [Math.trunc(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  return units.map(([count, unit]) => (count === 0 ? "" : `${count.toString()}${unit}`)).join("");
}
