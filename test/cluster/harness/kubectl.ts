import { join } from "node:path";
import { runCommand, type CommandOutput } from "./run-command.ts";
import { waitUntil, type WaitOptions } from "./wait-until.ts";

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
  /** Runs kubectl; fails with a `CommandError` that holds what it printed. Warnings are in `stderr`. */
  run(args: readonly string[], input?: string): Promise<CommandOutput>;
  /** Runs a command that prints an object, with `-o json`. */
  json<T = KubernetesObject>(...args: readonly string[]): Promise<T>;
  /** Creates one object and returns it as the API server stored it. */
  create<T = KubernetesObject>(object: object, ...args: readonly string[]): Promise<T>;
  apply(...objects: readonly object[]): Promise<CommandOutput>;
  /** Gets an object again and again until it is as it should be. */
  waitFor<T = KubernetesObject>(
    getArgs: readonly string[],
    isDone: (object: T) => boolean,
    options?: WaitOptions,
  ): Promise<T>;
}

export function createKubectl(program: string, kubeconfig: string, directory: string): Kubectl {
  const run = (args: readonly string[], input?: string) =>
    runCommand(program, [`--kubeconfig=${kubeconfig}`, ...args], {
      // What kubectl learns of one cluster must not be believed of the next one at the same address.
      env: { ...process.env, KUBECACHEDIR: join(directory, "kubectl-cache"), KUBERC: "off" },
      ...(input === undefined ? {} : { input }),
    });
  const json = async <T>(...args: readonly string[]) => {
    const { stdout } = await run([...args, "--output=json"]);
    return JSON.parse(stdout) as T;
  };
  return {
    run,
    json,
    async create<T>(object: object, ...args: readonly string[]) {
      const { stdout } = await run(
        ["create", "--filename=-", "--output=json", ...args],
        JSON.stringify(object),
      );
      return JSON.parse(stdout) as T;
    },
    apply: (...objects) =>
      run(["apply", "--filename=-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: objects })),
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
