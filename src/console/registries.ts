/** The table of registries: those of the file, and the ClusterRegistries with their state in words. */
import { authTypeOf, type ConfiguredRegistry } from "../config/configuration.ts";
import { asRegistryObject, readRegistryObject } from "../config/registry-objects.ts";
import { readRegistryStatus } from "../config/status-schema.ts";
import { getString, isObject, type JsonObject } from "../core/kubernetes.ts";
import type { RegistryFault } from "../core/registry-status.ts";
import type { RegistryStatus } from "../core/registry-status.ts";
import { readClusterRegistry } from "../kube/resources/cluster-registries.ts";
import type { Condition, RegistryList, RegistryRow, RegistrySpec, State, StoredTest } from "./api.ts";
import type { ClusterView } from "./cluster-view.ts";

export async function listRegistries(view: ClusterView): Promise<RegistryList> {
  await Promise.all([view.registries.ready(), view.namespaces.ready()]);
  const { registries, faults } = view.joined();
  const objects = view.registries.entries().map(([, { object }]) => object);
  const rows = [
    ...registries.filter(({ list }) => list !== "objects").map(fileRow),
    ...objects.map((object) => objectRow(object, faults.get(getString(object["metadata"], "name") ?? ""))),
  ];
  const areNamespacesKnown = view.namespaces.refusal() === undefined;
  return {
    rows: rows.toSorted((a, b) => (a.displayName.toLowerCase() < b.displayName.toLowerCase() ? -1 : 1)),
    unread: [view.registries.refusal() ?? []].flat(),
    optedIn: areNamespacesKnown ? countOptedIn(view) : null,
    providers: providersIn(view),
  };
}

function countOptedIn(view: ClusterView): number {
  return view.namespaces.entries().filter(([, { isOptedIn }]) => isOptedIn).length;
}

function providersIn(view: ClusterView): readonly string[] {
  const used = view
    .joined()
    .registries.flatMap(({ source }) => (source?.kind === "provider" ? [source.provider] : []));
  return [...new Set([...view.configuration.providers.map(({ name }) => name), ...used])].toSorted();
}

/** Whether another process can read the credentials of a file's registry is not known here. */
function fileRow(registry: ConfiguredRegistry): RegistryRow {
  const { name, displayName, address, secretName } = registry;
  return {
    ...{
      name,
      displayName: displayName ?? name,
      address: address.text,
      auth: authTypeOf(registry) ?? "None",
      secretName,
    },
    state: { level: "quiet", words: "In the configuration file" },
    advice:
      "Registries of the file are changed in the file. pullpass check --config FILE --login tests it, and with --pull IMAGE whether it may pull.",
    ...{ namespaces: null, expiresAt: null, object: null },
  };
}

export function objectRow(object: JsonObject, fault: RegistryFault | undefined): RegistryRow {
  const { metadata, spec } = object;
  const result = readRegistryObject(asRegistryObject(object));
  const status = readRegistryStatus(object["status"]) ?? {};
  const generation = isObject(metadata) ? Number(metadata["generation"]) : 0;
  const conditions = (status.conditions ?? []).map(
    ({ type, status: value, reason, message, lastTransitionTime, observedGeneration }): Condition => ({
      ...{ type, status: value, reason, message, since: lastTransitionTime },
      isOutdated: observedGeneration !== generation,
    }),
  );
  const name = getString(metadata, "name") ?? "";
  const registry = result.kind === "registry" ? result.registry : undefined;
  const hasAuth = isObject(spec) && spec["auth"] !== undefined;
  const { state, advice } = describe(conditions, fault, hasAuth);
  const counts = status.namespaces;
  return {
    name,
    displayName: getString(spec, "displayName") ?? name,
    address: registry?.address.text ?? "",
    auth: registry === undefined ? "unknown" : (authTypeOf(registry) ?? "None"),
    ...{ state, advice },
    namespaces: counts === undefined ? null : { selected: counts.selected, synced: counts.synced ?? null },
    expiresAt: getString(status.credentials, "expiresAt") ?? null,
    secretName: registry?.secretName ?? "",
    object: {
      uid: getString(metadata, "uid") ?? "",
      generation,
      createdAt: getString(metadata, "creationTimestamp") ?? "",
      spec: withoutCredentialsInAddress(spec),
      conditions,
      credentialsChangedAt: status.credentials?.changedAt ?? null,
      lastLoginAt: status.credentials?.lastLoginAt ?? null,
      test: testOf(object, status),
    },
  };
}

function testOf(object: JsonObject, status: Partial<RegistryStatus>): StoredTest | null {
  const { check } = readClusterRegistry(object);
  if (check === undefined || "fault" in check) return null;
  const { requestedAt, image = "" } = check;
  return { requestedAt, image, isAnswered: status.check?.requestedAt === requestedAt };
}

/** An older CRD lets `user:password@host` through, which must not be shown. */
function withoutCredentialsInAddress(spec: unknown): RegistrySpec {
  const address = getString(spec, "address") ?? "";
  return { ...(isObject(spec) ? spec : {}), address: address.includes("@") ? "" : address };
}

interface Description {
  readonly state: State;
  readonly advice: string;
}

const say = (level: State["level"], words: string, advice = ""): Description => ({
  state: { level, words },
  advice,
});

/** By the reason of the condition that decides: the words, and what to do. */
const REASONS: Readonly<Record<string, Description>> = {
  Ready: say("good", "Ready"),
  Writing: say("busy", "Writing copies", "Wait a moment. If it stays so, see Pullpass's log."),
  NameTakenByFile: say(
    "warn",
    "Name taken by the file",
    "Rename it, or remove the registry of that name from the configuration file.",
  ),
  InvalidSpec: say("bad", "Spec not valid", "Edit it: the form shows what is wrong."),
  SchemaTooOld: say("bad", "CRD too old", "Apply the CRD of the version of Pullpass that runs."),
  SomeCopiesFailed: say(
    "warn",
    "Some copies failed",
    "The namespaces with a Secret in the way are listed at Namespaces.",
  ),
  CredentialsUnreadable: say(
    "bad",
    "Credentials unreadable",
    "Edit the registry, and set the credentials again.",
  ),
  SecretNotFound: say("bad", "Secret not found", "Edit the registry, and set the credentials again."),
  SecretNotOffered: say(
    "bad",
    "Secret not offered",
    'Give the Secret the label pullpass.dev/registry-credentials: "true", or set the credentials again.',
  ),
  KeyMissing: say("bad", "Key missing in Secret", "Edit the registry, and set the credentials again."),
  ProviderFailed: say("bad", "Provider failed", "See the message, and the log of the replica that leads."),
  Expired: say("bad", "Credentials expired", "Renew the credentials where they come from."),
  NoNamespaceSelected: say(
    "quiet",
    "Ready, for no namespace",
    "Opt a namespace in, or change which namespaces it is for.",
  ),
  Unauthorized: say("warn", "Login refused", "Edit the registry, and set the credentials again."),
  NotReached: say("warn", "Registry not reached", "See whether Pullpass may connect to the registry."),
  TLSFailed: say(
    "warn",
    "Certificate not trusted",
    "NODE_EXTRA_CA_CERTS of Pullpass names further authorities.",
  ),
};

/*
 * The first row that holds decides.
 *
 * Ready                     | besides                                 | described by
 * there is none             | joining finds a fault                   | the fault
 * there is none             |                                         | "Not looked at yet"
 * is not True               | CredentialsAvailable is False           | its reason
 * is not True               |                                         | the reason of Ready
 * True, of an earlier spec  |                                         | Writing
 * True                      | LoginSucceeded is False                 | its reason
 * True                      | no auth                                 | "Kept by an admin"
 * True                      | Synced for no namespace                 | its reason
 * True                      |                                         | Ready
 */
function describe(
  conditions: readonly Condition[],
  fault: RegistryFault | undefined,
  hasAuth: boolean,
): Description {
  const find = (type: string): Condition | undefined => conditions.find((each) => each.type === type);
  const byReason = (reason: string): Description => REASONS[reason] ?? say("warn", reason);
  const ready = find("Ready");
  if (ready === undefined)
    return fault === undefined
      ? say("busy", "Not looked at yet", "If it stays so, see that Pullpass runs and one replica leads.")
      : byReason(fault.reason);
  const credentials = find("CredentialsAvailable");
  if (ready.status !== "True")
    return byReason(credentials?.status === "False" ? credentials.reason : ready.reason);
  if (ready.isOutdated) return byReason("Writing");
  const login = find("LoginSucceeded");
  if (login?.status === "False") return byReason(login.reason);
  if (!hasAuth) return say("quiet", "Kept by an admin");
  const synced = find("Synced");
  return byReason(synced?.reason === "NoNamespaceSelected" ? synced.reason : "Ready");
}
