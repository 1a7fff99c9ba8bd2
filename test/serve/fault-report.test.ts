import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createFaultReport, type SourceFault } from "../../src/serve/fault-report.ts";
import type { Source } from "../../src/core/replication.ts";
import type { ClusterWarning } from "../../src/replicator/ports.ts";
import { makeRegistry } from "../core/make-registry.ts";

const source = (name: string, credentials: Source["credentials"] = []): Source => ({
  registry: { ...makeRegistry(name, `${name}.example.com`), hosts: [] },
  credentials,
  secret: undefined,
});
const fault = (registry: string, message = "Secret does not exist"): SourceFault => ({
  registry,
  reason: "KeyMissing",
  message,
  secret: undefined,
});

function start(isLeading = true) {
  const lines: string[] = [];
  const logger = pino(
    { base: null, timestamp: false },
    {
      write(line) {
        const { msg, registry } = JSON.parse(line) as { msg: string; registry: string };
        lines.push(`${registry}: ${msg}`);
      },
    },
  );
  const warnings: ClusterWarning[] = [];
  const report = createFaultReport(logger, (warning) => warnings.push(warning), {
    isLeading: () => isLeading,
    isPod: true,
  });
  return { report, warnings, takeLines: () => lines.splice(0) };
}

describe("a report of sources", () => {
  it("says once that one cannot be read, and once that it can be read again", () => {
    const { report, takeLines } = start();
    const unreadable = [source("a", "unreadable"), source("b")];
    report.report([fault("a")], unreadable);
    report.report([fault("a")], unreadable);
    expect(takeLines()).toEqual(["a: cannot read registry credentials; keeping the existing copies"]);
    expect([...report.registries()]).toEqual(["a"]);
    report.report([], [source("a"), source("b")]);
    report.report([], [source("a"), source("b")]);
    expect(takeLines()).toEqual(["a: credentials can be read again"]);
    expect([...report.registries()]).toEqual([]);
  });

  it("says nothing of one that is not asked for yet, or not configured any more", () => {
    const { report, takeLines } = start();
    report.report([fault("a"), fault("b")], [source("a", "unreadable"), source("b", "unreadable")]);
    takeLines();
    report.report([], [source("a", "unreadable")]);
    expect(takeLines()).toEqual([]);
    report.report([], [source("a")]);
    expect(takeLines()).toEqual(["a: credentials can be read again"]);
  });

  it("keeps apart what cannot be read, what is not renewed and what ended", () => {
    const { report, warnings, takeLines } = start();
    const faults = [
      { ...fault("a", "provider ecr exited with 1"), reason: "ProviderFailed" },
      { ...fault("b", "they expired at 2026-11-27T00:00:00Z"), reason: "Expired" },
    ] as const;
    report.report(faults, [source("a"), source("b")]);
    report.report(faults, [source("a"), source("b")]);
    expect(takeLines()).toEqual([
      "a: a credential provider failed; keeping the existing copies and retrying",
      "b: registry credentials expired; keeping the existing copies",
    ]);
    expect(warnings.map(({ reason, message }) => `${reason}: ${message}`)).toEqual([
      "ProviderFailed: Registry a: provider ecr exited with 1. Copies stay as they are.",
      "CredentialsExpired: The credentials of registry b do not work any more: they expired at 2026-11-27T00:00:00Z. Copies stay as they are.",
    ]);
    // There are credentials, and pods get them.
    expect([...report.registries()]).toEqual([]);
    report.report([], [source("a"), source("b")]);
    expect(takeLines()).toEqual(["a: credentials can be read again", "b: credentials can be read again"]);
  });

  it("warns of all that cannot be read if this replica leads", () => {
    for (const isLeading of [true, false]) {
      const { report, warnings } = start(isLeading);
      report.report([fault("a")], [source("a", "unreadable")]);
      expect(warnings.map(({ reason }) => reason)).toEqual(isLeading ? ["CredentialsUnreadable"] : []);
    }
  });
});
