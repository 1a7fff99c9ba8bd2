import { join } from "node:path";
import { createApiObjects, type ApiAccess } from "./api-objects.ts";
import { runCommand, type CommandOutput } from "./run-command.ts";
import { waitUntil, type WaitOptions } from "../../wait-until.ts";

/** As much of a Kubernetes object as tests look at without knowing its kind. */
export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

export interface Kubectl {
  /**
   * Runs kubectl; fails with a `CommandError` that holds what it printed. Warnings are in `stderr`. Where there is an API server,
   * changes of single objects are asked of it directly, and print nothing.
   */
  run(args: readonly string[], input?: string): Promise<CommandOutput>;
  /** Runs a command that prints an object, with `-o json`. */
  json<T = KubernetesObject>(...args: readonly string[]): Promise<T>;
  /** Creates one object and returns it as the API server stored it. */
  create<T = KubernetesObject>(object: object, ...args: readonly string[]): Promise<T>;
  apply(...manifests: readonly object[]): Promise<void>;
  /** Gets an object again and again until it is as it should be. */
  waitFor<T = KubernetesObject>(
    getArgs: readonly string[],
    isDone: (object: T) => boolean,
    options?: WaitOptions,
  ): Promise<T>;
}

export interface KubectlOptions {
  readonly program: string;
  readonly kubeconfig: string;
  /** For what kubectl keeps. */
  readonly directory: string;
  /** Where there is an API server, what needs no kubectl is asked of it directly. */
  readonly api?: ApiAccess;
}

export function createKubectl({ program, kubeconfig, directory, api }: KubectlOptions): Kubectl {
  const objects = api === undefined ? undefined : createApiObjects(api);
  const run = (args: readonly string[], input?: string) =>
    runCommand(program, [`--kubeconfig=${kubeconfig}`, ...args], {
      // What kubectl learns of one cluster must not be believed of the next one at the same address.
      env: { ...process.env, KUBECACHEDIR: join(directory, "kubectl-cache"), KUBERC: "off" },
      ...(input === undefined ? {} : { input }),
    });
  const json = async <T>(...args: readonly string[]) => {
    const asked = args[0] === "get" ? objects?.get(args.slice(1)) : undefined;
    if (asked !== undefined) return (await asked) as T;
    const { stdout } = await run([...args, "--output=json"]);
    return JSON.parse(stdout) as T;
  };
  return {
    async run(args, input) {
      const changed = input === undefined ? objects?.change(args) : undefined;
      if (changed === undefined) return run(args, input);
      await changed;
      return { stdout: "", stderr: "" };
    },
    json,
    async create<T>(object: object, ...args: readonly string[]) {
      const created = objects?.create(object, args);
      if (created !== undefined) return (await created) as T;
      const { stdout } = await run(
        ["create", "--filename=-", "--output=json", ...args],
        JSON.stringify(object),
      );
      return JSON.parse(stdout) as T;
    },
    async apply(...manifests) {
      const applied = objects?.apply(manifests);
      if (applied !== undefined) return applied;
      const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: manifests });
      await run(["apply", "--server-side", "--force-conflicts", "--filename=-"], list);
    },
    waitFor: <T>(getArgs: readonly string[], isDone: (object: T) => boolean, options?: WaitOptions) => {
      let last: T | undefined;
      return waitUntil(
        `kubectl get ${getArgs.join(" ")}`,
        async () => {
          last = await json<T>("get", ...getArgs);
          if (isDone(last)) return last;
          throw new Error(`it still is ${JSON.stringify(last)}`);
        },
        { intervalMs: 100, ...options },
      );
    },
  };
}

/**
 * Creates a namespace and waits for its default ServiceAccount, without which no pod is admitted; the controller
 * manager makes it a moment later.
 */
export async function createNamespace(
  kubectl: Kubectl,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  await kubectl.create({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  await waitForDefaultServiceAccount(kubectl, name);
}

export async function waitForDefaultServiceAccount(kubectl: Kubectl, namespace: string): Promise<void> {
  await waitUntil(`the default ServiceAccount of ${namespace}`, () =>
    kubectl.json("get", "serviceaccount", "default", `--namespace=${namespace}`),
  );
}

export interface PullSecret {
  readonly name: string;
  readonly namespace?: string;
  /** The key under which the credentials stand: a registry's host, or Docker Hub's own `https://index.docker.io/v1/`. */
  readonly server: string;
  readonly username: string;
  readonly password: string;
}

export async function createPullSecret(kubectl: Kubectl, secret: PullSecret): Promise<void> {
  const { name, namespace = "default", server, username, password } = secret;
  await kubectl.run([
    ...["create", "secret", "docker-registry", name, `--namespace=${namespace}`],
    ...[`--docker-server=${server}`, `--docker-username=${username}`, `--docker-password=${password}`],
  ]);
}

export interface ServiceAddress {
  /** The cluster IP, an address of the loopback range: whoever listens on it serves the service. */
  readonly host: string;
  readonly port: number;
  /** What a serving certificate must be for; the API server checks the first one. */
  readonly dnsNames: readonly string[];
}

export interface ServiceOptions {
  readonly namespace: string;
  readonly name: string;
  /** Above 1023, so that a test may listen on it without root. */
  readonly port?: number;
}

interface StoredService {
  readonly spec: { readonly clusterIP: string };
}

/**
 * Creates a Service that the API server reaches as it reaches any other: it dials the cluster IP. No proxy is
 * needed, because the cluster IP already is an address of this machine.
 */
export async function createService(
  kubectl: Kubectl,
  { namespace, name, port = 8443 }: ServiceOptions,
): Promise<ServiceAddress> {
  const service = await kubectl.create<StoredService>({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: { ports: [{ port, protocol: "TCP" }] },
  });
  const dnsNames = [
    `${name}.${namespace}.svc`,
    `${name}.${namespace}.svc.cluster.local`,
    `${name}.${namespace}`,
  ];
  return { host: service.spec.clusterIP, port, dnsNames };
}
