/** What kubectl itself makes of odd manifests, before and after they are injected. It needs no cluster for that. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { injectFiles } from "../../src/cli/inject.ts";
import { decodeManifests, encodeManifests } from "../../src/manifest/encoding.ts";
import { indexOf, makeRegistry } from "../core/make-registry.ts";
import { ODD_MANIFESTS } from "../manifest/odd-manifests.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createKubectl, type Kubectl } from "./harness/kubectl.ts";
import { controlPlaneParts, requestedRelease } from "./harness/parts.ts";

const INDEX = indexOf(makeRegistry("hub", "docker.io", { secretName: "hub-creds" }));

interface PodAsRead {
  readonly metadata: { readonly annotations: object };
  readonly spec: object;
}

await describeLevel("control-plane", "inject beside kubectl", () => {
  let directory: string;
  let kubectl: Kubectl;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "pullpass-inject-"));
    const parts = await controlPlaneParts(requestedRelease(), (line) => process.stderr.write(`${line}\n`));
    // It reads no cluster's objects with --local, but wants a kubeconfig that is there.
    const kubeconfig = join(directory, "kubeconfig");
    await writeFile(kubeconfig, "");
    kubectl = createKubectl({ program: parts.kubectl, kubeconfig, directory });
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  async function readByKubectl(name: string, bytes: Buffer): Promise<PodAsRead> {
    const file = join(directory, name);
    await writeFile(file, bytes);
    return kubectl.json<PodAsRead>("annotate", "--local", `--filename=${file}`, "read-by=kubectl");
  }

  it.each(ODD_MANIFESTS)("kubectl reads the same pod with its pull secret: %s", async (_title, bytes) => {
    const before = await readByKubectl("before.yaml", bytes);
    const { text, encoding } = decodeManifests(bytes);
    const [injected] = injectFiles([{ name: "before.yaml", text }], INDEX);
    const after = await readByKubectl("after.yaml", encodeManifests(injected?.text ?? "", encoding));
    expect(after).toEqual({
      ...before,
      metadata: {
        ...before.metadata,
        annotations: { ...before.metadata.annotations, "pullpass.dev/injected": "hub" },
      },
      spec: { ...before.spec, imagePullSecrets: [{ name: "hub-creds" }] },
    });
  });
});
