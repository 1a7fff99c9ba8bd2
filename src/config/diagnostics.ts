/**
 * What is wrong with a configuration, and where.
 *
 * People put passwords into the wrong field, so a message never repeats a value. What it may show is what Pullpass
 * publishes in any case, to everybody who may read a pod or a namespace's Secrets' names:
 *
 * shown                                    | where it is published
 * a registry's or a builder's `name`       | the annotation `pullpass.dev/injected`, metrics, logs
 * `address`, once it is parsed             | the host and path that images in pods are written with
 * `secretName`, the `name` of a Secret     | `imagePullSecrets` of pods; requests to the API server
 * keys that the schema knows               | the documentation
 *
 * Everything else is not shown: user names, file paths, names of variables, labels and their values, keys that the schema
 * does not know, and names and addresses that are not valid.
 */

import type { z } from "zod";
import { KNOWN_KEYS } from "./fields.ts";

/** A key or an index on the way into a document. */
export type KeyPath = readonly (string | number)[];

export interface SourceLocation {
  readonly file: string;
  /** From 1; undefined for the file as a whole. */
  readonly line: number | undefined;
  readonly path: KeyPath;
  /** The name of the list's entry that the path leads into, if it has a valid one. */
  readonly entryName?: string;
}

/** A document, or an entry of one of its lists, as plain values, with the locations of its parts. */
export interface LocatedValue {
  readonly value: unknown;
  readonly locate: (path: KeyPath) => SourceLocation;
}

/** An error or a warning. */
export interface Diagnostic {
  readonly location: SourceLocation;
  readonly message: string;
}

/** `pullpass.yaml:12: registries[0] (team-a).auth.username: is missing`. */
export function formatDiagnostic({ location, message }: Diagnostic): string {
  const path = formatKeyPath(location.path, location.entryName);
  return `${formatLocation(location)}: ${path === "" ? "" : `${path}: `}${message}`;
}

/** `pullpass.yaml:12`. */
export function formatLocation({ file, line }: SourceLocation): string {
  return line === undefined ? file : `${file}:${line.toString()}`;
}

/** By file, in the order of `files`, and by line. */
export function inReadingOrder(
  diagnostics: readonly Diagnostic[],
  files: readonly string[],
): readonly Diagnostic[] {
  const positions = new Map(files.map((file, index) => [file, index]));
  const positionOf = ({ location }: Diagnostic): number => positions.get(location.file) ?? 0;
  const lineOf = ({ location }: Diagnostic): number => location.line ?? 0;
  return diagnostics.toSorted((a, b) => positionOf(a) - positionOf(b) || lineOf(a) - lineOf(b));
}

/** Thrown with everything that is wrong with a configuration. */
export class InvalidConfigurationError extends Error {
  override readonly name = "InvalidConfigurationError";
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map(formatDiagnostic).join("\n"));
    this.diagnostics = diagnostics;
  }
}

/** `registries[0] (team-a).auth.username`; the name follows the first index. */
export function formatKeyPath(path: KeyPath, entryName?: string): string {
  let formatted = "";
  let name = entryName;
  for (const key of path) {
    if (typeof key === "string") {
      formatted += formatted === "" ? key : `.${key}`;
      continue;
    }
    formatted += `[${key.toString()}]`;
    if (name !== undefined) formatted += ` (${name})`;
    name = undefined;
  }
  return formatted;
}

type Issue = z.core.$ZodIssue;

export function schemaDiagnostics(error: z.ZodError, checked: LocatedValue): readonly Diagnostic[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.filter((key) => typeof key !== "symbol");
    if (issue.code !== "unrecognized_keys") return diagnosticOf(issue, path, checked);
    const known = issue.message.split(" ");
    return issue.keys.map((key) => unknownKey(key, path, known, checked));
  });
}

function diagnosticOf(issue: Issue, path: KeyPath, { locate }: LocatedValue): Diagnostic {
  const location = locate(path);
  const message = messageOf(issue);
  // The keys below matchLabels are the admin's, and may be anything.
  const labels = location.path.indexOf("matchLabels");
  if (labels < 0 || labels === location.path.length - 1) return { location, message };
  const part = issue.code === "invalid_key" ? "keys" : "values";
  return {
    location: { ...location, path: location.path.slice(0, labels + 1) },
    message: `one of its ${part} ${message}`,
  };
}

/** Zod's messages name types, never values. */
function messageOf(issue: Issue): string {
  if (issue.code === "invalid_key") return issue.issues.map(({ message }) => message).join("; ");
  if (issue.code !== "invalid_type") return issue.message;
  const received = /received (\w+)$/.exec(issue.message)?.[1] ?? "something else";
  if (received === "undefined") return "is missing";
  const isContainer = ["object", "record", "array"].includes(issue.expected);
  if (received === "null" && isContainer) return "is empty; indent the lines below that belong to it";
  const hint = issue.expected === "string" && received !== "null" ? "; quote it" : "";
  return `must be ${describeType(issue.expected)}, not ${describeType(received)}${hint}`;
}

function describeType(type: string): string {
  const names: Readonly<Record<string, string>> = {
    string: "a string",
    object: "a mapping",
    record: "a mapping",
    array: "a list",
    null: "empty",
    boolean: "true or false",
    number: "a number",
  };
  return names[type] ?? type;
}

/*
 * An unknown key may be a password: a forgotten quote makes keys of `user:password@host`, wrong indentation of whatever
 * follows. So only a key that reveals nothing is shown. The first row that holds decides:
 *
 * the key                                 | shown | message
 * has no value                            | no    | as in the last row: `{ username: u, secret1 }`
 * is one that other tools want            | yes   | what to do with it
 * resembles one that is known here        | yes   | did you mean ...?
 * is known in another place               | yes   | check the indentation
 * anything else                           | no    | the keys that are known here
 */
function unknownKey(
  key: string,
  path: KeyPath,
  known: readonly string[],
  { value, locate }: LocatedValue,
): Diagnostic {
  const location = locate([...path, key]);
  const hint = valueAt(value, [...path, key]) === null ? undefined : hintFor(key, known);
  if (hint !== undefined) return { location, message: `unknown key; ${hint}` };
  return {
    location: { ...location, path: location.path.slice(0, -1) },
    message: `unknown key, not shown because it may be a password; known keys are ${known.join(", ")}`,
  };
}

function hintFor(key: string, known: readonly string[]): string | undefined {
  if (key === "email") return "email is not needed, remove it";
  const meant = FOREIGN_KEYS.get(key);
  const nearest = meant !== undefined && known.includes(meant) ? meant : nearestKey(key, known);
  if (nearest !== undefined) return `did you mean ${nearest}?`;
  return KNOWN_KEYS.has(key) ? "check the indentation" : undefined;
}

/** What other tools call it. */
const FOREIGN_KEYS: ReadonlyMap<string, string> = new Map([
  ["url", "address"],
  ["server", "address"],
  ["host", "address"],
  ["registry", "address"],
  ["serveraddress", "address"],
  ["path", "file"],
  ["variable", "env"],
  ["selector", "namespaces"],
]);

/** The known key that a key resembles: a third of its characters may differ, and case, `-` and `_` do not count. */
function nearestKey(key: string, known: readonly string[]): string | undefined {
  const written = simplify(key);
  const distances = known
    .map((candidate) => ({ candidate, distance: distanceTo(simplify(candidate), written) }))
    .filter(({ candidate, distance }) => distance <= candidate.length / 3)
    .toSorted((a, b) => a.distance - b.distance);
  return distances[0]?.candidate;
}

function simplify(key: string): string {
  return key.toLowerCase().replace(/[-_]/g, "");
}

/** Levenshtein's distance; 0 for the beginning of a known key, as `pass` of `password`. */
function distanceTo(known: string, written: string): number {
  if (written.length >= 4 && known.startsWith(written)) return 0;
  // Bounds the time for a long key.
  if (written.length > 2 * known.length) return Infinity;
  let row = Array.from({ length: known.length + 1 }, (_, index) => index);
  for (let index = 0; index < written.length; index++) {
    const next = [index + 1];
    for (let column = 1; column <= known.length; column++) {
      const substitution = (row[column - 1] ?? 0) + Number(known[column - 1] !== written[index]);
      next.push(Math.min(substitution, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[known.length] ?? 0;
}

function valueAt(value: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (current, key) => (Object(current) as Readonly<Record<string | number, unknown>>)[key],
    value,
  );
}
