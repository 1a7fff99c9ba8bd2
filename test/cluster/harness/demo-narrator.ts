/** Prints what happens, for a person at a terminal. */
export interface Narrator {
  title(text: string): void;
  /** What happens now, with the seconds since the start. */
  step(text: string): void;
  command(text: string): void;
  output(text: string): void;
  /** One line about something that takes long. */
  readonly progress: (line: string) => void;
}

const INDENT = " ".repeat(9);

export function startNarrator(): Narrator {
  const started = performance.now();
  let hasProgress = false;
  const write = (text: string) => process.stdout.write(`${text}\n`);
  return {
    title(text) {
      write(`\n${text}`);
    },
    step(text) {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      write(`\n${seconds.padStart(5)} s  ${text}`);
    },
    command(text) {
      write(`${INDENT}$ ${text}`);
    },
    output(text) {
      const lines = text.trimEnd().split("\n");
      write(lines.map((line) => `${INDENT}${line}`).join("\n"));
    },
    progress(line) {
      if (!hasProgress)
        write(
          `${INDENT}Some parts are not on this machine yet; they are made now, once, which takes minutes:`,
        );
      hasProgress = true;
      write(`${INDENT}${line}`);
    },
  };
}
