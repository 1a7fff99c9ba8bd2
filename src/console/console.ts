/** The console's server: who may log in, and what each page asks for. `http/console-app.ts` carries it. */
import type { Configuration } from "../config/configuration.ts";
import { REGISTRY_API } from "../config/registry-crd.ts";
import { createApis, type ApisFor } from "../kube/api.ts";
import { connectionWithToken, type KubeConnection } from "../kube/connection.ts";
import { hasStatus } from "../kube/errors.ts";
import { RequestRate } from "../kube/request-rate.ts";
import { createRegistryEdits, type RegistryEdits } from "../kube/resources/registry-edits.ts";
import { mayI, whoAmI } from "../kube/resources/self-reviews.ts";
import { Transport } from "../kube/transport.ts";
import type { Changes, LoginKind, Right, Rights, SessionInfo } from "./api.ts";
import { ClusterView } from "./cluster-view.ts";
import { ConsoleError } from "./errors.ts";
import { createPodsInUse, type CountPodsInUse } from "./pods-in-use.ts";
import {
  createAttemptLimit,
  createOneTimeKey,
  createSessions,
  type Session,
  type Sessions,
} from "./sessions.ts";
import { StuckPods } from "./stuck-pods.ts";
import { loginRestrictions, type TestLoginPolicy } from "./test-login.ts";
import type { Restrictions } from "../registry/request.ts";

export interface ConsoleOptions {
  /** With `key` everybody who logs in has its rights; with `token` nothing of it is used but where the API server is. */
  readonly connection: KubeConnection;
  readonly login: LoginKind;
  /** So long after a login the next one is due. */
  readonly sessionMs: number;
  readonly clusterName: string;
  /** Where Pullpass runs. */
  readonly namespace: string;
  /** Registries of files, which are shown and cannot be changed. */
  readonly configuration: Configuration;
  /** Undefined: typed credentials are not tried. */
  readonly testLogin: TestLoginPolicy | undefined;
  /** Gets a new key whenever the one before was used and its session has ended. */
  readonly onKey: (key: string) => void;
}

/** What belongs to somebody who is logged in, with their rights alone. */
export interface Person {
  readonly user: string;
  readonly transport: Transport;
  readonly apisFor: ApisFor;
  readonly edits: RegistryEdits;
  readonly view: ClusterView;
  readonly stuckPods: StuckPods;
  readonly podsInUse: CountPodsInUse;
  readonly rights: () => Promise<Rights>;
  /** Aborts when the API server does not accept their token any more. */
  readonly unauthorized: AbortSignal;
}

/** One page asks for a few things at once. */
const RATE = { concurrency: 8 };
const RIGHTS_KEPT_MS = 30_000;

export class Console {
  readonly options: ConsoleOptions;
  readonly restrictions: Restrictions | undefined;
  readonly #mayTry = createAttemptLimit();
  readonly #oneTimeKey = createOneTimeKey();
  readonly #sessions: Sessions<Person>;
  #isClosed = false;

  constructor(options: ConsoleOptions) {
    this.options = options;
    this.#sessions = createSessions<Person>(options.sessionMs, (person) => {
      person.view.close();
      person.transport.close();
      if (!this.#isClosed) this.#issueKey();
    });
    this.#issueKey();
    this.restrictions = options.testLogin && loginRestrictions(options.testLogin);
  }

  /** @throws ConsoleError 401 or 429 */
  async logIn(
    { key, token }: { readonly key?: string; readonly token?: string },
    from: string,
  ): Promise<Session<Person>> {
    if (!this.#mayTry(from)) throw new ConsoleError(429, "too-many", "too many tries; wait a few seconds");
    const connection = this.options.login === "key" ? this.#withKey(key ?? "") : this.#withToken(token ?? "");
    const person = await openPerson(connection, this.options).catch((error: unknown) => {
      // A key that was right is used up, and the API server may answer later.
      this.#issueKey();
      throw error;
    });
    const session = this.#sessions.begin(person);
    person.unauthorized.addEventListener("abort", () => {
      this.#sessions.end(session.id);
    });
    return session;
  }

  session(id: string): Session<Person> | undefined {
    return this.#sessions.find(id);
  }

  logOut(id: string): void {
    this.#sessions.end(id);
  }

  async describe({ person, expiresAt }: Session<Person>): Promise<SessionInfo> {
    const { clusterName, login, namespace, testLogin } = this.options;
    return {
      user: person.user,
      cluster: clusterName,
      ...{ login, expiresAt, namespace },
      rights: await person.rights(),
      hasTestLogin: testLogin !== undefined,
    };
  }

  /** Calls back now and after every change, until the signal aborts. */
  follow({ person, ended }: Session<Person>, send: (changes: Changes) => void, signal: AbortSignal): void {
    const { view, stuckPods } = person;
    const isOpen = (): boolean => !signal.aborted && !ended.aborted;
    let isReporting = false;
    let isDue = false;
    let count = 0;
    const report = async (): Promise<void> => {
      isDue = true;
      if (isReporting) return;
      isReporting = true;
      // What changes meanwhile is in the next one.
      while (isDue && isOpen()) {
        isDue = false;
        // Nothing repeats a report, so that the versions go out whether the pods could be counted or not.
        count = await stuckPods.count().catch(() => count);
        if (isOpen()) send({ ...view.versions(), stuckPods: count });
      }
      isReporting = false;
    };
    const stop = view.subscribe(() => void report());
    signal.addEventListener("abort", stop);
    void report();
  }

  close(): void {
    this.#isClosed = true;
    this.#sessions.endAll();
  }

  #issueKey(): void {
    const { login, onKey } = this.options;
    if (login === "key") onKey(this.#oneTimeKey.issue());
  }

  #withKey(key: string): KubeConnection {
    if (this.#oneTimeKey.redeem(key)) return this.options.connection;
    throw new ConsoleError(
      401,
      "wrong-login",
      "this address was used already, or is too old; the terminal of pullpass console shows the latest one",
    );
  }

  /** What no header can hold is no token; an API server would take none for an anonymous request. */
  #withToken(token: string): KubeConnection {
    if (/^[\x21-\x7e]{1,16384}$/.test(token)) return connectionWithToken(this.options.connection, token);
    throw new ConsoleError(401, "wrong-login", "this is not a token");
  }
}

/** @throws ConsoleError 401, KubeApiError, KubeUnreachableError */
async function openPerson(connection: KubeConnection, options: ConsoleOptions): Promise<Person> {
  const { configuration, namespace } = options;
  const transport = new Transport({ connection, rate: new RequestRate(RATE) });
  const apisFor = createApis(transport);
  let user: string;
  try {
    user = await whoAmI(apisFor);
  } catch (error) {
    transport.close();
    if (hasStatus(error, 401))
      throw new ConsoleError(401, "wrong-login", "the API server does not accept this token");
    throw error;
  }
  const unauthorized = new AbortController();
  const view = new ClusterView({
    ...{ transport, configuration },
    onUnauthorized: () => {
      unauthorized.abort();
    },
  });
  return {
    ...{ user, transport, apisFor, view },
    edits: createRegistryEdits(apisFor, REGISTRY_API),
    stuckPods: new StuckPods(view, apisFor, transport),
    podsInUse: createPodsInUse(view, transport),
    rights: createRights(apisFor, namespace),
    unauthorized: unauthorized.signal,
  };
}

/** They are asked for again after half a minute. */
function createRights(apisFor: ApisFor, ownNamespace: string): () => Promise<Rights> {
  let known: { readonly at: number; readonly rights: Promise<Rights> } | undefined;
  return () => {
    if (known === undefined || Date.now() - known.at > RIGHTS_KEPT_MS)
      known = { at: Date.now(), rights: readRights(apisFor, ownNamespace) };
    const { rights } = known;
    rights.catch(() => (known = undefined));
    return rights;
  };
}

interface Attributes {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  /** In Pullpass's own namespace. */
  readonly isOwn?: true;
}

const REGISTRIES = { group: REGISTRY_API.group, resource: REGISTRY_API.plural };
const SECRETS = { group: "", resource: "secrets", isOwn: true } as const;

/** What a page offers, and what the API server asks for it. */
const RIGHTS: Readonly<Record<Right, Attributes>> = {
  createRegistries: { ...REGISTRIES, verb: "create" },
  updateRegistries: { ...REGISTRIES, verb: "patch" },
  deleteRegistries: { ...REGISTRIES, verb: "delete" },
  createSecrets: { ...SECRETS, verb: "create" },
  updateSecrets: { ...SECRETS, verb: "patch" },
  deleteSecrets: { ...SECRETS, verb: "delete" },
  labelNamespaces: { group: "", resource: "namespaces", verb: "patch" },
};

/** It decides which buttons there are, and nothing else: the API server decides what is done. */
async function readRights(apisFor: ApisFor, ownNamespace: string): Promise<Rights> {
  const entries = Object.entries(RIGHTS).map(async ([right, { isOwn, ...attributes }]) => {
    const isAllowed = await mayI(apisFor, { ...attributes, ...(isOwn && { namespace: ownNamespace }) });
    return [right, isAllowed] as const;
  });
  return Object.fromEntries(await Promise.all(entries)) as Rights;
}
