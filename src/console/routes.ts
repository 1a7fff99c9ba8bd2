/** What the pages ask for: one route a line, each with the rights of the person who is logged in. */
import { getString, isObject } from "../core/kubernetes.ts";
import type { Restrictions } from "../registry/request.ts";
import type { RegistryUsage } from "./api.ts";
import type { Console, Person } from "./console.ts";
import { readCredentialsBody } from "./credentials.ts";
import { checkDraft, readDraft } from "./drafts.ts";
import { ConsoleError } from "./errors.ts";
import { explain } from "./explain.ts";
import { listNamespaces, readNamespaceDetails } from "./namespaces.ts";
import { listRegistries } from "./registries.ts";
import { saveRegistry, secretOf } from "./save-registry.ts";
import type { Session } from "./sessions.ts";
import { requestTest, testLogin } from "./test-login.ts";

export interface RouteRequest {
  readonly session: Session<Person>;
  /** Parts of the path that are names of objects. */
  readonly name: string;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined for GET. */
  readonly body: unknown;
}

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** `:name` is the name of an object. */
  readonly path: string;
  /** The parameters that its address may have; with any other one it is refused. */
  readonly parameters?: readonly string[];
  /** What is answered as JSON. @throws ConsoleError, KubeApiError, KubeUnreachableError */
  readonly handle: (request: RouteRequest) => Promise<object>;
}

export function consoleRoutes(server: Console): readonly Route[] {
  const { namespace } = server.options;
  return [
    { method: "GET", path: "/api/session", handle: ({ session }) => server.describe(session) },
    { method: "GET", path: "/api/registries", handle: ({ session }) => listRegistries(session.person.view) },
    { method: "POST", path: "/api/registries/check", handle: (request) => check(request, namespace) },
    { method: "POST", path: "/api/registries", handle: (request) => save(request, namespace, true) },
    { method: "PUT", path: "/api/registries/:name", handle: (request) => save(request, namespace, false) },
    { method: "GET", path: "/api/registries/:name/usage", handle: readUsage },
    { method: "DELETE", path: "/api/registries/:name", handle: (request) => remove(request, namespace) },
    { method: "POST", path: "/api/registries/:name/test-login", handle: testStored },
    {
      method: "POST",
      path: "/api/test-login",
      handle: (request) => testTyped(request, server.restrictions),
    },
    {
      method: "GET",
      path: "/api/namespaces",
      parameters: ["filter", "offset", "optedIn"],
      handle: findNamespaces,
    },
    {
      method: "GET",
      path: "/api/namespaces/:name",
      handle: ({ session: { person }, name }) => readNamespaceDetails(name, person.view, person.transport),
    },
    { method: "PUT", path: "/api/namespaces/:name/opt-in", handle: setOptIn },
    { method: "GET", path: "/api/stuck-pods", handle: ({ session }) => session.person.stuckPods.list() },
    {
      method: "POST",
      path: "/api/explain",
      handle: ({ session, body }) =>
        explain({ image: text(body, "image"), namespace: text(body, "namespace") }, session.person),
    },
  ];
}

async function check({ session: { person }, body }: RouteRequest, namespace: string): Promise<object> {
  const { view } = person;
  await Promise.all([view.registries.ready(), view.namespaces.ready()]);
  const draft = required(readDraft(member(body, "draft")));
  return checkDraft(draft, text(body, "image"), { ...person, namespace });
}

async function save(request: RouteRequest, namespace: string, isNew: boolean): Promise<object> {
  const { person } = request.session;
  const { body } = request;
  const draft = required(readDraft(member(body, "draft")));
  const generation = Number(member(body, "generation"));
  const typed = member(body, "credentials");
  const credentials = typed === null ? null : required(readCredentialsBody(typed));
  if (isNew !== (draft.uid === "") || (!isNew && draft.name !== request.name))
    throw new ConsoleError(400, "bad-request", "the name is not that of the address");
  await Promise.all([person.view.registries.ready(), person.view.namespaces.ready()]);
  return saveRegistry({ draft, generation, credentials }, { ...person, namespace });
}

async function readUsage({ session: { person }, name }: RouteRequest): Promise<RegistryUsage> {
  return { pods: await person.podsInUse(name), secret: secretOfNoOther(person.view, name) };
}

async function remove(request: RouteRequest, namespace: string): Promise<object> {
  const { name, body } = request;
  const { view, edits } = request.session.person;
  const secret = secretOfNoOther(view, name);
  await edits.remove(name, text(body, "uid"));
  const isSecretToo = member(body, "deleteSecret") === true && secret !== null;
  if (isSecretToo) await edits.removeOffer(namespace, secret);
  return {
    steps: [`Registry ${name} deleted`, ...(isSecretToo ? [`Secret ${namespace}/${secret} deleted`] : [])],
  };
}

function testStored({ session: { person }, name, body }: RouteRequest): Promise<object> {
  return requestTest(person, name, text(body, "image"));
}

async function testTyped(
  { session: { person }, body }: RouteRequest,
  restrictions: Restrictions | undefined,
): Promise<object> {
  if (restrictions === undefined) throw new ConsoleError(403, "forbidden", "Test login is switched off");
  // Whoever may create a registry may have Pullpass connect to its address.
  if (!(await person.rights()).createRegistries)
    throw new ConsoleError(
      403,
      "forbidden",
      "Test login needs the right to create clusterregistries.pullpass.dev",
    );
  const credentials = required(readCredentialsBody(member(body, "credentials")));
  const [address, username, image] = [text(body, "address"), text(body, "username"), text(body, "image")];
  return testLogin({ address, username, image, credentials }, restrictions);
}

async function findNamespaces({ session: { person }, query }: RouteRequest): Promise<object> {
  const offset = Number(query.get("offset") ?? 0);
  return listNamespaces(
    {
      filter: query.get("filter") ?? "",
      offset: Number.isSafeInteger(offset) ? offset : 0,
      isOptedInOnly: query.get("optedIn") === "true",
    },
    person.view,
    await person.stuckPods.byNamespace(),
  );
}

async function setOptIn({ session: { person }, name, body }: RouteRequest): Promise<object> {
  const isOptedIn = member(body, "isOptedIn") === true;
  await person.edits.setOptIn(name, isOptedIn);
  return { isOptedIn };
}

function text(body: unknown, key: string): string {
  return getString(body, key) ?? "";
}

function member(body: unknown, key: string): unknown {
  return isObject(body) ? body[key] : undefined;
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new ConsoleError(400, "bad-request", "the request lacks a part");
  return value;
}

/** The Secret with a registry's credentials; null if it has none, or another registry refers to it. */
function secretOfNoOther({ registries }: Person["view"], name: string): string | null {
  const stored = registries.get("", name)?.object;
  const secret = stored === undefined ? "" : secretOf(stored);
  const isShared = registries
    .entries()
    .some(([other, { object }]) => other !== name && secretOf(object) === secret);
  return secret === "" || isShared ? null : secret;
}
