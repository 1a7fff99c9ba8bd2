/** What the pages ask for: one route a line, each with the rights of the person who is logged in. */
import { getString, isObject } from "../core/kubernetes.ts";
import type { RegistryUsage, SaveRequest } from "./api.ts";
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
  const draftContext = ({ session: { person } }: RouteRequest) => ({ ...person, namespace });
  return [
    { method: "GET", path: "/api/session", handle: ({ session }) => server.describe(session) },
    {
      method: "GET",
      path: "/api/registries",
      handle: ({ session: { person } }) => listRegistries(person.view),
    },
    {
      method: "POST",
      path: "/api/registries/check",
      async handle(request) {
        const { view } = request.session.person;
        await Promise.all([view.registries.ready(), view.namespaces.ready()]);
        const draft = required(readDraft(member(request.body, "draft")));
        return checkDraft(draft, getString(request.body, "image") ?? "", draftContext(request));
      },
    },
    {
      method: "POST",
      path: "/api/registries",
      handle: (request) => save(request, true),
    },
    {
      method: "PUT",
      path: "/api/registries/:name",
      handle: (request) => save(request, false),
    },
    {
      method: "GET",
      path: "/api/registries/:name/usage",
      handle: async ({ session: { person }, name }): Promise<RegistryUsage> => ({
        pods: await person.podsInUse(name),
        secret: secretOfNoOther(person.view, name),
      }),
    },
    {
      method: "DELETE",
      path: "/api/registries/:name",
      async handle({ session: { person }, name, body }) {
        const secret = secretOfNoOther(person.view, name);
        await person.edits.remove(name, getString(body, "uid") ?? "");
        const isSecretToo = isObject(body) && body["deleteSecret"] === true && secret !== null;
        if (isSecretToo) await person.edits.removeOffer(namespace, secret);
        return {
          steps: [
            `Registry ${name} deleted`,
            ...(isSecretToo ? [`Secret ${namespace}/${secret} deleted`] : []),
          ],
        };
      },
    },
    {
      method: "POST",
      path: "/api/registries/:name/test-login",
      handle: ({ session: { person }, name, body }) =>
        requestTest(person, name, getString(body, "image") ?? ""),
    },
    {
      method: "POST",
      path: "/api/test-login",
      async handle({ session: { person }, body }) {
        const { restrictions } = server;
        if (restrictions === undefined)
          throw new ConsoleError(403, "forbidden", "Test login is switched off");
        // Whoever may create a registry may have Pullpass connect to its address.
        if (!(await person.rights()).createRegistries)
          throw new ConsoleError(
            403,
            "forbidden",
            "Test login needs the right to create clusterregistries.pullpass.dev",
          );
        const text = (key: string): string => getString(body, key) ?? "";
        const credentials = required(readCredentialsBody(member(body, "credentials")));
        const question = { address: text("address"), username: text("username"), image: text("image") };
        return testLogin({ ...question, credentials }, restrictions);
      },
    },
    {
      method: "GET",
      path: "/api/namespaces",
      parameters: ["filter", "offset", "optedIn"],
      async handle({ session: { person }, query }) {
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
      },
    },
    {
      method: "GET",
      path: "/api/namespaces/:name",
      handle: ({ session: { person }, name }) => readNamespaceDetails(name, person.view, person.transport),
    },
    {
      method: "PUT",
      path: "/api/namespaces/:name/opt-in",
      async handle({ session: { person }, name, body }) {
        const isOptedIn = isObject(body) && body["isOptedIn"] === true;
        await person.edits.setOptIn(name, isOptedIn);
        return { isOptedIn };
      },
    },
    { method: "GET", path: "/api/stuck-pods", handle: ({ session: { person } }) => person.stuckPods.list() },
    {
      method: "POST",
      path: "/api/explain",
      handle: ({ session: { person }, body }) =>
        explain(
          { image: getString(body, "image") ?? "", namespace: getString(body, "namespace") ?? "" },
          person,
        ),
    },
  ];

  async function save(request: RouteRequest, isNew: boolean): Promise<object> {
    const { body } = request;
    const draft = required(readDraft(member(body, "draft")));
    const generation = Number(member(body, "generation"));
    const typed = member(body, "credentials");
    const credentials = typed === null ? null : required(readCredentialsBody(typed));
    if (isNew !== (draft.uid === "") || (!isNew && draft.name !== request.name))
      throw new ConsoleError(400, "bad-request", "the name is not that of the address");
    const { view } = request.session.person;
    await Promise.all([view.registries.ready(), view.namespaces.ready()]);
    const asked: SaveRequest = { draft, generation, credentials };
    return saveRegistry(asked, draftContext(request));
  }
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
