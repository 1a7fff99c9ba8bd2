/** `pullpass check`: every error and every doubt about a configuration. */
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import { readCredentials, UnusableCredentialsError, type Environment } from "../config/credentials.ts";
import { findDoubts } from "../config/doubts.ts";
import { formatProblem, type Problem } from "../config/place.ts";

export interface CheckReport {
  readonly lines: readonly string[];
  readonly errorCount: number;
}

/** Checks what a configuration without errors of form points at: credentials are read and thrown away. */
export function checkConfiguration(configuration: Configuration, environment: Environment): CheckReport {
  const errors = configuration.registries.flatMap((registry) => credentialProblems(registry, environment));
  const doubts = findDoubts(configuration);
  const lines = [
    ...errors.map((problem) => `error: ${formatProblem(problem)}`),
    ...doubts.map((problem) => `doubt: ${formatProblem(problem)}`),
    summary(configuration, errors.length, doubts.length),
  ];
  return { lines, errorCount: errors.length };
}

function credentialProblems(registry: ConfiguredRegistry, environment: Environment): readonly Problem[] {
  try {
    readCredentials(registry, environment);
    return [];
  } catch (error) {
    if (!(error instanceof UnusableCredentialsError)) throw error;
    return [{ place: registry.place, message: error.message }];
  }
}

function summary({ registries }: Configuration, errors: number, doubts: number): string {
  return [
    count(registries.length, "registry", "registries"),
    count(errors, "error"),
    count(doubts, "doubt"),
  ].join(", ");
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toString()} ${number === 1 ? one : many}`;
}
