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
import { createClusterView, type ClusterView } from "./cluster-view.ts";
import { ConsoleError } from "./errors.ts";
import { createPodsInUse, type CountPodsInUse } from "./pods-in-use.ts";
import { createAttemptLimit, createOneTimeKey, createSessions, type Session } from "./sessions.ts";
import { createStuckPods, type StuckPods } from "./stuck-pods.ts";
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
  /** Asked again after half a minute. */
  readonly rights: () => Promise<Rights>;
}

export interface Console {
  readonly options: ConsoleOptions;
  readonly restrictions: Restrictions | undefined;
  /** @throws ConsoleError 401 or 429 */
  logIn(body: { readonly key?: string; readonly token?: string }, from: string): Promise<Session<Person>>;
  session(id: string): Session<Person> | undefined;
  logOut(id: string): void;
  describe(session: Session<Person>): Promise<SessionInfo>;
  /** Calls back now and after every change, until the signal aborts. */
  follow(session: Session<Person>, send: (changes: Changes) => void, signal: AbortSignal): void;
  close(): void;
}

/** One page asks for a few things at once. */
const RATE = { concurrency: 8 };
const RIGHTS_KEPT_MS = 30_000;

export function createConsole(options: ConsoleOptions): Console {
  const { connection, login, namespace } = options;
  const mayTry = createAttemptLimit();
  const oneTimeKey = createOneTimeKey();
  const sessions = createSessions<Person>(options.sessionMs, (person) => {
    person.view.close();
    person.transport.close();
    if (login === "key" && !isClosed) options.onKey(oneTimeKey.issue());
  });
  let isClosed = false;
  if (login === "key") options.onKey(oneTimeKey.issue());

  async function open(personal: KubeConnection): Promise<Person> {
    const transport = new Transport({ connection: personal, rate: new RequestRate(RATE) });
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
    const view = createClusterView({
      transport,
      configuration: options.configuration,
      onUnauthorized: () => {
        endSessionOf(person);
      },
    });
    let known: { readonly at: number; readonly rights: Promise<Rights> } | undefined;
    const person: Person = {
      ...{ user, transport, apisFor, view },
      edits: createRegistryEdits(apisFor, REGISTRY_API),
      stuckPods: createStuckPods(view, apisFor, transport),
      podsInUse: createPodsInUse(view, transport),
      rights() {
        if (known === undefined || Date.now() - known.at > RIGHTS_KEPT_MS)
          known = { at: Date.now(), rights: readRights(apisFor, namespace) };
        const { rights } = known;
        rights.catch(() => (known = undefined));
        return rights;
      },
    };
    return person;
  }

  const idOf = new Map<Person, string>();
  function endSessionOf(person: Person): void {
    sessions.end(idOf.get(person) ?? "");
  }

  return {
    options,
    restrictions: options.testLogin && loginRestrictions(options.testLogin),
    async logIn({ key, token }, from) {
      if (!mayTry(from)) throw new ConsoleError(429, "too-many", "too many tries; wait a few seconds");
      const personal = login === "key" ? withKey(key ?? "") : withToken(token ?? "");
      const person = await open(personal).catch((error: unknown) => {
        // A key that was right is used up, and the API server may answer later.
        if (login === "key") options.onKey(oneTimeKey.issue());
        throw error;
      });
      const session = sessions.begin(person);
      idOf.set(person, session.id);
      session.ended.addEventListener("abort", () => idOf.delete(person));
      return session;
    },
    session: (id) => sessions.find(id),
    logOut(id) {
      sessions.end(id);
    },
    async describe({ person, expiresAt }) {
      return {
        user: person.user,
        cluster: options.clusterName,
        ...{ login, expiresAt, namespace },
        rights: await person.rights(),
        hasTestLogin: options.testLogin !== undefined,
      };
    },
    follow({ person, ended }, send, signal) {
      const { view, stuckPods } = person;
      const isOpen = (): boolean => !signal.aborted && !ended.aborted;
      let isReporting = false;
      let isDue = false;
      const report = async (): Promise<void> => {
        isDue = true;
        if (isReporting) return;
        isReporting = true;
        try {
          // What changes meanwhile is in the next one.
          while (isDue && isOpen()) {
            isDue = false;
            const count = await stuckPods.count();
            if (isOpen()) send({ ...view.versions(), stuckPods: count });
          }
        } catch {
          // The API server does not answer, or the session ended meanwhile. The watches begin again by themselves, and report it.
        } finally {
          isReporting = false;
        }
      };
      const stop = view.subscribe(() => void report());
      signal.addEventListener("abort", stop);
      void report();
    },
    close() {
      isClosed = true;
      sessions.endAll();
    },
  };

  function withKey(key: string): KubeConnection {
    if (oneTimeKey.redeem(key)) return connection;
    throw new ConsoleError(
      401,
      "wrong-login",
      "this address was used already, or is too old; the terminal of pullpass console shows the latest one",
    );
  }

  /** What no header can hold is no token; an API server would take none for an anonymous request. */
  function withToken(token: string): KubeConnection {
    if (/^[\x21-\x7e]{1,16384}$/.test(token)) return connectionWithToken(connection, token);
    throw new ConsoleError(401, "wrong-login", "this is not a token");
  }
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
