import { describe, expect, it } from "vitest";
import { createIntern } from "../../src/kube/intern.ts";
import { readNamespace } from "../../src/kube/read-namespace.ts";

function read(metadata: object, status?: object) {
  return readNamespace({ metadata: { name: "team-a", ...metadata }, status }, createIntern());
}

describe("a Namespace", () => {
  it("that has nothing but its name did not opt in", () => {
    expect(read({})).toEqual({
      name: "team-a",
      labels: {},
      isOptedIn: false,
      isTerminating: false,
      serviceAccounts: [],
    });
  });

  it.each([
    ["enabled", true],
    ["disabled", false],
    ["Enabled", false],
    ["true", false],
    ["", false],
  ])("with the label %j opted in: %j", (value, isOptedIn) => {
    const labels = { "pullpass.dev/inject": value, "kubernetes.io/metadata.name": "team-a" };
    expect(read({ labels })).toMatchObject({ labels, isOptedIn });
  });

  it.each([
    [{}, { phase: "Active" }, false],
    [{}, { phase: "Terminating" }, true],
    [{ deletionTimestamp: "2026-01-01T00:00:00Z" }, { phase: "Active" }, true],
    [{ deletionTimestamp: "2026-01-01T00:00:00Z" }, undefined, true],
  ])("with %j and the status %j is on its way: %j", (metadata, status, isTerminating) => {
    expect(read(metadata, status).isTerminating).toBe(isTerminating);
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
