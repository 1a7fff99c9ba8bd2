import { describe, expect, it } from "vitest";
import { readCommand } from "../../../src/core/builds/build-container.ts";
import { destinationsOf } from "../../../src/core/builds/choose-secret.ts";

it.each([
  ["kaniko", ["--destination=a.com/b", "--destination", "a.com/c"], ["a.com/b", "a.com/c"]],
  ["kaniko", ["-d", "a.com/b:v1", "-d=a.com/c", "-da.com/d"], ["a.com/b:v1", "a.com/c", "a.com/d"]],
  ["kaniko", ["--cache-repo=a.com/cache", "--cache-repo", "a.com/other"], ["a.com/cache", "a.com/other"]],
  ["kaniko", ["--destination=a.com/b", "-d", "a.com/b"], ["a.com/b"]],
  ["kaniko", ["--dockerfile=x", "--destination-file", "y", "--no-push"], []],
  ["kaniko", ["-d"], []],
  ["kaniko", ["--destination=$(IMAGE)", "-d", "$IMAGE", "--destination="], []],
  ["dockerizer", ["build-and-push", "-c", "/ctx", "-d", "a.com/b", "--cache-repo=no"], ["a.com/b"]],
  ["tags", ["buildah", "bud", "-t", "a.com/b", "--tag=a.com/c", "."], ["a.com/b", "a.com/c"]],
  ["tags", ["docker", "buildx", "build", "-t", "app", "-t", "acme/app", "--push"], ["acme/app"]],
  ["tags", ["docker", "run", "-t", "a.com/b"], []],
  ["tags", ["sh", "-c", "set -e; docker build -t 'a.com/b' . && docker push \"a.com/b\""], ["a.com/b"]],
  ["buildctl", ["build", "--output", "type=image,name=a.com/b,push=true"], ["a.com/b"]],
  ["buildctl", ["build", "-o", 'type=image,"name=a.com/b,a.com/c",push=true'], ["a.com/b", "a.com/c"]],
  ["buildctl", ["build", "--output=push=true,type=image,name=a.com/b"], ["a.com/b"]],
  ["buildctl", ["build", "--output", "type=image,push=true"], []],
  ["buildctl", ["build", "--output", "type=oci,name=a.com/b,dest=out.tar"], []],
  ["any", ["--destination=a.com/b", "--tag", "a.com/c", "-d", "a.com/d"], ["a.com/b", "a.com/c"]],
] as const)("%s %j pushes %j", (syntax, args, images) => {
  const { argv } = readCommand({ command: args.slice(0, 1), args: args.slice(1) }, Infinity);
  expect(destinationsOf(syntax, argv, 10)).toEqual(images);
});

it("takes the first names of an output that lists more than any image has", () => {
  const output = `type=image,name=a.com/b${",a.com/c".repeat(1000)}`;
  expect(destinationsOf("buildctl", ["--output", output], 10)).toEqual(["a.com/b", "a.com/c"]);
});

describe("readCommand", () => {
  it("reads no argv of what is no text", () => {
    const container = { command: "sh", args: [7, null, "a b", ""] };
    expect(readCommand(container, 3)).toEqual({ argv: ["a", "b", ""], scriptLength: 3, isComplete: true });
  });

  it("leaves a script out that is longer than what is left to be read, and nothing else", () => {
    const container = { command: ["sh", "-c"], args: ["a b", "c d e", "f"] };
    const argv = ["sh", "-c", "a", "b", "f"];
    expect(readCommand(container, 7)).toEqual({ argv, scriptLength: 3, isComplete: false });
  });
});
