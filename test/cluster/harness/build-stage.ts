import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runCommand } from "./run-command.ts";

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

/** Makes a copy of this machine's files that is written to nowhere else, and runs a script in it. */
const IN_OVERLAY = `
set -e
state=$1 script=$2
mount -t overlay overlay -o "lowerdir=/,upperdir=$state/upper,workdir=$state/work" "$state/root"
for directory in proc dev; do mount --rbind "/$directory" "$state/root/$directory"; done
exec chroot "$state/root" sh "$script"
`;

export interface BuildStageOptions {
  readonly stage: Stage;
  /** What the instructions COPY from. */
  readonly context: string;
  /** The Node that the stage's base image has. */
  readonly node: string;
  /** Where all files are written. */
  readonly directory: string;
}

/**
 * Runs the instructions of a build stage for real. In place of its base image, Debian with Node, there is this machine,
 * with that Node. Returns the directory in which all that the stage wrote is, by its absolute path.
 */
export async function runBuildStage({ stage, context, node, directory }: BuildStageOptions): Promise<string> {
  const upper = join(directory, "upper");
  for (const name of ["upper", "work", "root"]) await mkdir(join(directory, name), { recursive: true });
  await mkdir(join(upper, "usr/local/bin"), { recursive: true });
  await cp(node, join(upper, "usr/local/bin/node"));
  // Files of the context go beside the stage's, in the order of the instructions.
  const copies = join(upper, "context");
  const lines = ["set -e"];
  let workingDirectory = "/";
  for (const [index, { name, value }] of stage.instructions.entries()) {
    if (name === "WORKDIR") {
      workingDirectory = value;
      lines.push(`mkdir -p ${value}`, `cd ${value}`);
    } else if (name === "RUN") {
      lines.push(`cd ${workingDirectory}`, value);
    } else if (name === "COPY") {
      const sources = value.split(/ +/);
      const target = sources.pop() ?? "";
      for (const source of sources) {
        const place = target.endsWith("/") ? join(target, source.split("/").at(-1) ?? "") : target;
        const copy = join(String(index), place);
        await mkdir(dirname(join(copies, copy)), { recursive: true });
        await cp(join(context, source), join(copies, copy), { recursive: true });
        lines.push(`mkdir -p ${dirname(place)}`, `cp -a /context/${copy} ${dirname(place)}/`);
      }
    } else {
      throw new Error(`${name} is not expected in a build stage`);
    }
  }
  await writeFile(join(upper, "build.sh"), `${lines.join("\n")}\n`);
  const outer = join(directory, "overlay.sh");
  await writeFile(outer, IN_OVERLAY);
  const path = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin";
  await runCommand(
    "unshare",
    ["--mount", "--propagation", "private", "--", "sh", outer, directory, "/build.sh"],
    { env: { ...process.env, PATH: path, NODE_ENV: undefined, npm_config_update_notifier: "false" } },
  );
  await rm(join(directory, "work"), { recursive: true, force: true });
  return upper;
}
