/** The status of a ClusterRegistry: what is known of a registry as conditions and counts. */

/** Why a ClusterRegistry is not used as it is. */
export interface RegistryFault {
  readonly reason: "NameTakenByFile" | "InvalidSpec" | "SchemaTooOld";
  /** Nothing secret. */
  readonly message: string;
}

export type CredentialsReason =
  "SecretNotFound" | "SecretNotOffered" | "KeyMissing" | "ProviderFailed" | "Expired";

/** What is wrong with a registry's credentials; nothing secret. */
export interface CredentialsFault {
  readonly reason: CredentialsReason;
  readonly message: string;
}

/** In RFC 3339; undefined where it is not known. */
export interface CredentialTimes {
  readonly changedAt: string | undefined;
  readonly expiresAt: string | undefined;
  /** Of credentials that Pullpass renews. */
  readonly nextRefreshAt: string | undefined;
}

/** What is known of a registry's credentials. */
export type CredentialsState =
  | { readonly kind: "managed-by-admin" }
  /** `problem`: they were not renewed. */
  | ({ readonly kind: "read"; readonly problem: CredentialsFault | undefined } & CredentialTimes)
  | ({ readonly kind: "unreadable" } & CredentialsFault & CredentialTimes);

/** Numbers of namespaces. */
export interface CopyCounts {
  /** They opted in and may have the credentials. */
  readonly selected: number;
  /** Every Secret with the credentials is as it should be. */
  readonly synced: number;
  /** A Secret that is not Pullpass's has the name of a copy. */
  readonly refused: number;
  /** A write failed; it is tried again. */
  readonly failing: number;
}

export type LoginReason = "Succeeded" | "Unauthorized" | "NotReached" | "TLSFailed" | "NotAsked";

/** `Succeeded`: the registry would let these credentials pull the image. Nothing is pulled. */
export type PullReason = LoginReason | "ImageNotFound";

/** What came of a login or of a pull; nothing in the message is secret. */
export interface Outcome<Reason> {
  readonly reason: Reason;
  readonly message: string;
}

/** What somebody asked for by annotations: a login, and whether it may pull an image. */
export interface CheckRequest {
  /** In RFC 3339, as they wrote it. */
  readonly requestedAt: string;
  readonly image: string | undefined;
}

/** A login that somebody asked for. */
export interface LoginResult extends Outcome<LoginReason> {
  /** In RFC 3339; undefined where none was tried. */
  readonly at: string | undefined;
  /** Undefined if no image was named. */
  readonly pull: Outcome<PullReason> | undefined;
  /** The request that this answers; undefined if that could not be read. */
  readonly check: CheckRequest | undefined;
}

/** All that a status says. */
export interface RegistryFacts {
  readonly generation: number;
  readonly fault: RegistryFault | undefined;
  /** Undefined where the registry is not used. */
  readonly used:
    | {
        readonly address: string;
        readonly secretName: string;
        readonly credentials: CredentialsState;
        readonly counts: CopyCounts;
      }
    | undefined;
  /** Undefined if nobody asked since this replica leads. */
  readonly login: LoginResult | undefined;
}

/** `metav1.Condition`. Times are in RFC 3339. */
export interface Condition {
  readonly type: ConditionType;
  readonly status: "True" | "False" | "Unknown";
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
  readonly reason: string;
  readonly message: string;
}

export type ConditionType = "Ready" | "CredentialsAvailable" | "Synced" | "LoginSucceeded" | "PullSucceeded";

/** As Pullpass writes it: no member is undefined, so that it can be compared with what the API server sends. */
export interface RegistryStatus {
  readonly observedGeneration: number;
  readonly address?: string;
  readonly secretName?: string;
  readonly namespaces?: { readonly selected: number; readonly synced?: number; readonly refused?: number };
  readonly credentials?: {
    readonly changedAt?: string;
    readonly expiresAt?: string;
    readonly nextRefreshAt?: string;
    readonly lastLoginAt?: string;
  };
  readonly check?: { readonly requestedAt: string; readonly image?: string };
  readonly conditions: readonly Condition[];
}

type Finding = Pick<Condition, "status" | "reason" | "message">;

/** `previous` is what the object says now, which keeps the times of transitions, and the last login. */
export function registryStatus(
  facts: RegistryFacts,
  previous: Partial<RegistryStatus> | undefined,
  now: string,
): RegistryStatus {
  const { generation, used } = facts;
  const before = new Map(previous?.conditions?.map((condition) => [condition.type, condition]));
  const conditions: Condition[] = [];
  const add = (type: ConditionType, finding: Finding | undefined): void => {
    if (finding === undefined) return;
    const old = before.get(type);
    const lastTransitionTime = old?.status === finding.status ? old.lastTransitionTime : now;
    conditions.push({ type, ...finding, observedGeneration: generation, lastTransitionTime });
  };
  const ready = before.get("Ready");
  const wasReady = ready?.status === "True" && ready.observedGeneration === generation;
  const login = loginOf(facts, previous);
  add("Ready", readiness(facts, wasReady));
  add("CredentialsAvailable", used && credentialsFinding(used.credentials));
  add("Synced", used && syncFinding(used.credentials, used.counts));
  add("LoginSucceeded", login && outcomeFinding(login));
  add("PullSucceeded", login?.pull && outcomeFinding(login.pull));
  return {
    observedGeneration: generation,
    ...(used && {
      address: used.address,
      secretName: used.secretName,
      namespaces: countsOf(used.credentials, used.counts),
    }),
    ...credentialTimes(used?.credentials, login),
    ...(login?.check && { check: checkOf(login.check) }),
    conditions,
  };
}

/*
 * The first row that holds decides.
 *
 * fault | credentials | copies                     | was ready for this generation | Ready | reason
 * yes   |             |                            |                               | False | that of the fault
 * no    | unreadable  |                            |                               | False | CredentialsUnreadable
 * no    |             | some refused or failing    |                               | False | SomeCopiesFailed
 * no    |             | some are not written yet   | no                            | False | Writing
 * no    |             | some are not written yet   | yes                           | True  | Ready
 * no    |             | all                        |                               | True  | Ready
 *
 * A registry stays ready while a new password, or a new namespace, is on its way.
 */
function readiness({ fault, used }: RegistryFacts, wasReady: boolean): Finding {
  if (fault !== undefined) return { status: "False", reason: fault.reason, message: sentence(fault.message) };
  if (used === undefined) return { status: "Unknown", reason: "Writing", message: "Not looked at yet." };
  const { credentials, counts } = used;
  if (credentials.kind === "unreadable") {
    return { status: "False", reason: "CredentialsUnreadable", message: sentence(credentials.message) };
  }
  if (counts.refused > 0 || counts.failing > 0) {
    return { status: "False", reason: "SomeCopiesFailed", message: copiesMessage(counts) };
  }
  const isWriting = credentials.kind === "read" && counts.synced < counts.selected;
  if (isWriting && !wasReady) return { status: "False", reason: "Writing", message: copiesMessage(counts) };
  return { status: "True", reason: "Ready", message: "Pods get the credentials." };
}

function credentialsFinding(credentials: CredentialsState): Finding | undefined {
  switch (credentials.kind) {
    case "managed-by-admin":
      return undefined;
    case "read": {
      const { problem } = credentials;
      if (problem === undefined)
        return { status: "True", reason: "Read", message: "The credentials were read." };
      return { status: "True", reason: problem.reason, message: sentence(problem.message) };
    }
    case "unreadable":
      return { status: "False", reason: credentials.reason, message: sentence(credentials.message) };
  }
}

function syncFinding({ kind }: CredentialsState, counts: CopyCounts): Finding | undefined {
  if (kind === "managed-by-admin") return undefined;
  const { selected, synced, refused, failing } = counts;
  if (selected === 0) {
    const message = "No opted-in namespace may have the credentials.";
    return { status: "True", reason: "NoNamespaceSelected", message };
  }
  const message = copiesMessage(counts);
  if (refused > 0) return { status: "False", reason: "SecretNotOurs", message };
  if (failing > 0 || synced < selected) return { status: "False", reason: "Writing", message };
  return { status: "True", reason: "Synced", message };
}

function copiesMessage({ selected, synced, refused, failing }: CopyCounts): string {
  const faults = [
    ...(refused > 0
      ? [`in ${refused.toString()} a Secret that is not Pullpass's has the name of the copy`]
      : []),
    ...(failing > 0 ? [`in ${failing.toString()} the last write failed and is tried again`] : []),
  ];
  return sentence([`${synced.toString()} of ${namespaces(selected)} are up to date`, ...faults].join("; "));
}

function namespaces(count: number): string {
  return `${count.toString()} namespace${count === 1 ? "" : "s"}`;
}

/** Nothing is known of the Secrets that an admin keeps. */
function countsOf(
  { kind }: CredentialsState,
  { selected, synced, refused }: CopyCounts,
): NonNullable<RegistryStatus["namespaces"]> {
  return kind === "managed-by-admin" ? { selected } : { selected, synced, refused };
}

/** The last login, also one of another replica; one before the credentials changed no longer says anything. */
function loginOf(
  { login, used }: RegistryFacts,
  previous: Partial<RegistryStatus> | undefined,
): LoginResult | undefined {
  const known = login ?? loginBefore(previous);
  const changedAt = used?.credentials.kind === "read" ? used.credentials.changedAt : undefined;
  if (known?.at === undefined || changedAt === undefined || Date.parse(known.at) >= Date.parse(changedAt)) {
    return known;
  }
  const outdated = { reason: "NotAsked", message: "The credentials changed after the last login." } as const;
  return { ...known, ...outdated, pull: known.pull && outdated };
}

function loginBefore(previous: Partial<RegistryStatus> | undefined): LoginResult | undefined {
  const outcome = <Reason>(conditionType: ConditionType): Outcome<Reason> | undefined => {
    const condition = previous?.conditions?.find(({ type }) => type === conditionType);
    return condition && { reason: condition.reason as Reason, message: condition.message };
  };
  const login = outcome<LoginReason>("LoginSucceeded");
  const check = previous?.check;
  return (
    login && {
      ...login,
      at: previous?.credentials?.lastLoginAt,
      pull: outcome<PullReason>("PullSucceeded"),
      check: check && { requestedAt: check.requestedAt, image: check.image },
    }
  );
}

function checkOf({ requestedAt, image }: CheckRequest): NonNullable<RegistryStatus["check"]> {
  return { requestedAt, ...(image !== undefined && { image }) };
}

function outcomeFinding({ reason, message }: Outcome<PullReason>): Finding {
  const status = reason === "Succeeded" ? "True" : reason === "NotAsked" ? "Unknown" : "False";
  return { status, reason, message: sentence(message) };
}

const NO_TIMES: CredentialTimes = { changedAt: undefined, expiresAt: undefined, nextRefreshAt: undefined };

function credentialTimes(
  credentials: CredentialsState | undefined,
  login: LoginResult | undefined,
): Pick<RegistryStatus, "credentials"> {
  const { changedAt, expiresAt, nextRefreshAt } =
    credentials === undefined || credentials.kind === "managed-by-admin" ? NO_TIMES : credentials;
  const times = {
    ...(changedAt !== undefined && { changedAt }),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(nextRefreshAt !== undefined && { nextRefreshAt }),
    ...(login?.at !== undefined && { lastLoginAt: login.at }),
  };
  return Object.keys(times).length === 0 ? {} : { credentials: times };
}

/** The API server refuses longer ones. */
const MAX_MESSAGE_LENGTH = 1024;

/** The path of a field at its beginning keeps its case. */
function sentence(text: string): string {
  const capitalised = /^[a-z]+ /.test(text) ? text.slice(0, 1).toUpperCase() + text.slice(1) : text;
  const start = capitalised.slice(0, MAX_MESSAGE_LENGTH - 1);
  return start.endsWith(".") ? start : `${start}.`;
}

/** RFC 3339, in seconds, as Kubernetes writes times. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}
