/** MutatingAdmissionPolicies as tests apply them, and when the API server goes by them. */
import { randomUUID } from "node:crypto";
import type { AdmissionPolicy } from "../../../src/core/admission-policy/render.ts";
import type { JsonObject } from "../../../src/core/kubernetes.ts";
import type { Kubectl } from "./kubectl.ts";
import { waitUntil } from "../../wait-until.ts";

/** A policy and its binding under another name, for the namespaces that have a label besides. */
export function renamed(
  { policy, binding }: AdmissionPolicy,
  name: string,
  label: Readonly<Record<string, string>>,
  changes: JsonObject = {},
): readonly object[] {
  const { matchConstraints, ...spec } = policy["spec"] as {
    readonly matchConstraints: { readonly namespaceSelector: { readonly matchLabels: object } };
  };
  const { namespaceSelector } = matchConstraints;
  const matchLabels = { ...namespaceSelector.matchLabels, ...label };
  return [
    {
      ...policy,
      metadata: { name },
      spec: {
        ...spec,
        matchConstraints: { ...matchConstraints, namespaceSelector: { ...namespaceSelector, matchLabels } },
        ...changes,
      },
    },
    { ...binding, metadata: { name }, spec: { policyName: name } },
  ];
}

/**
 * Waits until the API server goes by all policies as they are now. It compiles all that it knows of at once, every second; so once it
 * goes by one that was written after all others, it goes by those too.
 */
export async function awaitPolicies(kubectl: Kubectl): Promise<void> {
  const name = `last-${randomUUID()}`;
  const meta = { apiVersion: "admissionregistration.k8s.io/v1", metadata: { name } };
  const rule = { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] };
  await kubectl.run(
    ["create", "--filename=-"],
    [
      {
        ...meta,
        kind: "MutatingAdmissionPolicy",
        spec: {
          matchConstraints: { objectSelector: { matchLabels: { awaits: name } }, resourceRules: [rule] },
          reinvocationPolicy: "Never",
          mutations: [
            {
              patchType: "JSONPatch",
              jsonPatch: { expression: `[JSONPatch{op: "add", path: "/data", value: {"is": "there"}}]` },
            },
          ],
        },
      },
      { ...meta, kind: "MutatingAdmissionPolicyBinding", spec: { policyName: name } },
    ]
      .map((object) => JSON.stringify(object))
      .join("\n"),
  );
  const probe = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "default", labels: { awaits: name } },
  };
  await waitUntil("the API server to go by the policies", async () => {
    const created = await kubectl.create(probe, "--dry-run=server");
    return created["data"] !== undefined;
  });
  await kubectl.run(["delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", name]);
}
