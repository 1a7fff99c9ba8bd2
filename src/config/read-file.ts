/** Reads a file, and says why it cannot be read without naming it: what is taken for a path may be a password. */
import { readFileSync } from "node:fs";
import { getSystemErrorMessage } from "node:util";

/** Thrown by {@link readBytes}, without the system's own error: its message holds the path. */
export class UnreadableFileError extends Error {
  override readonly name = "UnreadableFileError";
}

/** @throws UnreadableFileError with the system's code and its meaning: `ENOENT: no such file or directory`. */
export function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code = "unknown error", errno } = error as NodeJS.ErrnoException;
    throw new UnreadableFileError(errno === undefined ? code : `${code}: ${getSystemErrorMessage(errno)}`);
  }
}
