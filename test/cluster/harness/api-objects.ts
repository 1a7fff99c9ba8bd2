/**
 * `kubectl get` and `kubectl create` of one kind, as a request of this process. A test suite makes thousands of them, and to
 * start kubectl takes 80 ms of processor time each.
 */
import type { KeyPair } from "./certificates.ts";
import { CommandError } from "./run-command.ts";
import { sendRequest, type Answer } from "../../send-request.ts";

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

/** By their names in manifests; kubectl's are the same in lower case. */
const KINDS: Readonly<Record<string, Kind>> = {
  ConfigMap: kind("api/v1", "configmaps"),
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
  Role: kind("apis/rbac.authorization.k8s.io/v1", "roles"),
  RoleBinding: kind("apis/rbac.authorization.k8s.io/v1", "rolebindings"),
  MutatingWebhookConfiguration: kind(
    "apis/admissionregistration.k8s.io/v1",
    "mutatingwebhookconfigurations",
    false,
  ),
};

/** By their names on kubectl's command line. */
const RESOURCES = new Map(
  Object.entries(KINDS).flatMap(([name, value]) => [
    [name.toLowerCase(), value],
    [value.plural, value],
  ]),
);

/** kubectl's flags, and the parameters that it makes of them; a namespace is a part of the path. */
const PARAMETERS = new Map([
  ["--namespace", ""],
  ["--selector", "labelSelector"],
  ["--field-selector", "fieldSelector"],
  ["--all-namespaces", ""],
]);

export function createApiObjects({ server, authorityPem, admin }: ApiAccess): ApiObjects {
  const credentials = { ca: authorityPem, cert: admin.certificatePem, key: admin.keyPem };
  const headers = { "content-type": "application/json" };
  return {
    get(args) {
      const [resource = "", ...names] = args.filter((arg) => !arg.startsWith("--"));
      const flags = new Map(args.filter((arg) => arg.startsWith("--")).map(splitFlag));
      const found = RESOURCES.get(resource);
      if (found === undefined || names.length > 1 || [...flags.keys()].some((flag) => !PARAMETERS.has(flag)))
        return undefined;
      const namespace = flags.has("--all-namespaces") ? undefined : (flags.get("--namespace") ?? "default");
      const url = new URL([pathOf(found, namespace), ...names].join("/"), server);
      for (const [flag, value] of flags) {
        const parameter = PARAMETERS.get(flag) ?? "";
        if (parameter !== "") url.searchParams.set(parameter, value);
      }
      return sendRequest(url.href, credentials).then((answer) => objectIn(`get ${args.join(" ")}`, answer));
    },
    create(object, flags) {
      const { kind: name = "", metadata } = object as {
        readonly kind?: string;
        readonly metadata?: { readonly namespace?: string };
      };
      const given = new Map(flags.map(splitFlag));
      const found = KINDS[name];
      const isKnown = [...given.keys()].every((flag) => flag === "--namespace" || flag === "--dry-run");
      if (found === undefined || !isKnown || (given.get("--dry-run") ?? "server") !== "server")
        return undefined;
      const namespace = given.get("--namespace") ?? metadata?.namespace ?? "default";
      // Fields that nobody knows are an error, as they are for kubectl.
      const url = new URL(`${pathOf(found, namespace)}?fieldValidation=Strict`, server);
      if (given.has("--dry-run")) url.searchParams.set("dryRun", "All");
      const body = JSON.stringify(object);
      return sendRequest(url.href, { ...credentials, method: "POST", headers, body }).then((answer) =>
        objectIn(`create ${name}`, answer),
      );
    },
  };
}

function splitFlag(flag: string): readonly [string, string] {
  const [name = "", ...value] = flag.split("=");
  return [name, value.join("=")];
}

function pathOf({ groupVersion, plural, isNamespaced }: Kind, namespace: string | undefined): string {
  const inNamespace = isNamespaced && namespace !== undefined ? `namespaces/${namespace}/` : "";
  return `/${groupVersion}/${inNamespace}${plural}`;
}

/** The object without what kubectl does not show either. @throws CommandError with kubectl's words for a refusal. */
function objectIn(command: string, { status, body }: Answer): unknown {
  const object = JSON.parse(body) as Shown & { readonly items?: readonly Shown[] };
  if (status >= 300) {
    const { reason = "", message = "" } = object as { readonly reason?: string; readonly message?: string };
    const stderr = `Error from server (${reason}): ${message}\n`;
    throw new CommandError(command, 1, { stdout: "", stderr });
  }
  for (const { metadata } of object.items ?? [object]) delete metadata?.managedFields;
  return object;
}

interface Shown {
  readonly metadata?: { managedFields?: unknown };
}
