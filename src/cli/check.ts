/** `pullpass check`: every error and every warning about a configuration. */
import type { Configuration, ConfiguredRegistry } from "../config/configuration.ts";
import { readCredentials, UnusableCredentialsError, type Environment } from "../config/credentials.ts";
import { formatDiagnostic, inReadingOrder, type Diagnostic } from "../config/diagnostics.ts";
import { findCredentialWarnings, findWarnings } from "../config/warnings.ts";

export interface CheckReport {
  readonly lines: readonly string[];
  readonly errorCount: number;
}

/** Checks what a valid configuration points at: credentials are read and thrown away. */
export function checkConfiguration(configuration: Configuration, environment: Environment): CheckReport {
  const results = configuration.registries.map((registry) => checkCredentials(registry, environment));
  const errors = results.flatMap((result) => result.error ?? []);
  const warnings = [...findWarnings(configuration), ...results.flatMap((result) => result.warnings)];
  const files = configuration.registries.map(({ locate }) => locate([]).file);
  const lines = [
    ...errors.map((diagnostic) => `error: ${formatDiagnostic(diagnostic)}`),
    ...inReadingOrder(warnings, [...new Set(files)]).map(
      (diagnostic) => `warning: ${formatDiagnostic(diagnostic)}`,
    ),
    summary(configuration, errors.length, warnings.length),
  ];
  return { lines, errorCount: errors.length };
}

function checkCredentials(
  registry: ConfiguredRegistry,
  environment: Environment,
): { readonly error?: Diagnostic; readonly warnings: readonly Diagnostic[] } {
  try {
    return { warnings: findCredentialWarnings(registry, readCredentials(registry, environment)) };
  } catch (error) {
    if (!(error instanceof UnusableCredentialsError)) throw error;
    return { error: { location: registry.locate(error.field), message: error.reason }, warnings: [] };
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
