import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Kubectl } from "./kubectl.ts";
import { podWith, type PodObject } from "./pods.ts";

/** A pod that builds, as far as tests look at it. */
export interface BuildPod extends PodObject {
  readonly spec: PodObject["spec"] & {
    readonly volumes?: readonly { readonly name: string }[];
    readonly initContainers?: readonly BuildContainer[];
    readonly containers: readonly BuildContainer[];
  };
}

interface BuildContainer {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

export interface FinishedBuild {
  /** What was asked for, as JSON. */
  readonly manifest: string;
  /** As it was created, with what the webhook added. */
  readonly pod: BuildPod;
  /** What the webhook had to say to whoever created it. */
  readonly warnings: string;
  readonly phase: "Succeeded" | "Failed";
  readonly log: string;
}

/** Runs a pod of one container to its end, under a name of its own. Registries are reached by the node's own network. */
export async function runBuild(
  kubectl: Kubectl,
  metadata: { readonly name: string; readonly namespace: string; readonly annotations?: object },
  container: { readonly image: string; readonly [field: string]: unknown },
  spec: object = {},
): Promise<FinishedBuild> {
  const { name: title, ...others } = metadata;
  const manifest = JSON.stringify(
    podWith(
      container.image,
      { generateName: `${title}-`, ...others },
      {
        containers: [{ name: "build", ...container }],
        hostNetwork: true,
        restartPolicy: "Never",
        ...spec,
      },
    ),
  );
  const created = await kubectl.run(["create", "--filename=-", "--output=json"], manifest);
  const pod = JSON.parse(created.stdout) as BuildPod;
  const where = [pod.metadata.name, `--namespace=${metadata.namespace}`];
  const { status } = await kubectl.waitFor<PodObject>(
    ["pod", ...where],
    (current) => current.status?.phase === "Succeeded" || current.status?.phase === "Failed",
    { timeoutMs: 50_000 },
  );
  const { stdout: log } = await kubectl.run(["logs", ...where]);
  return {
    manifest,
    pod,
    warnings: created.stderr,
    phase: status?.phase === "Succeeded" ? "Succeeded" : "Failed",
    log,
  };
}

export function mountsOf({
  spec,
}: BuildPod): readonly { readonly name: string; readonly mountPath: string }[] {
  const mounts = spec.containers[0]?.volumeMounts ?? [];
  return mounts.map(({ name, mountPath }) => ({ name, mountPath }));
}

/** The environment that the pod gives its container. */
export function variablesOf({ spec }: BuildPod): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries((spec.containers[0]?.env ?? []).map(({ name, value }) => [name, value]));
}

const PAGE = join(import.meta.dirname, "..", "..", "..", "docs", "build-pods.md");

/** The lines that the page on build pods shows below a command in a block of text, as {@link linesOf} leaves them. */
export async function linesInPage(command: string): Promise<readonly string[]> {
  const [, block] = (await readFile(PAGE, "utf8")).split(`\`\`\`text\n$ ${command}\n`);
  if (block === undefined) throw new Error(`docs/build-pods.md does not show ${command}`);
  const [text = ""] = block.split("```");
  return linesOf(text);
}

/** Lines without colours and what differs from run to run: addresses, seconds, digests, and spaces at the end. */
export function linesOf(log: string): readonly string[] {
  return stripVTControlCharacters(log)
    .replaceAll(/127\.\d+\.\d+\./g, "127.N.N.")
    .replaceAll(/INFO\[\d+\]/g, "INFO")
    .replaceAll(/sha256:[0-9a-f]{64}/g, "sha256:N")
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "");
}
