/** What is between the commands and the process. */

/** What a command needs of the process. */
export interface ProgramIo {
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** All of standard input. */
  readonly readStdin: () => Promise<Buffer>;
  writeOut(output: string | Uint8Array): void;
  writeError(text: string): void;
}

/** Thrown where a command found something wrong and has said so already. */
export class ReportedError extends Error {
  override readonly name = "ReportedError";

  readonly exitCode: 1 | 2;

  constructor(exitCode: 1 | 2) {
    super("reported");
    this.exitCode = exitCode;
  }
}

/** Thrown for words that do not fit together. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
