/** What `helm install` makes of the chart and the image, where kubelet runs the pods and kube-proxy routes the Service. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildImage } from "./build-image.ts";
import { reportToStandardError } from "./cluster.ts";
import { createNamespace } from "./create-namespace.ts";
import { describeLevel } from "./describe-level.ts";
import { CHART_DIRECTORY, createHelm, type Helm } from "./helm.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./node-cluster.ts";
import { podSpec, podWith, type PodList } from "./pods.ts";
import { WORKLOADS } from "./workloads.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };
const NAMESPACE = "--namespace=pullpass";

await describeLevel("node", "the chart, installed", () => {
  let cluster: NodeCluster;
  let helm: Helm;
  let values: readonly string[];

  beforeAll(async () => {
    cluster = await startNodeCluster();
    helm = await createHelm(cluster);
    const { kubectl, passwordRegistry } = cluster;
    const image = await buildImage(reportToStandardError);
    await passwordRegistry.push("tools/pullpass:0.1.0", REGISTRY_USER, image);
    await createNamespace(kubectl, "pullpass", { "pod-security.kubernetes.io/enforce": "restricted" });
    const { username, password } = REGISTRY_USER;
    await kubectl.run([
      ...["create", "secret", "docker-registry", "own-image", NAMESPACE],
      ...[`--docker-server=${passwordRegistry.host}`, `--docker-username=${username}`],
      `--docker-password=${password}`,
    ]);
    const configFile = join(cluster.network.directory, "pullpass.yaml");
    const auth = { type: "BasicAuth", username, password };
    const registries = [{ name: "team-a", address: `${passwordRegistry.host}/team-a`, auth }];
    await writeFile(configFile, JSON.stringify({ registries, serviceAccounts: { attach: ["default"] } }));
    values = [
      `--set=image.repository=${passwordRegistry.host}/tools/pullpass`,
      "--set=imagePullSecrets[0].name=own-image",
      // A pod is created only if the webhook was reached.
      "--set=webhook.failurePolicy=Fail,uninstall.purge=true",
      `--set-file=configFile=${configFile}`,
    ];
    const startedAt = Date.now();
    await helm.run("install", "pullpass", CHART_DIRECTORY, NAMESPACE, ...values, "--wait", "--timeout=120s");
    process.stderr.write(`helm install: ready after ${String(Date.now() - startedAt)} ms\n`);
  }, 5 * 60_000);
  afterAll(() => cluster.stop());

  const runningIn = (namespace: string, count: number) =>
    cluster.kubectl.waitFor<PodList>(
      ["pods", `--namespace=${namespace}`],
      ({ items }) => items.length === count && items.every(({ status }) => status?.phase === "Running"),
    );

  it("runs two replicas", async () => {
    await runningIn("pullpass", 2);
  });

  it("lets a Deployment with a private image run", async () => {
    const { kubectl, passwordRegistry } = cluster;
    const image = await passwordRegistry.push("team-a/app:v1", REGISTRY_USER);
    await createNamespace(kubectl, "team-a", OPTED_IN);
    await kubectl.run(
      ["apply", "--filename=-", "--namespace=team-a"],
      JSON.stringify(WORKLOADS.Deployment("app", podSpec(image))),
    );
    const { items } = await runningIn("team-a", 2);
    expect(items[0]?.spec.imagePullSecrets).toEqual([{ name: "pullpass-team-a" }]);
  });

  it("refuses no pod while it is upgraded", async () => {
    const { kubectl } = cluster;
    const upgrading = { isDone: false };
    const secrets: unknown[] = [];
    const creating = (async () => {
      while (!upgrading.isDone) {
        const pod = podWith(`${cluster.passwordRegistry.host}/team-a/app:v1`, {
          generateName: "p-",
          namespace: "team-a",
        });
        const created = await kubectl.create<PodList["items"][number]>(pod, "--dry-run=server");
        secrets.push(created.spec.imagePullSecrets?.map(({ name }) => name));
      }
    })();
    const upgrade = [
      "upgrade",
      "pullpass",
      CHART_DIRECTORY,
      NAMESPACE,
      ...values,
      "--set=podAnnotations.a=b",
    ];
    await helm.run(...upgrade, "--wait", "--timeout=120s");
    upgrading.isDone = true;
    await creating;
    process.stderr.write(`upgrade: ${String(secrets.length)} pods created meanwhile\n`);
    expect(secrets.length).toBeGreaterThan(10);
    expect(secrets.filter((names) => JSON.stringify(names) !== '["pullpass-team-a"]')).toEqual([]);
  });

  it("leaves nothing behind when it is uninstalled, and pods are still created", async () => {
    const { kubectl } = cluster;
    await helm.run("uninstall", "pullpass", NAMESPACE, "--timeout=120s");
    const kinds =
      "secret,lease,deployment,service,networkpolicy,pdb,job,role,rolebinding,clusterrole,clusterrolebinding," +
      "mutatingwebhookconfiguration,validatingadmissionpolicy,validatingadmissionpolicybinding";
    const { stdout } = await kubectl.run(["get", kinds, "--all-namespaces", "--output=name"]);
    expect(stdout.split("\n").filter((line) => line.includes("pullpass"))).toEqual([]);
    expect(await kubectl.json("get", "serviceaccount", "default", "--namespace=team-a")).not.toHaveProperty(
      "imagePullSecrets",
    );
    await kubectl.create(podWith("registry.example.com/app:v1", { name: "late", namespace: "team-a" }));
  });
});
