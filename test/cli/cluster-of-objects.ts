/** An API server with ClusterRegistries and Secrets, and the program asking it. */
import { execFile } from "node:child_process";
import path from "node:path";
import { onTestFinished } from "vitest";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import { temporaryDirectory } from "../config/temporary-directory.ts";
import { answer, refuse, startFakeApiServer, type FakeApiServer } from "../kube/fake-api-server.ts";
import { MAIN, type ProgramResult } from "./run-pullpass.ts";

export const REGISTRIES_PATH = "/apis/pullpass.dev/v1alpha1/clusterregistries";

export interface ClusterOfObjects {
  readonly server: FakeApiServer;
  readonly directory: string;
  /** Runs the program in the directory, with the cluster as that of its kubeconfig unless `isKnown` is false. */
  readonly run: (args: readonly string[], options?: RunOptions) => Promise<ProgramResult>;
}

interface RunOptions {
  readonly input?: string;
  readonly isKnown?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * `registries`: in pages of two, or the status of the refusal. `secrets`: by `namespace/name`. The directory holds `files` and
 * `kubeconfig`.
 */
export async function startClusterOfObjects(
  registries: readonly JsonObject[] | 403 | 404 | 500,
  {
    secrets = {},
    files = {},
  }: {
    readonly secrets?: Readonly<Record<string, JsonObject>>;
    readonly files?: Readonly<Record<string, string>>;
  } = {},
): Promise<ClusterOfObjects> {
  const server = await startFakeApiServer(({ url }, response) => {
    const [, namespace = "", name = ""] =
      /^\/api\/v1\/namespaces\/([^/]+)\/secrets\/([^/]+)$/.exec(url.pathname) ?? [];
    const secret = secrets[`${namespace}/${name}`];
    if (secret !== undefined) answer(response, { apiVersion: "v1", kind: "Secret", ...secret });
    else if (url.pathname !== REGISTRIES_PATH) refuse(response, 404, "NotFound");
    else if (typeof registries === "number") refuse(response, registries, "Refused");
    else {
      const start = Number(url.searchParams.get("continue") ?? "0");
      const end = start + 2;
      const metadata = end < registries.length ? { continue: end.toString() } : {};
      answer(response, { kind: "ClusterRegistryList", metadata, items: registries.slice(start, end) });
    }
  });
  onTestFinished(() => server.stop());
  const directory = temporaryDirectory({ ...files, kubeconfig: kubeconfigOf(server) });
  return {
    server,
    directory,
    run(args, { input = "", isKnown = true, environment = {} } = {}) {
      const known = { KUBECONFIG: isKnown ? path.join(directory, "kubeconfig") : "" };
      const env = {
        ...process.env,
        HOME: "/nonexistent",
        KUBERNETES_SERVICE_HOST: "",
        ...known,
        ...environment,
      };
      return new Promise((resolve) => {
        const options = { cwd: directory, env };
        const child = execFile(process.execPath, [MAIN, ...args], options, (_, stdout, stderr) => {
          resolve({ stdout, stderr, status: child.exitCode });
        });
        child.stdin?.end(input);
      });
    },
  };
}

function kubeconfigOf({ url, ca }: FakeApiServer): string {
  // JSON is YAML.
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "fake",
        cluster: { server: url.origin, "certificate-authority-data": Buffer.from(ca).toString("base64") },
      },
    ],
    users: [{ name: "somebody", user: { token: "made-up-kubeconfig-token" } }],
    contexts: [{ name: "fake", context: { cluster: "fake", user: "somebody" } }],
    "current-context": "fake",
  });
}

/** A ClusterRegistry as the API server sends it. */
export function clusterRegistry(name: string, spec: JsonObject, status?: JsonObject): JsonObject {
  const metadata = { name, creationTimestamp: "2026-11-01T00:00:00Z" };
  return {
    apiVersion: "pullpass.dev/v1alpha1",
    kind: "ClusterRegistry",
    metadata,
    spec,
    ...(status && { status }),
  };
}

/** A Secret that ClusterRegistries may refer to, unless `labels` says otherwise. */
export function offeredSecret(
  type: string,
  values: Readonly<Record<string, string>>,
  labels: JsonObject = { "pullpass.dev/registry-credentials": "true" },
): JsonObject {
  const data = Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString("base64")]);
  return { type, metadata: { labels }, data: Object.fromEntries(data) as JsonObject };
}
