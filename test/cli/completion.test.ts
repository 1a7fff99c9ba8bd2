import { describe, expect, it } from "vitest";
import { complete } from "../../src/cli/completion.ts";
import type { ProgramIo } from "../../src/cli/program-io.ts";
import { buildProgram } from "../../src/cli/program.ts";

const IO: ProgramIo = {
  version: "1.2.3",
  pages: new URL("file:///nonexistent/"),
  environment: {},
  readStdin: () => Promise.reject(new Error("nothing is read")),
  isTerminal: true,
  writeOut: () => undefined,
  writeError: () => undefined,
};

/** Without descriptions. A line that ends with a space has an empty last word. */
function wordsFor(line: string): readonly string[] {
  const answer = complete(buildProgram(IO), line.split(" "));
  return answer.split("\n").map((each) => each.replace(/\t.*/, ""));
}

const FILES = [":0", ""];
const NOTHING = [":4", ""];

describe("complete", () => {
  it.each<readonly [string, readonly string[]]>([
    ["ex", ["explain", ...NOTHING]],
    ["nothing-like-it", NOTHING],
    ["registries ", ["list", "export", "docker-config", "help", ...NOTHING]],
    ["help reg", ["registries", ...NOTHING]],
    ["explain --kube", ["--kubeconfig", ...NOTHING]],
    ["explain -", expect.arrayContaining(["--json", "--namespace", "-n", "--help", "-h"]) as string[]],
    // list is the command without a name.
    ["registries --j", ["--json", ...NOTHING]],
    ["completion ", ["bash", "zsh", "fish", ...NOTHING]],
    ["completion bash ", NOTHING],
    ["registries docker-config --for k", ["kubelet", ...NOTHING]],
    ["registries docker-config --for=k", ["kubelet", ...NOTHING]],
    ["explain --config ", FILES],
    ["explain --config=", FILES],
    ["explain --config=a=b", FILES],
    ["inject -f ", FILES],
    ["check ", FILES],
    ["check one.yaml ", FILES],
    ["explain ", NOTHING],
    ["explain --namespace ", NOTHING],
    ["explain --json --namespace team-a --po", ["--pod", ...NOTHING]],
    ["explain --unknown --po", ["--pod", ...NOTHING]],
    // A single - is a value.
    ["explain --pod - --js", ["--json", ...NOTHING]],
    ["check --pull nginx ", NOTHING],
    ["check --pull nginx --lo", ["--login", ...NOTHING]],
    ["check --pull nginx --login ", FILES],
    ["check -- --lo", FILES],
    ["explain serve ", NOTHING],
  ])("%s", (line, expected) => {
    expect(wordsFor(line)).toEqual(expected);
  });

  it("describes what it offers in Cobra's format", () => {
    expect(complete(buildProgram(IO), ["inj"])).toBe(
      "inject\twrite manifests with their pull secrets to standard output, and a report to standard error\n:4\n",
    );
  });
});
