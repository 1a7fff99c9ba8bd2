/** How the image starts Node; its release is the one that runs this. */
import { readFileSync } from "node:fs";
import path from "node:path";

const ROOT = path.join(import.meta.dirname, "../..");

/** What stands between `node` and the program in the Dockerfile's ENTRYPOINT; or what `BENCH_NODE_FLAGS` says. */
export function shippedFlags(): readonly string[] {
  const asked = process.env["BENCH_NODE_FLAGS"];
  if (asked !== undefined) return asked.split(" ").filter((flag) => flag !== "");
  const entrypoint = /^ENTRYPOINT (\[.*\])$/m.exec(readDockerfile())?.[1];
  if (entrypoint === undefined) throw new Error("the Dockerfile has no ENTRYPOINT in one line");
  return (JSON.parse(entrypoint) as readonly string[]).slice(1, -1);
}

/** The variables that the Dockerfile sets, but for the one that names a directory of the image. */
export function shippedEnvironment(): Readonly<Record<string, string>> {
  const lines = [...readDockerfile().matchAll(/^ENV (.*)$/gm)].map(([, variables = ""]) => variables);
  const variables = lines.flatMap((line) => line.split(" ")).map((variable) => variable.split("="));
  const { NODE_COMPILE_CACHE: _, ...rest } = Object.fromEntries(
    variables.map(([name = "", value = ""]) => [name, value]),
  ) as Readonly<Record<string, string>>;
  return rest;
}

function readDockerfile(): string {
  return readFileSync(path.join(ROOT, "Dockerfile"), "utf8");
}
