import { randomUUID } from "node:crypto";
import type { Kubectl } from "./kubectl.ts";
import { CommandError } from "./run-command.ts";
import { waitUntil } from "../../wait-until.ts";

/** The MutatingWebhookConfiguration that Pullpass is meant to be registered with. */

export interface WebhookConfigurationOptions {
  /** Of the configuration; the API server calls webhooks in the order of these names. */
  readonly name?: string;
  readonly service: { readonly namespace: string; readonly name: string; readonly port: number };
  /** PEM of the authorities that may have signed the serving certificate. */
  readonly authorityPem: string;
  readonly path?: string;
  /** Under `Fail` no pod is created while the webhook cannot be reached. */
  readonly failurePolicy?: "Ignore" | "Fail";
  /** How long a pod's creation waits for a webhook that does not answer, at most 5. */
  readonly timeoutSeconds?: number;
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn";
    readonly values: readonly string[];
  }[];
}

export interface Webhook {
  readonly name: string;
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly apiVersions: readonly string[];
    readonly operations: readonly string[];
    readonly resources: readonly string[];
  }[];
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
  readonly [setting: string]: unknown;
}

export interface WebhookConfiguration {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly webhooks: readonly [Webhook];
}

export function webhookConfiguration(options: WebhookConfigurationOptions): WebhookConfiguration {
  const { name = "pullpass", service, authorityPem, path = "/mutate" } = options;
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name },
    webhooks: [
      {
        // People see it in the message of a refused pod.
        name: "inject.pullpass.dev",
        admissionReviewVersions: ["v1"],
        clientConfig: {
          service: { ...service, path },
          caBundle: Buffer.from(authorityPem).toString("base64"),
        },
        // A pod's pull secrets can only be set while it is created.
        rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
        matchPolicy: "Equivalent",
        namespaceSelector: {
          matchLabels: { "pullpass.dev/inject": "enabled" },
          // Nobody can opt these in by mistake: the cluster and Pullpass itself must start without Pullpass.
          matchExpressions: [
            {
              key: "kubernetes.io/metadata.name",
              operator: "NotIn",
              values: ["kube-system", service.namespace],
            },
          ],
        },
        objectSelector: {
          matchExpressions: [{ key: "pullpass.dev/inject", operator: "NotIn", values: ["disabled"] }],
        },
        // A pod without its secret cannot pull; no pod at all is worse.
        failurePolicy: options.failurePolicy ?? "Ignore",
        timeoutSeconds: options.timeoutSeconds ?? 5,
        // Another webhook may add a container later on.
        reinvocationPolicy: "IfNeeded",
        sideEffects: "None",
      },
    ],
  };
}

/** The same webhook called for everything that has to do with pods, so that no filter of the API server helps it. */
export function withoutFilters(configuration: WebhookConfiguration): WebhookConfiguration {
  const [{ namespaceSelector: _namespaces, objectSelector: _objects, ...webhook }] = configuration.webhooks;
  const rules = [{ apiGroups: [""], apiVersions: ["v1"], operations: ["*"], resources: ["pods", "pods/*"] }];
  return { ...configuration, webhooks: [{ ...webhook, rules }] };
}

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
