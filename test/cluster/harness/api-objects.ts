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

const PATCH_TYPES = new Map([
  ["json", "application/json-patch+json"],
  ["merge", "application/merge-patch+json"],
  ["strategic", "application/strategic-merge-patch+json"],
]);

/** By commands, the flags that are known here. */
const CHANGES = new Map([
  ["delete", ["--namespace", "--ignore-not-found", "--wait"]],
  ["label", ["--namespace", "--overwrite"]],
  ["annotate", ["--namespace", "--overwrite"]],
  ["patch", ["--namespace", "--type", "--subresource", "--patch"]],
]);

/** kubectl's flags, and the parameters that it makes of them; a namespace is a part of the path. */
const PARAMETERS = new Map([
  ["--namespace", ""],
  ["--selector", "labelSelector"],
  ["--field-selector", "fieldSelector"],
  ["--all-namespaces", ""],
]);

export function createApiObjects({ server, authorityPem, admin }: ApiAccess): ApiObjects {
  // A handshake costs more than most requests.
  const agent = new Agent({ keepAlive: true });
  const credentials = { agent, ca: authorityPem, cert: admin.certificatePem, key: admin.keyPem };
  const headers = { "content-type": "application/json" };

  async function applyAll(manifests: readonly Manifest[]): Promise<void> {
    for (const manifest of manifests) {
      const { kind: name = "", metadata } = manifest;
      const found = KINDS[name];
      if (found === undefined) continue;
      const path = `${pathOf(found, metadata?.namespace ?? "default")}/${metadata?.name ?? ""}`;
      const url = new URL(`${path}?fieldManager=kubectl&force=true&fieldValidation=Strict`, server);
      const answer = await sendRequest(url.href, {
        ...credentials,
        method: "PATCH",
        headers: { "content-type": "application/apply-patch+yaml" },
        body: JSON.stringify(manifest),
      });
      objectIn(`apply ${name}`, answer);
    }
  }

  async function patch(command: string, path: string, type: string, body: string): Promise<void> {
    const headers = { "content-type": PATCH_TYPES.get(type) ?? "" };
    const url = new URL(`${path}?fieldManager=kubectl-${command}`, server).href;
    objectIn(
      `${command} ${path}`,
      await sendRequest(url, { ...credentials, method: "PATCH", headers, body }),
    );
  }

  /** In the background, as kubectl does, which waits until the object is gone. */
  async function remove(path: string, isOptional: boolean, isAwaited: boolean): Promise<void> {
    const url = new URL(path, server).href;
    const body = JSON.stringify({ propagationPolicy: "Background" });
    const before = await sendRequest(url, credentials);
    // Node sends none with the body of a DELETE.
    const length = { "content-length": body.length.toString() };
    const given = { ...credentials, method: "DELETE", headers: { ...headers, ...length }, body };
    const answer = await sendRequest(url, given);
    if (answer.status === 404 && isOptional) return;
    objectIn(`delete ${path}`, answer);
    if (!isAwaited) return;
    await waitUntil(`${path} to be gone`, async () => {
      const now = await sendRequest(url, credentials);
      return now.status === 404 || uidIn(now) !== uidIn(before);
    });
  }

  return {
    get(args) {
      const { resource, names, flags } = parse(args);
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
      const { kind: name = "", metadata } = object as Manifest;
      const given = new Map(flags.map(splitFlag));
      const found = KINDS[name];
      const isPlain = [...given.keys()].every((flag) => flag === "--namespace" || flag === "--dry-run");
      if (
        found === undefined ||
        !isKnown(object) ||
        !isPlain ||
        (given.get("--dry-run") ?? "server") !== "server"
      )
        return undefined;
      const namespace = given.get("--namespace") ?? metadata?.namespace ?? "default";
      // Fields that nobody knows are an error, as they are for kubectl.
      const url = new URL(
        `${pathOf(found, namespace)}?fieldManager=kubectl-create&fieldValidation=Strict`,
        server,
      );
      if (given.has("--dry-run")) url.searchParams.set("dryRun", "All");
      const body = JSON.stringify(object);
      return sendRequest(url.href, { ...credentials, method: "POST", headers, body }).then((answer) =>
        objectIn(`create ${name}`, answer),
      );
    },
    change([command = "", ...args]) {
      const { resource, names: words, flags } = parse(args);
      const found = RESOURCES.get(resource);
      const known = CHANGES.get(command);
      if (
        found === undefined ||
        known === undefined ||
        ![...flags.keys()].every((flag) => known.includes(flag))
      )
        return undefined;
      const isMetadata = command === "label" || command === "annotate";
      const changes = words.filter((word) => isMetadata && /=|-$/.test(word));
      const paths = words
        .filter((word) => !changes.includes(word))
        .map((name) => `${pathOf(found, flags.get("--namespace") ?? "default")}/${name}`);
      if (paths.length === 0) return undefined;
      return eachOf(paths, (path) => {
        if (command === "delete")
          return remove(path, flags.has("--ignore-not-found"), flags.get("--wait") !== "false");
        if (command === "patch") {
          const subresource = flags.has("--subresource") ? `/${flags.get("--subresource") ?? ""}` : "";
          return patch(
            command,
            `${path}${subresource}`,
            flags.get("--type") ?? "strategic",
            flags.get("--patch") ?? "",
          );
        }
        const field = command === "label" ? "labels" : "annotations";
        const values = Object.fromEntries(changes.map(readChange));
        return patch(command, path, "merge", JSON.stringify({ metadata: { [field]: values } }));
      });
    },
    apply(objects) {
      const manifests = objects as readonly Manifest[];
      return manifests.every(isKnown) ? applyAll(manifests) : undefined;
    },
  };
}

function isKnown({ apiVersion = "", kind: name = "" }: Manifest): boolean {
  return KINDS[name]?.groupVersion === `${apiVersion.includes("/") ? "apis" : "api"}/${apiVersion}`;
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

interface Manifest {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly name?: string; readonly namespace?: string; readonly uid?: string };
}

interface Shown {
  readonly metadata?: { managedFields?: unknown };
}
