/** The webhook in the report of `pullpass doctor`: is it registered, trusted and reached? */
import { POLICY_NAME } from "../core/admission-policy/render.ts";
import { count } from "./count.ts";
import {
  fault,
  note,
  ok,
  type DoctorFacts,
  type Finding,
  type PolicyFacts,
  type ServiceFacts,
  type Trial,
  type WebhookFacts,
} from "./doctor-facts.ts";

/*
 * the policy   | the webhook  | the mode
 * there        | missing      | policy
 * there        | registered   | policy+webhook
 * there        | not readable | not known: policy or policy+webhook
 * missing      | registered   | webhook
 * missing      | missing      | none: no pod gets a pull secret
 * not readable | registered   | webhook, as if there were no policy
 * not readable | missing      | not known: policy or none
 * anything else               | not known; what could not be read is reported below
 */
export function reportWebhook(facts: DoctorFacts): readonly Finding[] {
  const { policy, webhook, webhookName } = facts;
  if (typeof policy === "object") {
    const ofWebhook = typeof webhook === "object" ? findingsOf(webhook, facts, "builders") : [];
    return [...reportPolicy(policy, webhook), ...ofWebhook];
  }
  if (webhook === undefined) return [];
  if (webhook === "missing" && policy === undefined) {
    const message = `MutatingWebhookConfiguration ${webhookName} does not exist, and whether MutatingAdmissionPolicy ${POLICY_NAME} does is not known; pods get pull secrets only if it does.`;
    return [note("mode-unknown", message)];
  }
  if (webhook === "missing") {
    const message = `MutatingWebhookConfiguration ${webhookName} does not exist, so no pod gets a pull secret.`;
    return [
      fault("not-registered", message, "Install Pullpass, or name the configuration with --webhook-name."),
    ];
  }
  return [...findingsOf(webhook, facts, "all pods"), trialFinding(webhook)];
}

function reportPolicy({ isBound, trial }: PolicyFacts, webhook: DoctorFacts["webhook"]): readonly Finding[] {
  const title = `MutatingAdmissionPolicy ${POLICY_NAME}`;
  if (!isBound) {
    const advice = "See that Pullpass runs and that one replica leads; it writes the binding again.";
    return [
      fault("policy-not-bound", `${title} has no binding, so no pod gets a pull secret by it.`, advice),
    ];
  }
  const effect = "pods get their pull secrets in the API server";
  const tried = policyTrialFinding(trial);
  if (webhook === undefined) {
    const message =
      "Whether there is a webhook beside the policy is not known, and so whether builders get credentials.";
    return [ok("policy", `${title}: ${effect}`), note("mode-unknown", message), tried];
  }
  const mode =
    webhook === "missing"
      ? `mode policy: ${effect}, and builders get no credentials`
      : `mode policy+webhook: ${effect}, and builders their credentials by the webhook`;
  return [ok("policy", `${title}: ${mode}`), tried];
}

function policyTrialFinding(trial: Trial | undefined): Finding {
  if (trial === undefined) {
    const message =
      "Whether the policy works was not tried: there is no namespace that opted in and may use a registry, or no right to try.";
    return note("not-tried", message);
  }
  const tried = `a pod for registry ${trial.registry} in namespace ${trial.namespace} (dry run)`;
  if (trial.outcome === "injected")
    return ok("policy-works", `the policy works: ${tried} got its pull secret`);
  const advice =
    "See Pullpass's log and its Events: where the registries do not fit into a policy, the last one that did stays.";
  return fault(
    "not-injected",
    `The policy does not know the registry, or does not work: ${tried} got no pull secret.`,
    advice,
  );
}

function findingsOf(
  webhook: WebhookFacts,
  { webhookName, now }: DoctorFacts,
  asked: "all pods" | "builders",
): readonly Finding[] {
  const { failurePolicy, service } = webhook;
  const [pod, lacking] =
    asked === "builders" ? ["pod with a builder", "credentials for builders"] : ["pod", "pull secrets"];
  const effect =
    failurePolicy === "Fail"
      ? `while the webhook is unavailable, no ${pod} is created in namespaces that opted in`
      : `while the webhook is unavailable, pods are created without ${lacking}`;
  return [
    ok(
      "registered",
      `MutatingWebhookConfiguration ${webhookName}: failurePolicy ${failurePolicy}, ${effect}`,
    ),
    caBundleFinding(webhook, now),
    ...(service === undefined
      ? [note("no-service", "The API server calls the webhook by a URL and not by a Service.")]
      : serviceFindings(service)),
  ];
}

/** Pullpass replaces an authority, which lasts for a year, long before. */
const SOON_MS = 7 * 24 * 60 * 60_000;

/*
 * The first row that holds decides.
 *
 * the caBundle                                        | finding
 * is empty                                            | no-ca-bundle
 * holds no certificate that parses                    | ca-bundle-unreadable
 * holds only certificates that expired                | ca-expired
 * holds only certificates that expire within SOON_MS  | ca-expires-soon
 * anything else                                       | ca-bundle
 */
function caBundleFinding({ hasCaBundle, caExpiresAt }: WebhookFacts, now: number): Finding {
  const advice =
    "Let Pullpass or cert-manager write it, or set tls.caBundle of the chart: see docs/certificates.md and Pullpass's log.";
  if (!hasCaBundle)
    return fault(
      "no-ca-bundle",
      "The caBundle is empty, so the API server does not trust the webhook.",
      advice,
    );
  if (caExpiresAt.length === 0)
    return fault("ca-bundle-unreadable", "The caBundle holds no certificate that can be read.", advice);
  const last = Math.max(...caExpiresAt);
  const date = new Date(last).toISOString();
  if (last <= now)
    return fault("ca-expired", `The certificates of the caBundle expired; the last one at ${date}.`, advice);
  if (last - now < SOON_MS)
    return fault(
      "ca-expires-soon",
      `The certificates of the caBundle expire; the last one at ${date}.`,
      advice,
    );
  return ok("ca-bundle", `the API server trusts its certificates until ${date}`);
}

function serviceFindings({ namespace, name, exists, readyEndpoints }: ServiceFacts): readonly Finding[] {
  const service = `Service ${namespace}/${name}`;
  if (exists === false)
    return [
      fault(
        "no-service",
        `${service} does not exist, so the API server does not reach the webhook.`,
        "Install Pullpass again.",
      ),
    ];
  if (readyEndpoints === undefined) return [];
  if (readyEndpoints === 0) {
    const advice = `See why no pod of Pullpass is ready: kubectl describe pods --namespace ${namespace}`;
    return [
      fault("no-endpoints", `${service} has no ready endpoint, so the webhook is unavailable.`, advice),
    ];
  }
  return [ok("endpoints", `${service} has ${count(readyEndpoints, "ready endpoint")}`)];
}

function trialFinding({ trial, failurePolicy }: WebhookFacts): Finding {
  if (trial === undefined) {
    const message =
      "Whether the webhook is reached was not tried: there is no namespace that opted in and may use a registry, or no right to try.";
    return note("not-tried", message);
  }
  const { namespace, registry, outcome } = trial;
  const tried = `a pod for registry ${registry} in namespace ${namespace} (dry run)`;
  if (outcome === "injected") return ok("reached", `the webhook is reached: ${tried} got its pull secret`);
  const advice =
    "See that Pullpass's pods are ready, that the API server reaches them (firewall, webhook.port), and Pullpass's log.";
  return outcome === "webhook-failed"
    ? fault("not-reached", `The API server does not reach the webhook: it refused ${tried}.`, advice)
    : fault(
        "not-injected",
        `The webhook is not reached, or does not know the registry: ${tried} got no pull secret${failurePolicy === "Ignore" ? "" : ", and was accepted"}.`,
        advice,
      );
}
