import { describe, expect, it } from "vitest";
import { readNamespace } from "../../../src/kube/resources/namespaces.ts";
import { createStringPool } from "../../../src/kube/string-pool.ts";

function read(metadata: object) {
  return readNamespace({ metadata: { name: "team-a", ...metadata } }, createStringPool());
}

describe("a Namespace", () => {
  it("that has nothing but its name did not opt in", () => {
    expect(read({})).toEqual({
      name: "team-a",
      version: 0,
      labels: {},
      isOptedIn: false,
      isTerminating: false,
      serviceAccounts: [],
      problems: [],
    });
  });

  it.each([
    ["enabled", true, []],
    ["disabled", false, []],
    ["Enabled", false, ["InjectLabelHasNoEffect"]],
    ["true", false, ["InjectLabelHasNoEffect"]],
    ["", false, ["InjectLabelHasNoEffect"]],
  ])("with the label %j opted in: %j, and its problems are %j", (value, isOptedIn, problems) => {
    const labels = { "pullpass.dev/inject": value, "kubernetes.io/metadata.name": "team-a" };
    expect(read({ labels })).toMatchObject({ labels, isOptedIn, problems });
  });

  it.each([
    [{}, false],
    [{ deletionTimestamp: "2026-01-01T00:00:00Z" }, true],
  ])("with %j is being deleted: %j", (metadata, isTerminating) => {
    expect(read(metadata).isTerminating).toBe(isTerminating);
  });

  it("is short, whatever somebody wrote into its labels and annotations", () => {
    const many = Array.from({ length: 10_000 }, (_, index) => `name-${index.toString()}`);
    const labels = Object.fromEntries(many.map((name) => [name, name]));
    const namespace = read({
      labels: { ...labels, "pullpass.dev/inject": "enabled" },
      annotations: { "pullpass.dev/service-accounts": many.join(","), many: many.join(",") },
    });
    expect(namespace).toMatchObject({
      labels: {},
      isOptedIn: false,
      problems: ["LabelsTooLong", "TooManyServiceAccounts"],
    });
    expect(namespace.serviceAccounts).toEqual(many.slice(0, 100));
  });

  it.each([
    ["default", ["default"]],
    [" default , builder,default", ["default", "builder"]],
    ["", []],
    [",, ,", []],
    ["system:bot.v1", []],
    ["bot.v1", ["bot.v1"]],
    ["..,../secrets,a/b,*,UPPER,-a,a-,a..b", []],
    ["a".repeat(253), ["a".repeat(253)]],
    ["a".repeat(254), []],
  ])("that lists the accounts %j has %j", (list, serviceAccounts) => {
    const annotations = { "pullpass.dev/service-accounts": list };
    expect(read({ annotations }).serviceAccounts).toEqual(serviceAccounts);
  });
});
