/** What is between the commands and the process: streams, the environment, and errors that decide the exit status. */
import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { messageOf } from "../core/error-message.ts";
import { decodeManifests, type Encoding } from "../manifest/encoding.ts";
import type { ManifestFile } from "../manifest/parse-manifests.ts";

/** What a command needs of the process. */
export interface ProgramIo {
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The directory of the console's pages, as they are built. */
  readonly pages: URL;
  /** All of standard input. */
  readonly readStdin: () => Promise<Buffer>;
  /** Whether standard output is a terminal. */
  readonly isTerminal: boolean;
  writeOut(output: string | Uint8Array): void;
  writeError(text: string): void;
}

/** Thrown where a command found something wrong and has reported it already. */
export class ReportedError extends Error {
  override readonly name = "ReportedError";
  readonly exitCode: 1 | 2 | 3;

  constructor(exitCode: 1 | 2 | 3) {
    super("reported");
    this.exitCode = exitCode;
  }
}

/** Thrown for arguments that do not fit together. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** Thrown where nothing says how the API server is reached, or what says so cannot be used. */
export class NoApiServerError extends UsageError {
  override readonly name = "NoApiServerError";
}

/** As kubelet calls it. */
export const PROGRAM_DIRECTORY_OPTION = [
  "--credential-provider-bin-dir <dir>",
  "where the programs are that providers in the configuration name; several are separated by colons",
] as const;

const STANDARD_INPUT = "(standard input)";

/** Manifests of a file, or of standard input for `-`. @throws the system's error, or one for bytes that are not text. */
export async function readManifests(
  name: string,
  { readStdin }: Pick<ProgramIo, "readStdin">,
): Promise<ManifestFile & { readonly encoding: Encoding }> {
  const title = name === "-" ? STANDARD_INPUT : name;
  const bytes = name === "-" ? await readStdin() : readFileSync(name);
  try {
    return { name: title, ...decodeManifests(bytes) };
  } catch (error) {
    throw new Error(`${title}: ${messageOf(error)}`, { cause: error });
  }
}

/** The last line break ends the last line and does not begin another. White space is kept: it makes an image invalid. */
export async function readLines({ readStdin }: Pick<ProgramIo, "readStdin">): Promise<readonly string[]> {
  const bytes = await readStdin();
  if (!isUtf8(bytes)) throw new Error(`${STANDARD_INPUT}: not UTF-8`);
  const text = bytes.toString("utf8");
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}
