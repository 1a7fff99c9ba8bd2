import { describe, expect, it } from "vitest";
import { surroundingsIn } from "../../src/cli/explain-pods.ts";
import type { Labels } from "../../src/core/labels.ts";
import { KubeApiError, KubeUnreachableError } from "../../src/kube/errors.ts";
import type { PodReader } from "../../src/kube/resources/pods.ts";

const MANIFESTS = [
  { value: { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop", labels: { team: "a" } } } },
];
const ACCOUNT = {
  isMountableSecretsEnforced: true,
  pullSecretNames: new Set<string>(),
  mountableSecretNames: new Set<string>(),
};

function refuse(message: string): Promise<never> {
  return Promise.reject(new KubeApiError(403, "Forbidden", {}, message));
}

function clusterWith(reader: Partial<PodReader>) {
  const nothing = {
    pod: () => refuse("pod"),
    namespaceLabels: () => refuse("ns"),
    serviceAccount: () => refuse("sa"),
  };
  return { reader: { ...nothing, ...reader }, defaultNamespace: "default" };
}

describe("the surroundings of a pod without a cluster", () => {
  it.each([
    ["shop", { team: "a" }],
    ["other", "unknown"],
    [undefined, "unknown"],
  ])("of namespace %s: labels %j, and nothing of the service account", async (namespace, namespaceLabels) => {
    const found = await surroundingsIn(MANIFESTS, undefined)(namespace, "default");
    expect(found).toEqual({ namespaceLabels, serviceAccount: undefined, unread: [] });
  });
});

describe("the surroundings of a pod in a cluster", () => {
  it.each([
    ["from both, the manifest's last", "shop", { team: "b", tier: "web" }, { team: "a", tier: "web" }],
    ["from the cluster alone", "other", { team: "b" }, { team: "b" }],
    ["of the default namespace where a manifest names none", undefined, { team: "b" }, { team: "b" }],
    ["from a manifest alone, if the cluster refuses", "shop", "refused", { team: "a" }],
    ["unknown, if nobody says", "other", "refused", "unknown"],
  ] as const)("takes labels %s", async (_title, namespace, inCluster, namespaceLabels) => {
    const asked: string[] = [];
    const cluster = clusterWith({
      namespaceLabels(name) {
        asked.push(name);
        return inCluster === "refused" ? refuse("ns: 403") : Promise.resolve<Labels>(inCluster);
      },
      serviceAccount: () => Promise.resolve(ACCOUNT),
    });
    const found = await surroundingsIn(MANIFESTS, cluster)(namespace, "ci");
    expect(found).toEqual({
      namespaceLabels,
      serviceAccount: ACCOUNT,
      unread: inCluster === "refused" ? ["ns: 403"] : [],
    });
    expect(asked).toEqual([namespace ?? "default"]);
  });

  it("reads each object once, also one that it may not read", async () => {
    let count = 0;
    const cluster = clusterWith({
      serviceAccount(_namespace, name) {
        count++;
        return name === "ci" ? refuse("sa: 403") : Promise.resolve(ACCOUNT);
      },
    });
    const find = surroundingsIn([], cluster);
    for (const name of ["ci", "default", "ci", "default"]) await find("shop", name);
    expect(count).toBe(2);
    expect((await find("shop", "ci")).unread).toEqual(["ns", "sa: 403"]);
  });

  it("fails without an answer", async () => {
    const cluster = clusterWith({
      namespaceLabels: () => Promise.reject(new KubeUnreachableError("connect ECONNREFUSED")),
    });
    await expect(surroundingsIn([], cluster)("shop", "ci")).rejects.toThrow("ECONNREFUSED");
  });
});
