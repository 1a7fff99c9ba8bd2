/** Reads what the commands are given, from files and from standard input. */
import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import type { ManifestFile } from "./manifest-file.ts";

type ReadStdin = () => Promise<Buffer>;

const STANDARD_INPUT = "(standard input)";

/** Manifests of a file, or of standard input for `-`. @throws the system's error, or one for other bytes than UTF-8. */
export async function readManifests(name: string, readStdin: ReadStdin): Promise<ManifestFile> {
  if (name === "-") return { name: STANDARD_INPUT, text: decode(STANDARD_INPUT, await readStdin()) };
  return { name, text: decode(name, readFileSync(name)) };
}

/** Other bytes than UTF-8 would come out as others than went in. A byte order mark is kept. */
function decode(name: string, bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new Error(`${name}: not UTF-8`);
  return bytes.toString("utf8");
}

/** The last line break ends the last line; it does not begin another. White space is kept: it makes an image invalid. */
export async function readLines(readStdin: ReadStdin): Promise<readonly string[]> {
  const text = decode(STANDARD_INPUT, await readStdin());
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}
