/**
 * What kubectl does to objects of kinds that are known here, as requests of this process. A test suite makes thousands of them,
 * and to start kubectl takes 130 ms of processor time each.
 */
import { Agent } from "node:https";
import type { KeyPair } from "./certificates.ts";
import { CommandError } from "./run-command.ts";
import { sendRequest, type Answer } from "../../send-request.ts";
import { waitUntil } from "../../wait-until.ts";

export interface ApiAccess {
  readonly server: string;
  readonly authorityPem: string;
  readonly admin: KeyPair;
}

/** Each is `undefined` for what only kubectl itself can do: another kind, or a flag that is not known here. */
export interface ApiObjects {
  /** `args` as in `kubectl get ARGS --output=json`. */
  get(args: readonly string[]): Promise<unknown> | undefined;
  create(object: object, flags: readonly string[]): Promise<unknown> | undefined;
  /** In this order, as the only manager of their fields. */
  apply(objects: readonly object[]): Promise<void> | undefined;
  /** `kubectl delete`, `label`, `annotate` and `patch`; nothing is printed. */
  change(args: readonly string[]): Promise<void> | undefined;
}

interface Kind {
  readonly groupVersion: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
}

const kind = (groupVersion: string, plural: string, isNamespaced = true): Kind => ({
  groupVersion,
  plural,
  isNamespaced,
});

const RBAC = "apis/rbac.authorization.k8s.io/v1";
const ADMISSION = "apis/admissionregistration.k8s.io/v1";

/** By their names in manifests; kubectl's are the same in lower case. */
const KINDS: Readonly<Record<string, Kind>> = {
  ConfigMap: kind("api/v1", "configmaps"),
  Event: kind("api/v1", "events"),
  Namespace: kind("api/v1", "namespaces", false),
  Node: kind("api/v1", "nodes", false),
  Pod: kind("api/v1", "pods"),
  Secret: kind("api/v1", "secrets"),
  Service: kind("api/v1", "services"),
  ServiceAccount: kind("api/v1", "serviceaccounts"),
  Deployment: kind("apis/apps/v1", "deployments"),
  StatefulSet: kind("apis/apps/v1", "statefulsets"),
  DaemonSet: kind("apis/apps/v1", "daemonsets"),
  Job: kind("apis/batch/v1", "jobs"),
  CronJob: kind("apis/batch/v1", "cronjobs"),
  Lease: kind("apis/coordination.k8s.io/v1", "leases"),
  EndpointSlice: kind("apis/discovery.k8s.io/v1", "endpointslices"),
  PodDisruptionBudget: kind("apis/policy/v1", "poddisruptionbudgets"),
  Role: kind(RBAC, "roles"),
  RoleBinding: kind(RBAC, "rolebindings"),
  ClusterRole: kind(RBAC, "clusterroles", false),
  ClusterRoleBinding: kind(RBAC, "clusterrolebindings", false),
  MutatingAdmissionPolicy: kind(ADMISSION, "mutatingadmissionpolicies", false),
  MutatingAdmissionPolicyBinding: kind(ADMISSION, "mutatingadmissionpolicybindings", false),
  MutatingWebhookConfiguration: kind(ADMISSION, "mutatingwebhookconfigurations", false),
  CustomResourceDefinition: kind("apis/apiextensions.k8s.io/v1", "customresourcedefinitions", false),
  ClusterRegistry: kind("apis/pullpass.dev/v1alpha1", "clusterregistries", false),
};

/** By their names on kubectl's command line. */
const RESOURCES = new Map(
  Object.entries(KINDS).flatMap(([name, value]) => [
    [name.toLowerCase(), value],
    [value.plural, value],
  ]),
);

const JSON_TYPE = "application/json";

const PATCH_TYPES = new Map([
  ["json", "application/json-patch+json"],
  ["merge", "application/merge-patch+json"],
  ["strategic", "application/strategic-merge-patch+json"],
]);

/** By commands, the flags that are known here. */
const CHANGES = new Map([
  ["delete", ["--as", "--namespace", "--ignore-not-found", "--wait"]],
  ["label", ["--as", "--namespace", "--overwrite"]],
  ["annotate", ["--as", "--namespace", "--overwrite"]],
  ["patch", ["--as", "--namespace", "--type", "--subresource", "--patch"]],
]);

/** The flags of `get`, and the parameters that kubectl makes of them. */
const PARAMETERS = new Map([
  ["--as", ""],
  ["--show-managed-fields", ""],
  ["--namespace", ""],
  ["--selector", "labelSelector"],
  ["--field-selector", "fieldSelector"],
  ["--all-namespaces", ""],
]);

interface Sent {
  readonly method?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly body?: object | string;
  /** With `--as`, whose user the request is of. */
  readonly flags?: Flags;
}

export function createApiObjects({ server, authorityPem, admin }: ApiAccess): ApiObjects {
  // A handshake costs more than most requests.
  const agent = new Agent({ keepAlive: true });
  const credentials = { agent, ca: authorityPem, cert: admin.certificatePem, key: admin.keyPem };

  function send(path: string, sent: Sent = {}) {
    const { method = "GET", query = {}, contentType = JSON_TYPE, body, flags = NO_FLAGS } = sent;
    const url = new URL(`${path}?${new URLSearchParams(query).toString()}`, server).href;
    const user = flags.get("--as");
    const impersonation = user === undefined ? {} : { "impersonate-user": user };
    if (body === undefined) return sendRequest(url, { ...credentials, method, headers: impersonation });
    const text = typeof body === "string" ? body : JSON.stringify(body);
    // Node sends no length with the body of a DELETE.
    const headers = {
      ...impersonation,
      "content-type": contentType,
      "content-length": Buffer.byteLength(text).toString(),
    };
    return sendRequest(url, { ...credentials, method, headers, body: text });
  }

  async function apply(manifest: Manifest): Promise<void> {
    const { kind: name = "", metadata } = manifest;
    const path = pathOf(KINDS[name], metadata?.namespace, metadata?.name);
    const query = { fieldManager: "kubectl", force: "true", fieldValidation: "Strict" };
    const contentType = "application/apply-patch+yaml";
    objectIn(`apply ${name}`, await send(path, { method: "PATCH", query, contentType, body: manifest }));
  }

  /** In the background, as kubectl does, which waits until the object is gone. */
  async function remove(path: string, flags: Flags): Promise<void> {
    const before = await send(path, { flags });
    const answer = await send(path, { method: "DELETE", body: { propagationPolicy: "Background" }, flags });
    if (answer.status === 404 && flags.has("--ignore-not-found")) return;
    objectIn(`delete ${path}`, answer);
    if (flags.get("--wait") === "false") return;
    await waitUntil(`${path} to be gone`, async () => {
      const now = await send(path, { flags });
      return now.status === 404 || uidIn(now) !== uidIn(before);
    });
  }

  return {
    get(args) {
      const { resource, names, flags } = parse(args);
      const found = RESOURCES.get(resource);
      if (found === undefined || names.length > 1 || !hasOnly(flags, [...PARAMETERS.keys()]))
        return undefined;
      const isEverywhere = flags.has("--all-namespaces");
      const path = isEverywhere
        ? `/${found.groupVersion}/${found.plural}`
        : pathOf(found, flags.get("--namespace"), names[0]);
      const query = Object.fromEntries(
        [...flags].flatMap(([flag, value]) => {
          const parameter = PARAMETERS.get(flag) ?? "";
          return parameter === "" ? [] : [[parameter, value]];
        }),
      );
      return send(path, { query, flags }).then((answer) =>
        objectIn(`get ${args.join(" ")}`, answer, flags.has("--show-managed-fields")),
      );
    },
    create(object, args) {
      const { kind: name = "", metadata } = object as Manifest;
      const { flags } = parse(args);
      if (!isKnown(object) || !hasOnly(flags, ["--as", "--namespace", "--dry-run"])) return undefined;
      const isTrial = flags.has("--dry-run");
      if (isTrial && flags.get("--dry-run") !== "server") return undefined;
      const path = pathOf(KINDS[name], flags.get("--namespace") ?? metadata?.namespace);
      // Fields that nobody knows are an error, as they are for kubectl.
      const query = {
        fieldManager: "kubectl-create",
        fieldValidation: "Strict",
        ...(isTrial && { dryRun: "All" }),
      };
      return send(path, { method: "POST", query, body: object, flags }).then((answer) =>
        objectIn(`create ${name}`, answer),
      );
    },
    change([command = "", ...args]) {
      const { resource, names: words, flags } = parse(args);
      const found = RESOURCES.get(resource);
      const known = CHANGES.get(command);
      if (found === undefined || known === undefined || !hasOnly(flags, known)) return undefined;
      const isMetadata = command === "label" || command === "annotate";
      const changes = words.filter((word) => isMetadata && /=|-$/.test(word));
      const names = words.filter((word) => !changes.includes(word));
      if (names.length === 0) return undefined;
      const values = Object.fromEntries(changes.map(readChange));
      const patch = isMetadata
        ? { type: "merge", body: { metadata: { [command === "label" ? "labels" : "annotations"]: values } } }
        : { type: flags.get("--type") ?? "strategic", body: flags.get("--patch") ?? "" };
      const sent = {
        ...{ method: "PATCH", query: { fieldManager: `kubectl-${command}` } },
        ...{ contentType: PATCH_TYPES.get(patch.type) ?? "", body: patch.body, flags },
      };
      return eachOf(names, async (name) => {
        const path = pathOf(found, flags.get("--namespace"), name, flags.get("--subresource"));
        if (command === "delete") await remove(path, flags);
        else objectIn(`${command} ${path}`, await send(path, sent));
      });
    },
    apply(objects) {
      return objects.every(isKnown) ? eachOf(objects, apply) : undefined;
    },
  };
}

function isKnown({ apiVersion = "", kind: name = "" }: Manifest): boolean {
  return KINDS[name]?.groupVersion === `${apiVersion.includes("/") ? "apis" : "api"}/${apiVersion}`;
}

type Flags = ReadonlyMap<string, string>;

const NO_FLAGS: Flags = new Map();

function hasOnly(flags: Flags, known: readonly string[]): boolean {
  return [...flags.keys()].every((flag) => known.includes(flag));
}

/** `RESOURCE NAME...` or `RESOURCE/NAME`, and flags between them. */
function parse(args: readonly string[]) {
  const [first = "", ...others] = args.filter((arg) => !arg.startsWith("--"));
  const [resource = "", ...name] = first.split("/");
  const flags = new Map(args.filter((arg) => arg.startsWith("--")).map(splitFlag));
  return { resource, names: [...name, ...others], flags };
}

/** `key=value`, or `key-` to remove it. */
function readChange(change: string): readonly [string, string | null] {
  const [key, value] = splitFlag(change);
  return change.includes("=") ? [key, value] : [change.slice(0, -1), null];
}

async function eachOf<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  for (const item of items) await act(item);
}

function uidIn({ body }: Answer): string | undefined {
  return (JSON.parse(body) as Manifest).metadata?.uid;
}

function splitFlag(flag: string): readonly [string, string] {
  const [name = "", ...value] = flag.split("=");
  return [name, value.join("=")];
}

/** Of a collection, of an object, or of a part of one; by default in the namespace `default`. */
function pathOf(
  kind: Kind | undefined,
  namespace = "default",
  ...names: readonly (string | undefined)[]
): string {
  if (kind === undefined) throw new Error("no such kind");
  const { groupVersion, plural, isNamespaced } = kind;
  const parts = [groupVersion, ...(isNamespaced ? ["namespaces", namespace] : []), plural, ...names];
  return `/${parts.filter((part) => part !== undefined).join("/")}`;
}

/** @throws CommandError with kubectl's words for a refusal. */
function objectIn(command: string, { status, body }: Answer, withManagedFields = false): unknown {
  if (status >= 300) throw new CommandError(command, 1, { stdout: "", stderr: refusalIn(body) });
  const object = JSON.parse(body) as Shown & { readonly items?: readonly Shown[] };
  // kubectl does not show them either.
  if (!withManagedFields) for (const { metadata } of object.items ?? [object]) delete metadata?.managedFields;
  return object;
}

function refusalIn(body: string): string {
  // Of a path that it does not know, an API server says so in plain text.
  if (!body.startsWith("{")) return `Error from server: ${body}\n`;
  const { reason = "", message = "" } = JSON.parse(body) as {
    readonly reason?: string;
    readonly message?: string;
  };
  return `Error from server (${reason}): ${message}\n`;
}

interface Manifest {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly name?: string; readonly namespace?: string; readonly uid?: string };
}

interface Shown {
  readonly metadata?: { managedFields?: unknown };
}
