import type { Kubectl } from "./kubectl.ts";
import { waitUntil } from "./wait-until.ts";

/**
 * Creates a namespace and waits for its default ServiceAccount, without which no pod is admitted; the controller
 * manager makes it a moment later.
 */
export async function createNamespace(
  kubectl: Kubectl,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  await kubectl.create({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  await waitForDefaultServiceAccount(kubectl, name);
}

export async function waitForDefaultServiceAccount(kubectl: Kubectl, namespace: string): Promise<void> {
  await waitUntil(`the default ServiceAccount of ${namespace}`, () =>
    kubectl.run(["get", "serviceaccount", "default", `--namespace=${namespace}`]),
  );
}
