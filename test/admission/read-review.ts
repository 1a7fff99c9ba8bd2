/** Reviews as a real API server sent them. */
import { readdirSync, readFileSync } from "node:fs";

const DIRECTORY = new URL("../fixtures/reviews/", import.meta.url);

/** The body, by the file's name without `.json`. */
export function readReview(name: string): string {
  return readFileSync(new URL(`${name}.json`, DIRECTORY), "utf8");
}

export function reviewNames(): readonly string[] {
  return readdirSync(DIRECTORY).map((file) => file.replace(/\.json$/, ""));
}
