import { randomUUID } from "node:crypto";
import type { Kubectl } from "./kubectl.ts";
import { CommandError } from "./run-command.ts";
import { waitUntil } from "./wait-until.ts";

/**
 * Waits until the API server goes by the webhook configurations as they are now. It learns of changes in their order,
 * a moment later; so once it goes by one that is registered after all others, it goes by those too.
 */
export async function awaitWebhooks(kubectl: Kubectl): Promise<void> {
  const name = `last-${randomUUID()}`;
  await kubectl.create(refusing(name));
  try {
    await waitUntil(
      "the API server to go by the registered webhooks",
      async () => {
        try {
          await kubectl.create(configMap(name), "--dry-run=server");
          return false;
        } catch (error: unknown) {
          return error instanceof CommandError && error.stderr.includes(name);
        }
      },
      { intervalMs: 20 },
    );
  } finally {
    await kubectl.run(["delete", "mutatingwebhookconfiguration", name]);
  }
}

/** Refuses the one ConfigMap that is labelled for it, because nobody listens at its address. */
function refusing(name: string): object {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name },
    webhooks: [
      {
        name: `${name}.pullpass.dev`,
        admissionReviewVersions: ["v1"],
        clientConfig: { url: "https://127.0.0.1:1/" },
        rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] }],
        objectSelector: { matchLabels: { awaits: name } },
        failurePolicy: "Fail",
        sideEffects: "None",
      },
    ],
  };
}

function configMap(name: string): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels: { awaits: name } } };
}
