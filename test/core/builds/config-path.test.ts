import { describe, expect, it } from "vitest";
import {
  isMountable,
  isSamePath,
  mountAround,
  readCommand,
  variableOf,
} from "../../../src/core/builds/build-container.ts";
import { configPathOf } from "../../../src/core/builds/config-path.ts";
import { BUILDERS, NAMED_BUILDER, type Builder } from "../../../src/core/builds/builders.ts";
import type { JsonObject } from "../../../src/core/kubernetes.ts";

const ours: Builder = { ...NAMED_BUILDER, reads: { kind: "fixed", directory: "/b/.docker" } };

/** `directory; VARIABLE=value mode, ...` */
function target(
  name: string,
  container: JsonObject = {},
  rest: { tag?: string; chosen?: string; spec?: JsonObject } = {},
): string {
  const builder = [...BUILDERS, NAMED_BUILDER].find((row) => row.name === name) ?? ours;
  const { directory, variables } = configPathOf({
    pod: { metadata: {}, spec: rest.spec ?? {} },
    container,
    builder,
    tag: rest.tag,
    argv: readCommand(container, Infinity).argv,
    chosen: rest.chosen,
  });
  return [directory, ...variables.map(({ name, value, mode }) => `${name}=${value} ${mode}`)].join("; ");
}

const MOVED =
  "/var/run/secrets/pullpass.dev; DOCKER_CONFIG=/var/run/secrets/pullpass.dev needed; REGISTRY_AUTH_FILE=/var/run/secrets/pullpass.dev/config.json needed";
const IN_PLACE = "/kaniko/.docker; DOCKER_CONFIG=/kaniko/.docker set";
const PRIVATE = "/pullpass/docker; DOCKER_CONFIG=/pullpass/docker needed";
const as = (runAsUser: unknown): JsonObject => ({ securityContext: { runAsUser } });
const env = (name: string, value: string): JsonObject => ({ env: [{ name, value }] });

describe("configPathOf", () => {
  it.each([
    ["ours", {}, {}, "/b/.docker"],
    ["ours", {}, { chosen: "/c" }, "/c"],
    ["kaniko", {}, {}, IN_PLACE],
    ["kaniko", {}, { tag: "v1.24.0-slim" }, "/kaniko/.docker; DOCKER_CONFIG=/kaniko/.docker needed"],
    ["kaniko", { args: ["--kaniko-dir=/kaniko/"] }, {}, IN_PLACE],
    ["kaniko", { args: ["--kaniko-dir=/elsewhere"] }, {}, MOVED],
    ["kaniko", { args: ["--kaniko-dir", "/elsewhere"] }, {}, MOVED],
    ["kaniko", { args: ["--kaniko-dir"] }, {}, IN_PLACE],
    ["kaniko", env("KANIKO_DIR", "/kaniko"), {}, IN_PLACE],
    ["kaniko", env("KANIKO_DIR", "/elsewhere"), {}, MOVED],
    ["kaniko", env("KANIKO_DIR", "$(ELSEWHERE)"), {}, MOVED],
    ["kaniko", env("KANIKO_DIR", "/elsewhere"), { chosen: "/c" }, "/c; DOCKER_CONFIG=/c needed"],
    ["dockerizer", {}, {}, "/root/.docker; DOCKER_CONFIG=/root/.docker watched"],
    ["dockerizer", as(0), {}, "/root/.docker; DOCKER_CONFIG=/root/.docker watched"],
    ["dockerizer", as(1000), {}, PRIVATE],
    ["dockerizer", {}, { spec: as(1000n) }, PRIVATE],
    ["dockerizer", as(0), { spec: as(1000) }, "/root/.docker; DOCKER_CONFIG=/root/.docker watched"],
    ["dockerizer", as("0"), { spec: as(1000) }, PRIVATE],
    [
      "dockerizer",
      { ...as(1000), ...env("HOME", "/home/me/") },
      {},
      "/home/me/.docker; DOCKER_CONFIG=/home/me/.docker watched",
    ],
    ["dockerizer", env("HOME", "$(BASE)/me"), {}, PRIVATE],
    ["dockerizer", env("HOME", "me"), {}, PRIVATE],
    ["dockerizer", env("HOME", "/a:b"), {}, PRIVATE],
    ["dockerizer", env("HOME", "/"), {}, "/.docker; DOCKER_CONFIG=/.docker watched"],
    ["dockerizer", {}, { chosen: "/c" }, "/c; DOCKER_CONFIG=/c needed"],
    ["dockerizer", {}, { chosen: "/root/.docker" }, "/root/.docker; DOCKER_CONFIG=/root/.docker watched"],
    ["buildkit", as(1000), {}, PRIVATE],
    ["buildkit-rootless", as(1234), {}, "/home/user/.docker; DOCKER_CONFIG=/home/user/.docker watched"],
    ["img", env("HOME", "/h"), {}, "/h/.docker; DOCKER_CONFIG=/h/.docker watched"],
    ["crane-chainguard", as(65532), {}, "/home/nonroot/.docker; DOCKER_CONFIG=/home/nonroot/.docker watched"],
    ["crane-chainguard", as(0), {}, PRIVATE],
    ["docker", {}, {}, PRIVATE],
    ["skopeo", {}, {}, "/pullpass/docker; REGISTRY_AUTH_FILE=/pullpass/docker/config.json needed"],
    ["skopeo", {}, { chosen: "/c" }, "/c; REGISTRY_AUTH_FILE=/c/config.json needed"],
    ["annotated", {}, { chosen: "/c" }, "/c; DOCKER_CONFIG=/c needed"],
  ])("of %s with %o and %o is %s", (name, container, rest, expected) => {
    expect(target(name, container, rest)).toBe(expected);
  });
});

describe("variableOf", () => {
  it.each([
    ["no env", {}, { kind: "unset" }],
    ["null", { env: null, envFrom: [] }, { kind: "unset" }],
    ["envFrom", { envFrom: [{ secretRef: { name: "a" } }] }, { kind: "maybe" }],
    ["a text", { env: [{ name: "A", value: "b" }] }, { kind: "text", value: "b" }],
    [
      "a text before envFrom",
      { env: [{ name: "A", value: "b" }], envFrom: [{}] },
      { kind: "text", value: "b" },
    ],
    ["no value, which is empty", { env: [{ name: "A" }] }, { kind: "text", value: "" }],
    [
      "the last of two",
      {
        env: [
          { name: "A", value: "b" },
          { name: "A", value: "c" },
        ],
      },
      { kind: "text", value: "c" },
    ],
    ["valueFrom", { env: [{ name: "A", valueFrom: { fieldRef: {} } }] }, { kind: "computed" }],
    ["another variable", { env: [{ name: "A", value: "$(B)" }] }, { kind: "computed" }],
    ["what is no entry", { env: [7, null, { name: 7 }] }, { kind: "unset" }],
  ])("reads %s", (_title, container, expected) => {
    expect(variableOf(container, "A")).toEqual(expected);
  });
});

describe("mountAround", () => {
  it.each([
    ["/kaniko/.docker", true],
    ["/kaniko/.docker/", true],
    ["/kaniko//./.docker", true],
    ["/kaniko", true],
    ["/", true],
    ["/kaniko/.docker/config.json", true],
    ["/kaniko/.dockers", false],
    ["/kaniko/ssl", false],
    [7, false],
  ])("for a mount at %s: %s", (mountPath, isAround) => {
    const container = { volumeMounts: [{ name: "a", mountPath }] };
    expect(mountAround(container, "/kaniko/.docker")).toBe(isAround ? mountPath : undefined);
  });

  it("counts devices, whose paths no mount may have", () => {
    const volumeDevices = [{ name: "disk", devicePath: "/kaniko/.docker" }];
    expect(mountAround({ volumeDevices }, "/kaniko/.docker")).toBe("/kaniko/.docker");
  });

  it("knows that /var/run is /run", () => {
    expect(mountAround({ volumeMounts: [{ mountPath: "/run/secrets" }] }, "/var/run/secrets/a")).toBe(
      "/run/secrets",
    );
    expect(mountAround({ volumeMounts: [{ mountPath: "/var/runner" }] }, "/run/ner")).toBeUndefined();
  });
});

it.each([
  ["/a", true],
  ["/a/.docker/", true],
  ["/", false],
  ["//.", false],
  ["a", false],
  ["", false],
  ["/a/../b", false],
  ["/a..b", true],
  ["/a:b", false],
  ["/a\nb", false],
  [`/${"a".repeat(511)}`, true],
  [`/${"a".repeat(512)}`, false],
])("isMountable(%j): %s", (path, expected) => {
  expect(isMountable(path)).toBe(expected);
});

it.each([
  ["/kaniko", true],
  ["//kaniko/./", true],
  ["/kaniko/.docker", false],
  ["/", false],
  ["/kanikos", false],
])("isSamePath(%j, /kaniko): %s", (path, expected) => {
  expect(isSamePath(path, "/kaniko")).toBe(expected);
});
