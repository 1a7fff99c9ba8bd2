/** What the console's server and its pages say to each other. The pages import nothing but these types. */

/** The answer to a request that failed. */
export interface Failure {
  readonly code:
    | "no-session"
    | "wrong-login"
    | "too-many"
    | "forbidden"
    | "conflict"
    | "not-found"
    | "invalid"
    | "unreachable"
    | "bad-request"
    | "internal";
  /** For people; nothing secret. */
  readonly message: string;
  /** Of a form. */
  readonly problems?: readonly Problem[];
}

/** What is wrong with a field of a form; the field is a path into the ClusterRegistry, such as `spec.address`. */
export interface Problem {
  readonly field: string;
  readonly message: string;
}

export interface SessionInfo {
  readonly user: string;
  readonly cluster: string;
  /** How this person logged in, and does so again. */
  readonly login: LoginKind;
  /** Unix time in milliseconds. */
  readonly expiresAt: number;
  /** Where Pullpass keeps the Secrets with credentials. */
  readonly namespace: string;
  /** What this person may do. */
  readonly rights: Rights;
  /** Whether typed credentials can be tried from here. */
  readonly hasTestLogin: boolean;
}

export type LoginKind = "key" | "token";

export type Right =
  | "createRegistries"
  | "updateRegistries"
  | "deleteRegistries"
  | "createSecrets"
  | "updateSecrets"
  | "deleteSecrets"
  | "labelNamespaces";

export type Rights = Readonly<Record<Right, boolean>>;

/** How something is. The words say it; the level only chooses a shape and a colour. */
export interface State {
  readonly level: "good" | "busy" | "warn" | "bad" | "quiet";
  readonly words: string;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly since: string;
  /** About an earlier spec. */
  readonly isOutdated: boolean;
}

export type AuthType = "BasicAuth" | "Token" | "DockerConfig" | "Provider" | "Secret" | "None";

export interface RegistryRow {
  readonly name: string;
  readonly displayName: string;
  /** Empty where the spec is not valid, since it might hold a password then. */
  readonly address: string;
  readonly auth: AuthType | "unknown";
  readonly state: State;
  /** What to do about it; empty if nothing. */
  readonly advice: string;
  readonly namespaces: { readonly synced: number | null; readonly selected: number } | null;
  readonly expiresAt: string | null;
  /** The pull secret that pods name. */
  readonly secretName: string;
  /** Null for a registry of the file, which cannot be changed here. */
  readonly object: RegistryObject | null;
}

export interface RegistryObject {
  readonly uid: string;
  /** Of the spec: it changes with every edit, and not with the state. */
  readonly generation: number;
  readonly createdAt: string;
  readonly spec: RegistrySpec;
  readonly conditions: readonly Condition[];
  readonly credentialsChangedAt: string | null;
  readonly lastLoginAt: string | null;
  /** Null if nobody asked for one. */
  readonly test: StoredTest | null;
}

/** A login, and maybe a pull, that somebody asked Pullpass for: LoginSucceeded and PullSucceeded answer it. */
export interface StoredTest {
  readonly requestedAt: string;
  /** Empty: the login alone. */
  readonly image: string;
  readonly isAnswered: boolean;
}

/** As in the ClusterRegistry. */
export interface RegistrySpec {
  readonly displayName?: string;
  readonly address: string;
  readonly auth?: {
    readonly type: string;
    readonly secretRef?: { readonly name: string };
    readonly username?: string;
    readonly provider?: string;
  };
  readonly namespaces?: LabelSelector;
  readonly use?: readonly string[];
  readonly secretName?: string;
  readonly hosts?: readonly string[];
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/** A list as far as this person may read it. */
export interface Listing<Row> {
  readonly rows: readonly Row[];
  /** What could not be read and why, a sentence each. */
  readonly unread: readonly string[];
}

export interface RegistryList extends Listing<RegistryRow> {
  /** Namespaces that opted in; null if they cannot be read. */
  readonly optedIn: number | null;
  /** Names of credential providers: those of the file, and those that a registry has. */
  readonly providers: readonly string[];
}

/** A registry as it is being typed. */
export interface Draft {
  readonly name: string;
  /** Of the object that is edited; empty for a new one. */
  readonly uid: string;
  readonly spec: RegistrySpec;
}

export interface DraftCheck {
  readonly problems: readonly Problem[];
  /** Whether it covers the image that was typed beside it; null without an image or an address. */
  readonly cover: { readonly isCovered: boolean; readonly sentence: string } | null;
  /** Which namespaces it is for now; null if they cannot be read. */
  readonly namespaces: {
    readonly optedIn: number;
    readonly matching: number;
    readonly examples: readonly string[];
  } | null;
  /** Why they cannot be read; empty if they can. */
  readonly unread: string;
  /** The objects, with placeholders for credentials. */
  readonly yaml: string;
  /** What a person would run instead. */
  readonly command: string;
}

/** What is typed into a form, and never comes back. */
export type Credentials =
  | { readonly type: "BasicAuth"; readonly username: string; readonly password: string }
  | { readonly type: "Token"; readonly token: string }
  | { readonly type: "DockerConfig"; readonly config: string };

export interface SaveRequest {
  readonly draft: Draft;
  /** Of the spec that the form began with; 0 for a new registry. */
  readonly generation: number;
  /** Null keeps what is there. */
  readonly credentials: Credentials | null;
}

export interface SaveAnswer {
  readonly name: string;
  /** What was done, a line each. */
  readonly steps: readonly string[];
}

/** What uses a registry now, and what nothing else uses. */
export interface RegistryUsage {
  /** Null if they cannot be read. */
  readonly pods: PodsInUse | null;
  /** The Secret with its credentials, if no other registry refers to it. */
  readonly secret: string | null;
}

/** Running pods that were given the credentials. */
export interface PodsInUse {
  readonly count: number;
  /** The first few. */
  readonly examples: readonly { readonly namespace: string; readonly name: string }[];
}

export interface TestLoginRequest {
  readonly address: string;
  readonly username: string;
  readonly credentials: Credentials;
  /** Empty: only the login is tried. */
  readonly image: string;
}

export interface TestLoginAnswer {
  readonly works: boolean;
  readonly sentence: string;
}

export interface NamespaceRow {
  readonly name: string;
  readonly isOptedIn: boolean;
  readonly isTerminating: boolean;
  /** Names of the registries that it may have. */
  readonly registries: readonly string[];
  readonly problems: readonly string[];
  readonly stuckPods: number;
}

export interface NamespaceList extends Listing<NamespaceRow> {
  /** Of all that the filter selects. */
  readonly total: number;
  readonly optedIn: number;
  readonly offset: number;
}

export interface NamespaceDetails {
  readonly labels: string;
  readonly copies: readonly {
    readonly secret: string;
    readonly registries: readonly string[];
    readonly state: State;
  }[];
  readonly unread: readonly string[];
}

/** One cause, one place to mend it. */
export interface StuckGroup {
  readonly code: string;
  readonly title: string;
  readonly sentence: string;
  readonly advice: string;
  /** Empty if it is not about one. */
  readonly registry: string;
  /** Empty if it is not about one. */
  readonly namespace: string;
  readonly command: string;
  readonly pods: readonly StuckPodRow[];
  /** Of all, also those that are not listed. */
  readonly count: number;
}

export interface StuckPodRow {
  readonly namespace: string;
  readonly name: string;
  readonly owner: string;
  readonly image: string;
  /** Unix time in milliseconds. */
  readonly since: number | null;
  /** When the kubelet tries again; without a time, in words alone. */
  readonly nextTry: { readonly at?: number; readonly words: string };
}

/** A pod that Pullpass evicted, one that replaced such a pod and is no better, or one that is left alone. */
export interface HealRow {
  readonly namespace: string;
  readonly owner: string;
  readonly state: State;
  readonly message: string;
  /** Unix time in milliseconds. */
  readonly at: number;
}

export interface StuckPodList {
  readonly groups: readonly StuckGroup[];
  readonly count: number;
  /** Stuck pods of namespaces that did not opt in, and that no registry covers. */
  readonly others: number;
  /** The latest first; null where no namespace opted in to heal. */
  readonly healed: readonly HealRow[] | null;
  readonly unread: readonly string[];
}

export interface ExplainRequest {
  readonly image: string;
  /** Empty: any namespace. */
  readonly namespace: string;
}

export interface ExplainAnswer {
  /** As the command line prints it. */
  readonly text: string;
  readonly command: string;
  /** Names of registries in it. */
  readonly registries: readonly string[];
  readonly unread: readonly string[];
}

/** Sent whenever something changed: the pages ask again for what they show. */
export interface Changes {
  readonly registries: number;
  readonly namespaces: number;
  readonly pods: number;
  readonly stuckPods: number;
}
