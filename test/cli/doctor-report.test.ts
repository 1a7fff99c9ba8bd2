/**
 * Each directory of test/fixtures/doctor holds what was read of a cluster, `facts.json`, and the report of it, `stdout` and `json`.
 * UPDATE_GOLDEN=1 writes those again; read the diff.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  knownRegistries,
  type CopyFacts,
  type DoctorFacts,
  type KnownRegistries,
  type RegistryAnswer,
  type WebhookFacts,
} from "../../src/cli/doctor-facts.ts";
import { optedInAt } from "../../src/kube/resources/namespaces.ts";
import { reportOn } from "../../src/cli/doctor-report.ts";
import { formatReport } from "../../src/cli/doctor-text.ts";
import type { PodWithStatus } from "../../src/core/diagnosis.ts";
import { controllerKeyOf, healEventsIn } from "../../src/core/heal-events.ts";
import { getString, type JsonObject } from "../../src/core/kubernetes.ts";
import { failedPullsIn, failedPullsKey } from "../../src/core/next-try.ts";
import { readPullSecret, type PullSecretState } from "../../src/core/pull-secret.ts";
import { readNamespace } from "../../src/kube/resources/namespaces.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { loadText } from "../config/load-text.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures/doctor", import.meta.url));

/** As the facts, with times in RFC 3339 and objects as the API server sends them. What is left out could not be read. */
interface FactsInJson {
  readonly now: string;
  readonly scope: DoctorFacts["scope"];
  /** The registries of pullpass.yaml. */
  readonly configuration: readonly object[];
  readonly webhook?:
    "missing" | (Omit<WebhookFacts, "caExpiresAt"> & { readonly caExpiresAt: readonly string[] });
  readonly policy?: DoctorFacts["policy"];
  readonly registryObjects?: KnownRegistries["objects"];
  readonly namespaces?: readonly JsonObject[];
  readonly copies?: readonly CopyFacts[];
  readonly blocking: readonly string[];
  readonly pods?: readonly {
    readonly pod: PodWithStatus;
    readonly secrets?: Readonly<Record<string, "missing" | "not-owned" | JsonObject>>;
    readonly answers?: Readonly<Record<string, readonly RegistryAnswer[]>>;
    /** The kubelet's Events about it. */
    readonly events?: readonly JsonObject[];
  }[];
  /** Those that Pullpass wrote. */
  readonly events?: readonly JsonObject[];
  readonly unread: readonly string[];
}

function readFacts(text: string): DoctorFacts {
  const json = JSON.parse(text) as FactsInJson;
  const { now, scope, webhook, policy, namespaces, copies, pods, events = [], unread } = json;
  const configuration = loadText(JSON.stringify({ registries: json.configuration }));
  return {
    ...{ now: Date.parse(now), scope, webhookName: "pullpass", policy, copies, unread },
    known: knownRegistries(configuration, json.registryObjects),
    webhook:
      typeof webhook === "object"
        ? { ...webhook, caExpiresAt: webhook.caExpiresAt.map((time) => Date.parse(time)) }
        : webhook,
    namespaces: namespaces?.map((object) => ({
      ...readNamespace(object, (text) => text),
      optedInAt: optedInAt(object),
    })),
    blocking: new Set(json.blocking),
    healEvents: healEventsIn(events, new Set(pods?.map(({ pod }) => controllerKeyOf(pod)))),
    pods: pods?.map(({ pod, secrets = {}, answers = {}, events: own = [] }) => ({
      pod,
      failedPulls: (image) =>
        failedPullsIn(own).get(failedPullsKey(getString(pod.metadata, "uid") ?? "", image)),
      pullSecrets: new Map(
        Object.entries(secrets).map(([name, secret]): [string, PullSecretState] => [
          name,
          typeof secret === "string" ? { kind: secret } : readPullSecret(secret),
        ]),
      ),
      serviceAccount: undefined,
      answers: new Map(Object.entries(answers)),
    })),
  };
}

const read = (name: string, file: string): string => readFileSync(path.join(FIXTURES, name, file), "utf8");

describe("the report on what was read of a cluster", () => {
  it.each(readdirSync(FIXTURES))("%s", (name) => {
    const report = reportOn(readFacts(read(name, "facts.json")));
    const text = formatReport(report);
    const json = `${JSON.stringify(report, null, 2)}\n`;
    if (process.env["UPDATE_GOLDEN"] === "1") {
      writeFileSync(path.join(FIXTURES, name, "stdout"), text);
      writeFileSync(path.join(FIXTURES, name, "json"), json);
    }
    expect(text).toBe(read(name, "stdout"));
    expect(json).toBe(read(name, "json"));
    expect(text + json).not.toContain("made-up");
  });
});

it("is what docs/operations.md shows", () => {
  const page = readFileSync(path.join(FIXTURES, "../../../docs/operations.md"), "utf8");
  expect(page).toContain(`$ pullpass doctor\n${read("documented", "stdout")}\`\`\`\n`);
});

describe("the credentials of a ClusterRegistry with a provider", () => {
  const object = (ready: string, reason: string, available: string) => ({
    metadata: { name: "aws", generation: 1 },
    spec: { address: "a.com", auth: { type: "Provider", provider: "ecr" } },
    status: {
      conditions: [
        { type: "Ready", status: ready, reason, message: "It is so.", observedGeneration: 1 },
        {
          type: "CredentialsAvailable",
          status: ready,
          reason: available,
          message: "Provider ecr exited with 1.",
        },
      ],
    },
  });
  it.each([
    ["True", "Ready", "Read", []],
    [
      "True",
      "Ready",
      "ProviderFailed",
      [
        "ProviderFailed: ClusterRegistry aws: its credentials are not renewed: Provider ecr exited with 1. See Pullpass's log, and run",
      ],
    ],
    [
      "False",
      "CredentialsUnreadable",
      "Expired",
      [
        "CredentialsUnreadable: ClusterRegistry aws is not ready: CredentialsUnreadable: It is so. Renew the credentials",
      ],
    ],
  ])("whose condition Ready is %s (%s), CredentialsAvailable %s", (ready, reason, available, expected) => {
    const facts = readFacts(read("healthy", "facts.json"));
    const objects = [object(ready, reason, available)];
    const known = knownRegistries(loadConfiguration([]), objects);
    const found = reportOn({ ...facts, known }).registries.filter(({ state }) => state === "fault");
    expect(found.map(({ code, message, advice = "" }) => `${code}: ${message} ${advice}`)).toEqual(
      expected.map((text) => expect.stringContaining(text) as string),
    );
  });
});

describe("the caBundle", () => {
  it.each([
    [false, [], "no-ca-bundle"],
    [true, [], "ca-bundle-unreadable"],
    [true, ["2026-11-01", "2026-11-25"], "ca-expired"],
    [true, ["2026-11-01", "2026-12-02"], "ca-expires-soon"],
    [true, ["2026-11-01", "2027-11-01"], "ca-bundle"],
  ])("with %j, certificates until %j: %s", (hasCaBundle, dates, code) => {
    const facts = readFacts(read("healthy", "facts.json"));
    const webhook = {
      ...(facts.webhook as WebhookFacts),
      hasCaBundle,
      caExpiresAt: dates.map((date) => Date.parse(date)),
    };
    const codes = reportOn({ ...facts, webhook }).webhook.map((finding) => finding.code);
    expect(codes).toEqual(["registered", code, "endpoints", "reached"]);
  });
});

describe("the time of the opt-in", () => {
  const LABEL = { "f:pullpass.dev/inject": {} };
  const record = (labels: object, time = "2026-11-25T00:00:00Z") => ({
    time,
    fieldsV1: { "f:metadata": { "f:labels": labels } },
  });

  it.each([
    ["known where somebody set the label alone", [record(LABEL)], Date.parse("2026-11-25T00:00:00Z")],
    [
      "known beside what others set",
      [record({ ".": {}, "f:team": {} }), record({ ".": {}, ...LABEL })],
      Date.parse("2026-11-25T00:00:00Z"),
    ],
    [
      "not known where the same person set other fields, too",
      [record({ ...LABEL, "f:team": {} })],
      undefined,
    ],
    ["not known without a time", [record(LABEL, "")], undefined],
    ["not known without the record", undefined, undefined],
  ])("is %s", (_title, managedFields, expected) => {
    expect(optedInAt({ metadata: { managedFields } })).toBe(expected);
  });
});
