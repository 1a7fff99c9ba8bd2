/** `pullpass doctor`: what was read of a cluster as a report of what is right, what is wrong, and what to do. */
import { asArray, getString, isObject, type JsonObject } from "../core/kubernetes.ts";
import { describeProblem, INJECT_LABEL } from "../core/labels.ts";
import type { RegistryStatus } from "../core/registry-status.ts";
import { count } from "./count.ts";
import {
  expectedCopies,
  fault,
  note,
  ok,
  unknownRegistries,
  type DoctorFacts,
  type DoctorReport,
  type Finding,
  type KnownRegistries,
} from "./doctor-facts.ts";
import { reportPods } from "./doctor-report-pods.ts";
import { reportWebhook } from "./doctor-report-webhook.ts";

export function reportOn(facts: DoctorFacts): DoctorReport {
  const isOnePod = facts.scope.pod !== undefined;
  const sections = {
    webhook: isOnePod ? [] : reportWebhook(facts),
    registries: isOnePod ? unknownOnes(facts) : [...reportRegistries(facts.known), ...unknownOnes(facts)],
    namespaces: isOnePod ? [] : reportNamespaces(facts),
    pods: reportPods(facts),
  };
  const healthy = Object.values(sections).every((findings) =>
    findings.every(({ state }) => state !== "fault"),
  );
  return { healthy, ...sections, notRead: facts.unread };
}

/** What to do, by the reason of the condition Ready. */
const ADVICE: Readonly<Record<string, string>> = {
  CredentialsUnreadable:
    "Create or correct the Secret in Pullpass's namespace, with the label pullpass.dev/registry-credentials=true.",
  InvalidSpec: "Correct the spec: kubectl explain clusterregistry.spec",
  NameTakenByFile: "Rename it, or remove the registry of that name from the configuration.",
  SchemaTooOld: "Apply the CRD of the version of Pullpass that runs.",
  SomeCopiesFailed: "See below which namespaces are affected, and their Events.",
  Writing: "Wait a moment. If it stays so, see Pullpass's log.",
};
/** The same, by the reason of the condition CredentialsAvailable, where the Secret is not the cause. */
const ADVICE_CREDENTIALS: Readonly<Record<string, string>> = {
  ProviderFailed:
    "See Pullpass's log, and run pullpass check --credential-provider-bin-dir where the program is.",
  Expired: "Renew the credentials in their Secret, or see why their provider does not.",
};
const ADVICE_LOGIN = "Correct the credentials, or see why Pullpass does not reach the registry.";
const ADVICE_NOT_RUNNING =
  "See that Pullpass runs and that one replica leads: kubectl get lease --all-namespaces";

function reportRegistries({ objects, faults, fromFile }: KnownRegistries): readonly Finding[] {
  const findings: Finding[] = [];
  if (objects === "no-crd")
    findings.push(note("no-crd", "The cluster has no ClusterRegistries: its API server does not know them."));
  const list = Array.isArray(objects) ? (objects as readonly JsonObject[]) : [];
  const wrong = new Map(
    list.flatMap((object) => {
      const name = getString(object["metadata"], "name") ?? "";
      const found = faultsOf(object, name, faults.get(name));
      return found.length === 0 ? [] : [[name, found] as const];
    }),
  );
  if (list.length > 0)
    findings.push(
      ok(
        "ready",
        `ClusterRegistries without a fault: ${(list.length - wrong.size).toString()} of ${list.length.toString()}`,
      ),
    );
  if (fromFile > 0)
    findings.push(ok("configured", `${count(fromFile, "registry", "registries")} of the configuration`));
  if (Array.isArray(objects) && list.length + fromFile === 0)
    findings.push(note("none", "There are no registries."));
  return [...findings, ...wrong.values().toArray().flat()];
}

/*
 * The first row that holds decides, besides the last login.
 *
 * condition Ready             | joining finds a fault | fault
 * False or Unknown            |                       | the reason and the message of the condition
 * True                        | yes                   | that one
 * there is none               | yes                   | that one
 * there is none               | no                    | not-looked-at
 * True, of an older spec      | no                    | out-of-date
 * True, but the credentials   | no                    | ProviderFailed
 *   are not renewed           |                       |
 * True                        | no                    | none
 */
function faultsOf(
  object: JsonObject,
  name: string,
  joining: { readonly reason: string; readonly message: string } | undefined,
): readonly Finding[] {
  const status = isObject(object["status"]) ? (object["status"] as Partial<RegistryStatus>) : {};
  const condition = (type: string): unknown =>
    asArray(status.conditions).find((candidate) => getString(candidate, "type") === type);
  const title = `ClusterRegistry ${name}`;
  const available = condition("CredentialsAvailable");
  const credentialsReason = getString(available, "reason") ?? "";
  const fromReason = (reason: string, message: string): Finding => {
    const cause = reason === "CredentialsUnreadable" ? credentialsReason : "";
    const advice = ADVICE_CREDENTIALS[cause] ?? ADVICE[reason] ?? "See Pullpass's log.";
    return fault(reason, `${title} is not ready: ${reason}: ${message}`, advice);
  };
  const ready = condition("Ready");
  const find = (): Finding | undefined => {
    const state = getString(ready, "status");
    if (state !== undefined && state !== "True")
      return fromReason(getString(ready, "reason") ?? "", getString(ready, "message") ?? "");
    if (joining !== undefined) return fromReason(joining.reason, joining.message);
    if (state === undefined)
      return fault(
        "not-looked-at",
        `${title} has no state: Pullpass has not looked at it.`,
        ADVICE_NOT_RUNNING,
      );
    const generation = isObject(object["metadata"]) ? object["metadata"]["generation"] : undefined;
    const isCurrent = isObject(ready) && ready["observedGeneration"] === generation;
    const outdated = `The state of ${title} is that of an earlier spec.`;
    if (!isCurrent) return fault("out-of-date", outdated, ADVICE_NOT_RUNNING);
    if (credentialsReason !== "ProviderFailed") return undefined;
    const message = `${title}: its credentials are not renewed: ${getString(available, "message") ?? ""}`;
    return fault(credentialsReason, message, ADVICE_CREDENTIALS[credentialsReason] ?? "");
  };
  const login = condition("LoginSucceeded");
  const isLoginFailed = getString(login, "status") === "False";
  const loginMessage = `${title}: the last login failed: ${getString(login, "message") ?? ""}`;
  return [
    find() ?? [],
    isLoginFailed ? fault(`Login${getString(login, "reason") ?? ""}`, loginMessage, ADVICE_LOGIN) : [],
  ].flat();
}

function unknownOnes({ copies, known }: DoctorFacts): readonly Finding[] {
  if (known.objects === undefined && known.fromFile === 0) {
    const message =
      "Which registries there are is not known, so verdicts rest on what the kubelet says alone. Name Pullpass's configuration with --config.";
    return [note("registries-unknown", message)];
  }
  const names = unknownRegistries(copies ?? [], known);
  if (names.length === 0) return [];
  const message = `Copies of registries that are not known here: ${list(names)}. Verdicts do not consider them; name Pullpass's configuration with --config.`;
  return [note("unknown-registries", message)];
}

function reportNamespaces({ scope, namespaces, copies, blocking, known }: DoctorFacts): readonly Finding[] {
  if (namespaces === undefined) return [];
  const problems = namespaces.flatMap(({ name, problems: found, labels }) =>
    found.map((problem) => ({
      ...fault(problem, `Namespace ${name}: ${describeProblem(problem, labels)}`, "Correct the Namespace."),
      namespaces: [name],
    })),
  );
  const optedIn = namespaces.filter(({ isOptedIn }) => isOptedIn);
  if (optedIn.length === 0) {
    const who = scope.namespace === undefined ? "No namespace" : `Namespace ${scope.namespace} has not`;
    const message = `${who} opted in: it takes the label ${INJECT_LABEL}=enabled.`;
    return [note("no-opt-in", message), ...problems];
  }
  if (copies === undefined) return problems;
  const existing = new Set(copies.map(({ namespace, name }) => `${namespace}/${name}`));
  const lacking = { missing: new Map<string, string[]>(), blocked: new Map<string, string[]>() };
  let complete = 0;
  for (const namespace of optedIn) {
    const absent = expectedCopies(namespace, known.registries).filter(
      (secret) => !existing.has(`${namespace.name}/${secret}`),
    );
    if (absent.length === 0) complete++;
    for (const secret of absent) {
      const kind = blocking.has(`${namespace.name}/${secret}`) ? "blocked" : "missing";
      lacking[kind].getOrInsertComputed(secret, () => []).push(namespace.name);
    }
  }
  return [
    ok(
      "copies",
      `namespaces that opted in and have every copy: ${complete.toString()} of ${optedIn.length.toString()}`,
    ),
    ...problems,
    ...lacking.blocked.entries().map(([secret, where]) => ({
      ...fault(
        "copy-blocked",
        `Secret ${secret} is not Pullpass's and has the name of a copy, in ${count(where.length, "namespace")}: ${list(where)}`,
        "Delete or rename the Secret, or set another secretName for the registry.",
      ),
      namespaces: where,
    })),
    ...lacking.missing.entries().map(([secret, where]) => ({
      ...fault(
        "copy-missing",
        `Secret ${secret} is missing in ${count(where.length, "namespace")}: ${list(where)}`,
        "See that the registry is ready and one replica of Pullpass leads, and the Events of the namespace and of Pullpass's pods, and their logs.",
      ),
      namespaces: where,
    })),
  ];
}

const MAX_NAMED = 10;

function list(names: readonly string[]): string {
  const more = names.length - MAX_NAMED;
  return names.slice(0, MAX_NAMED).join(", ") + (more > 0 ? `, and ${more.toString()} more` : "");
}
