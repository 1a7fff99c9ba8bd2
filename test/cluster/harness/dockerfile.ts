/** One line of a Dockerfile, with its continuations; arguments are filled in. */
export interface Instruction {
  readonly name: string;
  /** Flags such as `from` of `COPY --from=build`. */
  readonly flags: Readonly<Record<string, string>>;
  readonly value: string;
}

/** `FROM base AS name`, and what follows until the next FROM. */
export interface Stage {
  readonly base: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** Reads as much of the language as the Dockerfile of Pullpass uses; an unknown instruction is the builder's matter. */
export function parseDockerfile(
  text: string,
  buildArguments: Readonly<Record<string, string>> = {},
): readonly Stage[] {
  const stages: { base: string; name: string | undefined; instructions: Instruction[] }[] = [];
  const values = new Map<string, string>();
  for (const line of joinLines(text)) {
    const filled = line.replaceAll(/\$\{(\w+)\}/g, (_, key: string) => {
      const value = values.get(key);
      if (value === undefined) throw new Error(`${key} is no argument of this Dockerfile: ${line}`);
      return value;
    });
    const [, name = "", flagText = "", value = ""] = /^([A-Z]+)((?: --\S+)*) +(.*)$/s.exec(filled) ?? [];
    if (name === "") throw new Error(`not an instruction: ${line}`);
    if (name === "ARG") {
      const [key = "", fallback = ""] = value.split("=");
      values.set(key, buildArguments[key] ?? fallback);
    } else if (name === "FROM") {
      const [base = "", , stage] = value.split(/ +/);
      stages.push({ base, name: stage, instructions: [] });
    } else {
      const flags = [...flagText.matchAll(/--([^=\s]+)=(\S+)/g)].map(([, key = "", text = ""]) => [
        key,
        text,
      ]);
      stages
        .at(-1)
        ?.instructions.push({ name, value, flags: Object.fromEntries(flags) as Record<string, string> });
    }
  }
  return stages;
}

function joinLines(text: string): readonly string[] {
  return text
    .replaceAll(/^\s*#.*\n/gm, "")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line.trim() !== "");
}
