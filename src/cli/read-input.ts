/** Reads what the commands are given, from files and from standard input. */
import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { messageOf } from "../core/error-message.ts";
import { decodeManifests, type Encoding } from "../manifest/encoding.ts";
import type { ManifestFile } from "../manifest/manifest-file.ts";

type ReadStdin = () => Promise<Buffer>;

const STANDARD_INPUT = "(standard input)";

/** Manifests of a file, or of standard input for `-`. @throws the system's error, or one for bytes that are no text. */
export async function readManifests(
  name: string,
  readStdin: ReadStdin,
): Promise<ManifestFile & { readonly encoding: Encoding }> {
  const title = name === "-" ? STANDARD_INPUT : name;
  const bytes = name === "-" ? await readStdin() : readFileSync(name);
  try {
    return { name: title, ...decodeManifests(bytes) };
  } catch (error) {
    throw new Error(`${title}: ${messageOf(error)}`, { cause: error });
  }
}

/** The last line break ends the last line; it does not begin another. White space is kept: it makes an image invalid. */
export async function readLines(readStdin: ReadStdin): Promise<readonly string[]> {
  const bytes = await readStdin();
  if (!isUtf8(bytes)) throw new Error(`${STANDARD_INPUT}: not UTF-8`);
  const text = bytes.toString("utf8");
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}
