/** The chart on a node where Services are routed: its image is in a registry with a password, and pods ask for it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Transport } from "../../../src/kube/transport.ts";
import { runPullpass } from "../../cli/run-pullpass.ts";
import { buildImage } from "./build-image.ts";
import { CHART_DIRECTORY, createHelm } from "./chart.ts";
import { reportToStandardError } from "./cluster.ts";
import { PULLPASS_NAMESPACE } from "./install-pullpass.ts";
import { createTestKubeClient } from "./kube-clients.ts";
import { createNamespace } from "./kubectl.ts";
import { REGISTRY_USER, startNodeCluster, type NodeCluster } from "./node-cluster.ts";
import { apiClient, podWith, pullSecretsOf, startCreatingPods, type PodObject } from "./pods.ts";
import { startOrUndo } from "./teardown.ts";
import { waitUntil } from "../../wait-until.ts";

export const NAMESPACE_FLAG = `--namespace=${PULLPASS_NAMESPACE}`;
/** Opted in. */
export const TEAM = "team-a";
/** Opted in, and its default account has the pull secrets, too. */
export const ATTACHED = "attached";

export interface PodStreamResult {
  readonly count: number;
  /** What was answered to those that were not created. */
  readonly refused: readonly string[];
  /** Those that were created without the pull secret. */
  readonly withoutSecret: number;
  readonly slowestMs: number;
}

export interface PodStream {
  /** Waits for two seconds' worth of pods. */
  more(): Promise<void>;
  stop(): Promise<PodStreamResult>;
}

export interface ChartOnNode {
  readonly cluster: NodeCluster;
  readonly client: Transport;
  /** Installs or upgrades the release, waits until all replicas are ready, and reports how long that took. */
  deploy(...flags: readonly string[]): Promise<void>;
  /** Installs the chart with its defaults, unless a test that ran before has left it installed. */
  ensureInstalled(): Promise<void>;
  uninstall(): Promise<void>;
  /** Removes everything of Pullpass, in whatever state a failed test has left it, so that the next test can start. */
  reset(): Promise<void>;
  /** Creates pods that need the pull secret until it is stopped; nobody runs them. `what` is said of them in the end. */
  startPods(what: string): PodStream;
  /** Stops what a test that failed did not stop. */
  stopPods(): Promise<void>;
  /** What a pod would be given at this moment; fails where it would be refused. */
  pullSecretsNow(): Promise<readonly (string | undefined)[]>;
  stop(): Promise<void>;
}

export function startChartOnNode(): Promise<ChartOnNode> {
  return startOrUndo(async (teardown) => {
    const cluster = await startNodeCluster();
    teardown.add(() => cluster.stop());
    const helm = await createHelm(cluster);
    const client = createTestKubeClient(cluster);
    teardown.add(() => {
      client.close();
    });
    const post = await apiClient(cluster);
    const { kubectl, passwordRegistry, network } = cluster;
    const { username, password } = REGISTRY_USER;
    const image = await buildImage(reportToStandardError);
    await passwordRegistry.push("tools/pullpass:0.2.0", REGISTRY_USER, image);
    // Not of both: a pod would have the secret of its account, whether or not the webhook was asked.
    for (const name of [TEAM, ATTACHED]) {
      await createNamespace(kubectl, name, { "pullpass.dev/inject": "enabled" });
    }
    await kubectl.run(["annotate", "namespace", ATTACHED, "pullpass.dev/service-accounts=default"]);
    const configFile = join(network.directory, "pullpass.yaml");
    const auth = { type: "BasicAuth", username, password };
    const registries = [{ name: TEAM, address: `${passwordRegistry.host}/${TEAM}`, auth }];
    await writeFile(configFile, JSON.stringify({ registries }));
    const values = [
      `--set=image.repository=${passwordRegistry.host}/tools/pullpass`,
      "--set=imagePullSecrets[0].name=own-image",
      // A pod is created only if the webhook was reached.
      "--set=webhook.failurePolicy=Fail,uninstall.purge=true,serviceAccounts.enabled=true",
      `--set-file=configFile=${configFile}`,
    ];
    const pod = podWith(
      `${passwordRegistry.host}/${TEAM}/app:v1`,
      { generateName: "created-" },
      { schedulerName: "nobody" },
    );
    const streams = new Set<{ stop(): Promise<unknown> }>();
    const pullSecretsNow = async () =>
      pullSecretsOf(await kubectl.create<PodObject>(pod, `--namespace=${TEAM}`, "--dry-run=server"));
    /** Pullpass's namespace, and what its own image is pulled with. */
    const createOwnNamespace = async () => {
      await createNamespace(kubectl, PULLPASS_NAMESPACE, {
        "pod-security.kubernetes.io/enforce": "restricted",
      });
      await kubectl.run([
        ...["create", "secret", "docker-registry", "own-image", NAMESPACE_FLAG],
        ...[`--docker-server=${passwordRegistry.host}`, `--docker-username=${username}`],
        `--docker-password=${password}`,
      ]);
    };
    const logOfPullpass = async (): Promise<string> => {
      const selector = "--selector=app.kubernetes.io/component=webhook";
      const logs = kubectl.run(["logs", NAMESPACE_FLAG, selector, "--prefix", "--tail=50"]);
      return logs.then(({ stdout }) => stdout, String);
    };
    let isInstalled = false;
    const deploy = async (...flags: readonly string[]) => {
      const startedAt = Date.now();
      const command = isInstalled ? "upgrade" : "install";
      // This node's kubelet cannot measure the machine's disk, and so has no ephemeral storage to give out.
      const unlimited = ["requests", "limits"].map(
        (part) => `--set=resources.${part}.ephemeral-storage=null`,
      );
      const args = [command, "pullpass", CHART_DIRECTORY, NAMESPACE_FLAG, ...values, ...unlimited, ...flags];
      await helm.run(...args, "--wait", "--timeout=120s").catch(async (error: unknown) => {
        throw new Error(`the log of Pullpass: ${await logOfPullpass()}`, { cause: error });
      });
      // kube-proxy hears of the replicas a moment later.
      if (!isInstalled)
        await waitUntil("the webhook to be reached", async () => (await pullSecretsNow()).length > 0);
      isInstalled = true;
      process.stderr.write(
        `helm ${command} ${flags.join(" ").slice(0, 40)}: ready after ${String(Date.now() - startedAt)} ms\n`,
      );
    };
    await createOwnNamespace();
    return {
      cluster,
      client,
      pullSecretsNow,
      deploy,
      async ensureInstalled() {
        if (!isInstalled) await deploy();
      },
      async uninstall() {
        await helm.run("uninstall", "pullpass", NAMESPACE_FLAG, "--timeout=120s");
        isInstalled = false;
      },
      async reset() {
        isInstalled = false;
        // Its hook needs an installation that works.
        await helm.run("uninstall", "pullpass", NAMESPACE_FLAG, "--ignore-not-found", "--no-hooks");
        await kubectl.run(["delete", "namespace", PULLPASS_NAMESPACE, "--ignore-not-found", "--timeout=90s"]);
        runPullpass(["purge", "--yes", `--kubeconfig=${cluster.kubeconfig}`], ".");
        await createOwnNamespace();
      },
      startPods(what) {
        const creating = startCreatingPods(post, TEAM, pod);
        streams.add(creating);
        return {
          async more() {
            const count = creating.count();
            await waitUntil("more pods", () => creating.count() > count + 100);
          },
          async stop() {
            streams.delete(creating);
            const creations = await creating.stop();
            const created = creations.filter(({ status }) => status === 201);
            const secretsOf = ({ body }: { readonly body: string }) =>
              pullSecretsOf(JSON.parse(body) as PodObject).join();
            const result: PodStreamResult = {
              count: creations.length,
              refused: creations.filter(({ status }) => status !== 201).map(({ body }) => body),
              withoutSecret: created.filter((one) => secretsOf(one) !== `pullpass-${TEAM}`).length,
              slowestMs: Math.max(...creations.map(({ startedAt, endedAt }) => endedAt - startedAt)),
            };
            process.stderr.write(
              `${what}: ${String(result.count)} pods, ${String(result.refused.length)} refused, ` +
                `${String(result.withoutSecret)} without their secret, the slowest in ${String(result.slowestMs)} ms\n`,
            );
            return result;
          },
        };
      },
      async stopPods() {
        await Promise.all([...streams].map((stream) => stream.stop()));
        streams.clear();
      },
      stop: () => teardown.run(),
    };
  });
}
