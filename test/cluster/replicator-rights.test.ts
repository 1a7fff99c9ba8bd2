import { afterAll, beforeAll, expect, it } from "vitest";
import { registryCrd } from "../../src/config/registry-crd.ts";
import type { Transport } from "../../src/kube/transport.ts";
import { auditedRequests, type AuditedRequest } from "./harness/audit.ts";
import { ATTACHMENT_MANIFEST, INSTALL_MANIFEST, rightsOf } from "./harness/chart.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { installPullpass, PULLPASS_NAMESPACE, type Installation } from "./harness/install-pullpass.ts";
import { createTestKubeClient } from "./harness/kube-clients.ts";
import { createNamespace, type KubernetesObject } from "./harness/kubectl.ts";
import { clusterRegistry } from "./harness/registry-objects.ts";
import { waitForCopies } from "./harness/read-copies.ts";
import { leaderOf, type Replica } from "./harness/run-replica.ts";
import { waitUntil } from "../wait-until.ts";
import { webhookConfiguration } from "./harness/webhook-configuration.ts";

const OPTED_IN = { "pullpass.dev/inject": "enabled" };

interface Role extends KubernetesObject {
  readonly kind: string;
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

await describeLevel("control-plane", "the rights that the chart gives", () => {
  let cluster: Cluster;
  let client: Transport;
  let installation: Installation;
  let replica: Replica;
  const auth = { type: "Secret", name: "source", namespace: "elsewhere" };
  const registries = [{ name: "hub", address: "registry.example.com", auth, use: ["pull"] }];

  beforeAll(async () => {
    cluster = await borrowCluster();
    client = createTestKubeClient(cluster);
    await cluster.kubectl.apply(registryCrd());
    installation = await installPullpass(cluster, { registries }, INSTALL_MANIFEST);
    await cluster.kubectl.apply(
      webhookConfiguration({
        service: { namespace: PULLPASS_NAMESPACE, name: "pullpass", port: 8443 },
        authorityPem: "",
      }),
    );
    replica = await installation.startReplica({ certificate: "self-managed" });
    await leaderOf(replica);
  });
  afterAll(async () => {
    await replica.stop();
  });

  const source = (password: string) => ({
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/basic-auth",
    metadata: { name: "source", namespace: "elsewhere" },
    stringData: { username: "user", password },
  });
  const copies = (password: string) => ({ "pullpass-hub": { "registry.example.com": `user:${password}` } });

  it("are enough for all that Pullpass does, and none of them is there for nothing", async () => {
    const { kubectl } = cluster;
    await createNamespace(kubectl, "elsewhere");
    await kubectl.create(source("made-up-1"));
    await createNamespace(kubectl, "app", OPTED_IN);
    await waitForCopies(client, "app", copies("made-up-1"));
    await kubectl.apply(source("made-up-2"));
    await waitForCopies(client, "app", copies("made-up-2"));
    await kubectl.run(["label", "namespace", "app", "pullpass.dev/inject-"]);
    await waitForCopies(client, "app", {});
    // Two replicas may find one to be created; and what a person made is in the way of another one.
    await kubectl.run(["create", "secret", "generic", "pullpass-hub", "--namespace=app"]);
    await kubectl.run(["label", "namespace", "app", "pullpass.dev/inject=enabled"]);
    // Its list of Secrets is read.
    const enforcing = "kubernetes.io/enforce-mountable-secrets=true";
    await kubectl.run(["annotate", "serviceaccount", "default", enforcing, "--namespace=app"]);
    // Its status is written.
    await kubectl.apply(clusterRegistry("object", { address: "object.example.com", use: ["pull"] }));
    await waitUntilUsed(await grantedRights(INSTALL_MANIFEST));
  });

  it("are enough for ServiceAccounts, too, with those that are there for nothing else", async () => {
    await cluster.kubectl.apply(...(await rightsOf(ATTACHMENT_MANIFEST)));
    await installation.configure({ registries, serviceAccounts: { attach: ["default"] } });
    await waitUntilUsed(await grantedRights(INSTALL_MANIFEST, ATTACHMENT_MANIFEST));
  });

  /** And no other ones, nor any that is not granted. */
  async function waitUntilUsed(granted: ReadonlySet<string>): Promise<void> {
    await waitUntil("all rights to be used", async () => {
      const used = usedRights(await auditedRequests(cluster));
      const unused = [...granted].filter((right) => !used.has(right));
      if (unused.length > 0) throw new Error(`nothing needed ${unused.join(", ")}`);
      return true;
    });
    const requests = await auditedRequests(cluster);
    expect(requests.filter(({ status }) => status === 403)).toEqual([]);
    expect(usedRights(requests)).toEqual(granted);
  }
});

/** As `list secrets` for the whole cluster, and `update coordination.k8s.io/leases in pullpass`. */
async function grantedRights(...manifests: readonly string[]): Promise<ReadonlySet<string>> {
  const roles = (await rightsOf(...manifests)).filter(isRole);
  return new Set(
    roles.flatMap(({ kind, rules }) =>
      rules.flatMap(({ apiGroups, resources, verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) => verbs.map((verb) => right(verb, group, resource, kind === "Role"))),
        ),
      ),
    ),
  );
}

function isRole(object: KubernetesObject): object is Role {
  return "rules" in object;
}

/** A Role is needed for leases, and for the one Secret that is ever replaced. */
function usedRights(requests: readonly AuditedRequest[]): ReadonlySet<string> {
  return new Set(
    requests.map(({ verb, apiGroup, resource, namespace }) =>
      right(
        verb,
        apiGroup,
        resource,
        (resource === "leases" || verb === "update") && namespace === PULLPASS_NAMESPACE,
      ),
    ),
  );
}

function right(verb: string, group: string, resource: string, isInOwnNamespace: boolean): string {
  const place = isInOwnNamespace ? ` in ${PULLPASS_NAMESPACE}` : "";
  return `${verb} ${group === "" ? "" : `${group}/`}${resource}${place}`;
}
