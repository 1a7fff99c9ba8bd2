/** Reads how the webhook is registered for `pullpass doctor`, and tries whether it is reached. */
import type { V1MutatingWebhook } from "@kubernetes/client-node";
import { POLICY_NAME } from "../core/admission-policy/render.ts";
import { listObjects } from "../kube/list.ts";
import { asArray, isObject } from "../core/kubernetes.ts";
import { INJECTED_ANNOTATION, selectorMatches, type LabelSelector } from "../core/labels.ts";
import { decide } from "../core/policy.ts";
import type { KubeApis } from "../kube/api.ts";
import { KubeApiError, unlessMissing } from "../kube/errors.ts";
import { readRegistration } from "../kube/resources/certificates.ts";
import { asJson } from "../kube/resources/evictions.ts";
import { readMetadata } from "../kube/resources/metadata.ts";
import { notAfterOf, parseBundle } from "../tls/certificates.ts";
import { type Cluster } from "./doctor-cluster.ts";
import type { KnownRegistries, NamespaceFacts, ServiceFacts, Trial, WebhookFacts } from "./doctor-facts.ts";

export interface FoundWebhook {
  readonly facts: WebhookFacts;
  readonly name: string;
  /** Of the namespaces that the API server asks it about. */
  readonly selector: LabelSelector;
}

export async function readWebhook(
  cluster: Cluster,
  name: string,
  isOnePod: boolean,
): Promise<FoundWebhook | "missing" | undefined> {
  const api = cluster.apis.admissionRegistration;
  const registered = await cluster.attempt(
    `MutatingWebhookConfiguration ${name}`,
    async () => (await unlessMissing(api.readMutatingWebhookConfiguration({ name }))) ?? "missing",
  );
  if (typeof registered !== "object") return registered;
  const [webhook] = registered.webhooks ?? [];
  if (webhook === undefined) return "missing";
  const [bundle = ""] = readRegistration(asJson(registered)).bundles;
  const { service } = webhook.clientConfig;
  return {
    facts: {
      failurePolicy: webhook.failurePolicy ?? "Fail",
      hasCaBundle: bundle !== "",
      caExpiresAt: parseBundle(bundle).values().map(notAfterOf).toArray(),
      service: service && (isOnePod ? unreadService(service) : await readService(cluster, service)),
      trial: undefined,
    },
    name: webhook.name,
    selector: (webhook.namespaceSelector ?? {}) as LabelSelector,
  };
}

export interface FoundPolicy extends Pick<FoundWebhook, "name" | "selector"> {
  readonly isBound: boolean;
}

/** The policy that `serve --mode=policy` keeps. */
export async function readPolicy(cluster: Cluster): Promise<FoundPolicy | "missing" | undefined> {
  const { admissionRegistration: api } = cluster.apis;
  const name = POLICY_NAME;
  return cluster.attempt(`MutatingAdmissionPolicy ${name}`, async () => {
    const policy = await unlessMissing(api.readMutatingAdmissionPolicy({ name }));
    // Or this API server knows no such objects.
    if (policy === undefined) return "missing";
    const selector = (policy.spec?.matchConstraints?.namespaceSelector ?? {}) as LabelSelector;
    const binding = await unlessMissing(api.readMutatingAdmissionPolicyBinding({ name }));
    return { name, selector, isBound: binding !== undefined };
  });
}

type ServiceName = NonNullable<V1MutatingWebhook["clientConfig"]["service"]>;

function unreadService({ namespace, name }: ServiceName): ServiceFacts {
  return { namespace, name, exists: undefined, readyEndpoints: undefined };
}

async function readService(cluster: Cluster, { namespace, name }: ServiceName): Promise<ServiceFacts> {
  const exists = await cluster.attempt(
    `Service ${namespace}/${name}`,
    async () =>
      (await unlessMissing(cluster.apis.core.readNamespacedService({ namespace, name }))) !== undefined,
  );
  const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`;
  const query = { labelSelector: `kubernetes.io/service-name=${name}` };
  const ready = await cluster.attempt(`EndpointSlices of Service ${namespace}/${name}`, () =>
    listObjects(
      cluster.transport,
      { path, query },
      ({ endpoints }) => asArray(endpoints).filter(isReady).length,
    ),
  );
  return { namespace, name, exists, readyEndpoints: ready?.reduce((sum, number) => sum + number, 0) };
}

/** An endpoint of which nothing is known counts as ready. */
function isReady(endpoint: unknown): boolean {
  const conditions = isObject(endpoint) ? endpoint["conditions"] : undefined;
  return !isObject(conditions) || conditions["ready"] !== false;
}

/** A namespace may have a quota or a policy that refuses the trial pod. */
const MAX_TRIALS = 3;

/**
 * Asks the API server to create a pod with `dryRun=All`: nothing is stored or scheduled, and no image is pulled, but the webhook is
 * called. The first namespaces are taken in which the webhook has to give it a pull secret.
 */
export async function tryPod(
  cluster: Cluster,
  { name: webhookName, selector }: Pick<FoundWebhook, "name" | "selector">,
  known: KnownRegistries,
  namespaces: readonly NamespaceFacts[] = [],
): Promise<Trial | undefined> {
  let refusal: string | undefined;
  for (const { namespace, registry, pod } of planTrials(known, namespaces, selector)) {
    try {
      const created = await cluster.apis.core.createNamespacedPod({ namespace, body: pod, dryRun: "All" });
      const isInjected = readMetadata(created).annotations[INJECTED_ANNOTATION] !== undefined;
      return { namespace, registry, outcome: isInjected ? "injected" : "not-injected" };
    } catch (error) {
      if (!(error instanceof KubeApiError)) throw error;
      if (error.message.includes(`failed calling webhook "${webhookName}"`))
        return { namespace, registry, outcome: "webhook-failed" };
      refusal ??= error.message;
    }
  }
  if (refusal !== undefined) cluster.note("trial pod (dry run)", refusal);
  return undefined;
}

type TrialPod = Parameters<KubeApis["core"]["createNamespacedPod"]>[0]["body"];

function planTrials(
  { index }: KnownRegistries,
  namespaces: readonly NamespaceFacts[],
  selector: LabelSelector,
): readonly { readonly namespace: string; readonly registry: string; readonly pod: TrialPod }[] {
  const images = index.registries.map(({ name, address }) => {
    const authority = address.authority.replaceAll("*", "pullpass-doctor");
    const path = address.path === "" ? "" : `${address.path}/`;
    return { registry: name, pod: trialPod(`${authority}/${path}pullpass-doctor:none`) };
  });
  return namespaces
    .values()
    .filter(
      ({ isOptedIn, isTerminating, labels }) =>
        isOptedIn && !isTerminating && selectorMatches(selector, labels),
    )
    .flatMap(({ name: namespace, labels }) => {
      const context = { namespace: { isOptedIn: true, labels }, serviceAccount: undefined };
      const found = images.find(({ pod }) => decide(pod, context, index).kind === "inject");
      return found === undefined ? [] : [{ namespace, ...found }];
    })
    .take(MAX_TRIALS)
    .toArray();
}

/** One that the strictest Pod Security Standard admits. With a pull secret of its own, so that it does not get its account's. */
function trialPod(image: string) {
  const resources = { requests: { cpu: "1m", memory: "1Mi" }, limits: { cpu: "1m", memory: "1Mi" } };
  const securityContext = {
    allowPrivilegeEscalation: false,
    runAsNonRoot: true,
    runAsUser: 65532,
    capabilities: { drop: ["ALL"] },
    seccompProfile: { type: "RuntimeDefault" },
  };
  return {
    metadata: { generateName: "pullpass-doctor-" },
    spec: {
      automountServiceAccountToken: false,
      imagePullSecrets: [{ name: "pullpass-doctor" }],
      containers: [{ name: "trial", image, resources, securityContext }],
    },
  };
}
