/** Configurations from texts, without files. */
import type { Configuration } from "../../src/config/configuration.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { formatDiagnostic, InvalidConfigurationError } from "../../src/config/diagnostics.ts";

export function loadText(text: string): Configuration {
  return loadConfiguration([{ path: "pullpass.yaml", text }]);
}

/** Everything that is wrong with a text, a line each; fails on any other error. */
export function diagnosticsIn(text: string): readonly string[] {
  try {
    loadText(text);
    return [];
  } catch (error) {
    if (error instanceof InvalidConfigurationError) return error.diagnostics.map(formatDiagnostic);
    throw error;
  }
}
