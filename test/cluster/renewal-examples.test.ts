/**
 * The CronJobs of deploy/examples that renew tokens, with all but the cloud: its command line is a script here that prints a token.
 * The steps of the pod are run as they are written there, with the rights of its account.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { registryCrd } from "../../src/config/registry-crd.ts";
import type { Transport } from "../../src/kube/transport.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { installPullpass } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace, type KubernetesObject } from "./harness/kubectl.ts";
import { contentOf, copiesIn } from "./harness/read-copies.ts";
import { refusal, runCommand } from "./harness/run-command.ts";
import { leaderOf, type Replica } from "./harness/run-replica.ts";
import { waitUntil } from "../wait-until.ts";

const EXAMPLES = join(import.meta.dirname, "..", "..", "deploy", "examples");

interface CronJob extends KubernetesObject {
  readonly spec: { readonly jobTemplate: { readonly spec: { readonly template: PodTemplate } } };
}

interface PodTemplate {
  readonly metadata?: object;
  readonly spec: {
    readonly serviceAccountName: string;
    readonly initContainers: readonly Container[];
    readonly containers: readonly Container[];
  };
}

interface Container {
  readonly command?: readonly string[];
  readonly args: readonly string[];
}

await describeLevel("control-plane", "a CronJob of the examples", () => {
  let cluster: Cluster;
  let client: Transport;
  let replica: Replica;

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
    await cluster.kubectl.apply(registryCrd());
    const installation = await installPullpass(cluster, { registries: [] });
    const restricted = "pod-security.kubernetes.io/enforce=restricted";
    await cluster.kubectl.run(["label", "namespace", "pullpass", restricted]);
    replica = await installation.startReplica();
    await leaderOf(replica);
  });
  afterAll(async () => {
    await replica.stop();
    client.close();
  });

  it.each([
    ["ecr", "aws", "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "AWS"],
    ["artifact-registry", "gcloud", "europe-docker.pkg.dev/my-project", "oauth2accesstoken"],
    ["acr", "az", "myregistry.azurecr.io", "00000000-0000-0000-0000-000000000000"],
  ])(
    "renews the token of %s in every namespace, and may do nothing else",
    async (name, program, address, username) => {
      const { kubectl, network } = cluster;
      const file = join(EXAMPLES, `renew-${name}.yaml`);
      const apply = () => kubectl.run(["apply", "--server-side", "--validate=strict", `--filename=${file}`]);
      await apply();
      await createNamespace(kubectl, name, { "pullpass.dev/inject": "enabled" });
      const pod = podOf(await readFile(file, "utf8"));
      // Under the restricted Pod Security Standard, as Pullpass's namespace is.
      await kubectl.create(
        { apiVersion: "v1", kind: "Pod", ...pod, metadata: { ...pod.metadata, name: "first" } },
        ...["--namespace=pullpass", "--dry-run=server"],
      );

      const work = join(network.directory, name);
      await mkdir(work);
      await writeFile(join(work, "federated-token"), "made-up");
      const account = `--as=system:serviceaccount:pullpass:${pod.spec.serviceAccountName}`;
      const inWork = (args: readonly string[]) => args.map((arg) => arg.replaceAll("/work/", `${work}/`));
      const renew = async (token: string) => {
        await writeFile(join(work, program), `#!/bin/sh\necho ${token}\n`, { mode: 0o755 });
        const [init, patch] = [pod.spec.initContainers[0], pod.spec.containers[0]];
        const [command = "", ...args] = [...(init?.command ?? []), ...inWork(init?.args ?? [])];
        const azure = { AZURE_CLIENT_ID: "made-up", AZURE_TENANT_ID: "made-up" };
        const env = { ...azure, AZURE_FEDERATED_TOKEN_FILE: join(work, "federated-token") };
        await runCommand(command, args, { env: { ...env, PATH: `${work}:${process.env["PATH"] ?? ""}` } });
        await kubectl.run([...inWork(patch?.args ?? []), account]);
        await waitUntil("the copy", async () => {
          const copy = (await copiesIn(client, name))[`pullpass-${name}`];
          return copy !== undefined && contentOf(copy)[address] === `${username}:${token}`;
        });
      };
      await renew("made-up-first");
      await renew("made-up-second");
      // What the CronJob wrote is not taken back by whoever applies the file again.
      await apply();
      await kubectl.run(["wait", "--for=condition=Ready", `clusterregistry/${name}`, "--timeout=20s"]);
      const { stdout } = await kubectl.run([
        "get",
        "secret",
        `${name}-token`,
        "--namespace=pullpass",
        "--output=jsonpath={.data.token}",
      ]);
      expect(Buffer.from(stdout, "base64").toString()).toBe("made-up-second");

      expect(await refusal(() => kubectl.run(["get", "secrets", "--namespace=pullpass", account]))).toContain(
        "Forbidden",
      );
      await kubectl.run(["create", "secret", "generic", `other-${name}`, "--namespace=pullpass"]);
      const other = ["patch", "secret", `other-${name}`, "--namespace=pullpass", "--patch={}", account];
      expect(await refusal(() => kubectl.run(other))).toContain("Forbidden");
      await kubectl.run(["delete", "clusterregistry", name]);
    },
  );
});

function podOf(manifest: string): PodTemplate {
  const objects = parseAllDocuments(manifest).map((document) => document.toJS() as KubernetesObject);
  const cronJob = objects.find(({ kind }) => kind === "CronJob") as CronJob | undefined;
  if (cronJob === undefined) throw new Error("there is no CronJob in it");
  return cronJob.spec.jobTemplate.spec.template;
}
