/** Configurations from texts, without files. */
import type { Configuration } from "../../src/config/configuration.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { formatProblem, InvalidConfigurationError } from "../../src/config/place.ts";

export function loadText(text: string): Configuration {
  return loadConfiguration([{ path: "pullpass.yaml", text }]);
}

/** Everything that is wrong with a text, a line each; fails on any other error. */
export function problemsIn(text: string): readonly string[] {
  try {
    loadText(text);
    return [];
  } catch (error) {
    if (error instanceof InvalidConfigurationError) return error.problems.map(formatProblem);
    throw error;
  }
}
