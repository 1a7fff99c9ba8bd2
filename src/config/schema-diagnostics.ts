/** Turns what the schema found into diagnostics with locations. */
import type { z } from "zod";
import type { KeyPath, Diagnostic } from "./diagnostics.ts";
import type { ParsedDocument } from "./yaml-document.ts";

type Issue = z.core.$ZodIssue;

/** `prefix` is the way to the value that was checked, if it is not the document itself. */
export function schemaDiagnostics(
  error: z.ZodError,
  document: ParsedDocument,
  prefix: KeyPath = [],
): readonly Diagnostic[] {
  return error.issues.flatMap((issue) => diagnosticsOfIssue(issue, document, prefix));
}

function diagnosticsOfIssue(issue: Issue, document: ParsedDocument, prefix: KeyPath): readonly Diagnostic[] {
  const path = [...prefix, ...issue.path.filter((key) => typeof key !== "symbol")];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const location = document.locate([...path, key]);
      const isPerhapsAValue = valueAt(document.value, location.path) === null;
      if (isPresentable(key) && !isPerhapsAValue) return { location, message: "unknown key" };
      return {
        location: { ...location, path },
        message: "unknown key, not shown because it may be a value: it has none, or does not look like a key",
      };
    });
  }
  if (issue.code === "invalid_key") {
    return issue.issues.map((inner) => ({
      location: document.locate(path),
      message: `the key ${inner.message}`,
    }));
  }
  return [{ location: document.locate(path), message: messageOf(issue) }];
}

/** In a flow mapping a forgotten quote makes a key of `user:password@host`, and a forgotten key one of a password. */
function isPresentable(key: string): boolean {
  return /^[A-Za-z][A-Za-z_.-]{0,40}$/.test(key);
}

function valueAt(value: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (current, key) => (Object(current) as Readonly<Record<string | number, unknown>>)[key],
    value,
  );
}

/** The library's messages name types, never values. */
function messageOf(issue: Issue): string {
  if (issue.code !== "invalid_type") return issue.message.replace(/^Invalid (?:option|input): /, "");
  const received = /received (\w+)$/.exec(issue.message)?.[1] ?? "something else";
  if (received === "undefined") return "is missing";
  const hint = issue.expected === "string" && received !== "null" ? "; quote it" : "";
  return `must be ${describeType(issue.expected)}, not ${describeType(received)}${hint}`;
}

function describeType(type: string): string {
  const names: Readonly<Record<string, string>> = {
    string: "a text",
    object: "a mapping",
    record: "a mapping",
    array: "a list",
    null: "empty",
    boolean: "true or false",
    number: "a number",
  };
  return names[type] ?? type;
}
