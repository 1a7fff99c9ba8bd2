import { afterAll, beforeAll, expect, it } from "vitest";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { INSTALL_MANIFEST } from "./harness/chart.ts";
import { installPullpass, type Installation } from "./harness/install-pullpass.ts";
import { createNamespace, type KubernetesObject } from "./harness/kubectl.ts";
import { WORKLOADS, type PodList } from "./harness/pods.ts";
import { leaderOf, type Replica } from "./harness/run-replica.ts";
import { waitUntil } from "../wait-until.ts";

const NAMESPACE = "team-a";
const COUNT = 'pullpass_stuck_pods{verdict="lacks-secret"}';
const IMAGE = "registry.example.com/team-a/app:v1";

interface EventObject extends KubernetesObject {
  readonly reason: string;
  readonly message: string;
  readonly involvedObject: { readonly kind: string; readonly name: string; readonly uid: string };
}

await describeLevel("control-plane", "pods that cannot pull", () => {
  let cluster: Cluster;
  let installation: Installation;
  let replica: Replica;
  const registries = [{ name: "team", address: "registry.example.com", secretName: "regcred" }];

  beforeAll(async () => {
    cluster = await borrowCluster();
    // Before the replica starts: a pod of the very second in which its namespace opts in counts as older than the opt-in.
    await createNamespace(cluster.kubectl, NAMESPACE, { "pullpass.dev/inject": "enabled" });
    await createNamespace(cluster.kubectl, "team-b");
    installation = await installPullpass(cluster, { registries }, INSTALL_MANIFEST);
    replica = await installation.startReplica();
    await leaderOf(replica);
  });
  afterAll(async () => {
    await replica.stop();
  });

  /** No webhook is registered, so that its pods lack the pull secret; and no kubelet runs them, so that the test is one. */
  async function createStuck(name: string, namespace: string): Promise<readonly string[]> {
    const { kubectl } = cluster;
    const spec = { containers: [{ name: "main", image: IMAGE }] };
    await kubectl.create(WORKLOADS.Deployment(name, spec), `--namespace=${namespace}`);
    const { items } = await kubectl.waitFor<PodList>(
      ["pods", `--namespace=${namespace}`, `--selector=app=${name}`],
      (list) => list.items.length === 2,
    );
    const pods = items.map(({ metadata }) => metadata.name);
    for (const pod of pods) await patchStatus(pod, namespace);
    return pods;
  }

  async function patchStatus(pod: string, namespace: string): Promise<void> {
    const message = `Back-off pulling image "${IMAGE}": ErrImagePull: failed to resolve image: 401 Unauthorized`;
    const waiting = { reason: "ImagePullBackOff", message };
    const container = {
      name: "main",
      image: IMAGE,
      imageID: "",
      ready: false,
      restartCount: 0,
      state: { waiting },
    };
    const patch = JSON.stringify({ status: { containerStatuses: [container] } });
    await cluster.kubectl.run([
      ...["patch", "pod", pod, `--namespace=${namespace}`, "--subresource=status", "--type=merge"],
      `--patch=${patch}`,
    ]);
  }

  const eventsIn = async (namespace: string) => {
    const list = await cluster.kubectl.json<{ readonly items: readonly EventObject[] }>(
      ...["get", "events", `--namespace=${namespace}`],
    );
    return list.items.filter(({ reason }) => reason === "CannotPull");
  };

  it("are counted where their namespace opted in, and reported once at their ReplicaSet", async () => {
    await createStuck("elsewhere", "team-b");
    const pods = await createStuck("web", NAMESPACE);
    const [event] = await waitUntil("the Event", async () => {
      const events = await eventsIn(NAMESPACE);
      return events.length > 0 && events;
    });
    expect(event?.involvedObject.kind).toBe("ReplicaSet");
    expect(event?.involvedObject.name).toMatch(/^web-/);
    expect(event?.message).toMatch(/^Pod web-\S+ cannot pull\. The pod lacks pull secret regcred for image /);
    expect(pods.some((pod) => event?.message.includes(pod))).toBe(true);
    await waitUntil("both pods to be counted", async () => (await replica.metric(COUNT)) === 2);
    expect(await eventsIn(NAMESPACE)).toHaveLength(1);
    expect(await eventsIn("team-b")).toEqual([]);
  });

  it("are no longer counted once they are gone", async () => {
    await cluster.kubectl.run(["delete", "deployment", "web", `--namespace=${NAMESPACE}`]);
    await waitUntil("none to be counted", async () => (await replica.metric(COUNT)) === 0);
  });
});
