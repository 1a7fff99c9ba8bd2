/** `pullpass check`: every error and every warning about a configuration. */
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import { readCredentials, UnusableCredentialsError, type Environment } from "../config/credentials.ts";
import { findWarnings } from "../config/warnings.ts";
import { formatDiagnostic, type Diagnostic } from "../config/diagnostics.ts";

export interface CheckReport {
  readonly lines: readonly string[];
  readonly errorCount: number;
}

/** Checks what a configuration without errors of form points at: credentials are read and thrown away. */
export function checkConfiguration(configuration: Configuration, environment: Environment): CheckReport {
  const errors = configuration.registries.flatMap((registry) => credentialDiagnostics(registry, environment));
  const warnings = findWarnings(configuration);
  const lines = [
    ...errors.map((diagnostic) => `error: ${formatDiagnostic(diagnostic)}`),
    ...warnings.map((diagnostic) => `warning: ${formatDiagnostic(diagnostic)}`),
    summary(configuration, errors.length, warnings.length),
  ];
  return { lines, errorCount: errors.length };
}

function credentialDiagnostics(
  registry: ConfiguredRegistry,
  environment: Environment,
): readonly Diagnostic[] {
  try {
    readCredentials(registry, environment);
    return [];
  } catch (error) {
    if (!(error instanceof UnusableCredentialsError)) throw error;
    return [{ location: registry.location, message: error.message }];
  }
}

function summary({ registries }: Configuration, errors: number, warnings: number): string {
  return [
    count(registries.length, "registry", "registries"),
    count(errors, "error"),
    count(warnings, "warning"),
  ].join(", ");
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toString()} ${number === 1 ? one : many}`;
}
