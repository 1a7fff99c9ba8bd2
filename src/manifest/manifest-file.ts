/** Reads files of manifests. */
import { objectsIn } from "./objects.ts";
import { parseDocument, type ParsedDocument } from "./parse-document.ts";
import type { PodTemplateKinds } from "./pod-template-kinds.ts";
import { splitDocuments } from "./split-documents.ts";

/** Manifests as they came from one file or from standard input. */
export interface ManifestFile {
  readonly name: string;
  readonly text: string;
}

/** One document of a file. */
export interface ManifestDocument extends ParsedDocument {
  readonly file: string;
  /** With the line that divides it from the one before; the texts of all documents are that of the file. */
  readonly text: string;
  /** The line of the file where the text begins, from 1. */
  readonly firstLine: number;
}

/** Thrown by {@link requireReadable}; names the file and the line. */
export class UnreadableManifestError extends Error {
  override readonly name = "UnreadableManifestError";

  constructor(file: string, line: number, fault: string) {
    super(`${file}:${line.toString()}: ${fault}`);
  }
}

/** What cannot be parsed is among them, with its fault. */
export function parseManifests({ name, text }: ManifestFile): readonly ManifestDocument[] {
  let line = 1;
  return splitDocuments(text).map((part) => {
    const firstLine = line;
    line += part.match(/\r\n|\r|\n/g)?.length ?? 0;
    return { ...parseDocument(part, firstLine), file: name, text: part, firstLine };
  });
}

/** @throws UnreadableManifestError */
export function requireReadable(document: ManifestDocument): ManifestDocument {
  const { file, fault } = document;
  if (fault !== undefined) throw new UnreadableManifestError(file, fault.line, `not YAML: ${fault.message}`);
  return document;
}

/** Whether a document that cannot be parsed may be of a kind with a pod template, as far as its `kind` can be made out. */
export function mayHoldPodTemplate({ value, text }: ManifestDocument, kinds: PodTemplateKinds): boolean {
  const [object] = objectsIn(value);
  const named = object === undefined ? kindsNamedIn(text) : [object.kind];
  const known = new Set([...kinds.values()].flatMap((rows) => rows.map(({ kind }) => kind)));
  return named.some(
    (kind) => known.has(kind) || kind.endsWith("List") || kind === "Template" || !/^\w+$/.test(kind),
  );
}

function kindsNamedIn(text: string): readonly string[] {
  return [...text.matchAll(/\bkind["']?[ \t]*:[ \t]*["']?([^\s"',}]+)/g)].map(([, kind = ""]) => kind);
}
