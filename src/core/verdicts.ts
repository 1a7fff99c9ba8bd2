/** The verdicts on pods that cannot pull: a code, which is the metric's label, what was seen, and what to do. */
import type { Registry } from "./registry.ts";
import { quote } from "./quote.ts";

export interface VerdictFacts {
  readonly image: string;
  /** What the runtime says, from {@link readPullMessage}. */
  readonly text: string;
  /** Those whose pull secrets the pod lacks, or those that it has. */
  readonly registries: readonly Registry[];
  /** The pull secret that is at fault; empty if none is. */
  readonly secret: string;
  /** When the credentials in it expired, as Unix time in milliseconds. */
  readonly expiredAt: number | undefined;
}

export interface VerdictText {
  readonly sentence: (facts: VerdictFacts) => string;
  readonly advice: (facts: VerdictFacts) => string;
}

const RECREATE =
  "Create the pod again: delete it if a controller replaces it, or restart the workload (kubectl rollout restart).";
/** Kubelet's back-off ends at 300 s, and it reads the Secret at every try. */
const KUBELET_RETRIES = "The kubelet tries again within five minutes; the pod can stay.";

/** In the order in which they are looked for: see the table in diagnosis.ts. */
export const VERDICTS = {
  "nothing-wrong": {
    sentence: () => "No container of the pod waits for an image that could not be pulled.",
    advice: () => "Nothing has to be done about its images.",
  },
  "invalid-image-name": {
    sentence: ({ image }) => `${quote(image)} is not an image reference.`,
    advice: () => "Correct the image in the pod or in the workload that creates it.",
  },
  "never-pulled": {
    sentence: (facts) =>
      `The pull policy is Never, and the node does not have ${name(facts)}, or has it from a pull with credentials that this pod lacks.`,
    advice: () =>
      "Set imagePullPolicy to IfNotPresent, or load the image onto the node. If the node has the image, give the pod the pull secret with which it was pulled.",
  },
  "rate-limited": {
    sentence: (facts) => `The registry or the node limits how often images are pulled${says(facts)}`,
    advice: () =>
      "Wait, or pull with credentials: registries such as Docker Hub allow more to users who log in.",
  },
  tls: {
    sentence: (facts) => `The node has no trusted TLS connection to the registry${says(facts)}`,
    advice: () =>
      "Renew the registry's certificate, or have the runtime of each node trust its CA (for containerd, in hosts.toml); a registry without TLS has to be named there, too.",
  },
  network: {
    sentence: (facts) => `The node does not reach the registry${says(facts)}`,
    advice: () =>
      "Check the host in the image, the registry, and DNS, firewall and proxy of the node. Credentials are not the cause.",
  },
  "not-found": {
    sentence: (facts) => `The registry does not have ${name(facts)}${says(facts)}`,
    advice: () =>
      "Check the repository and the tag. Some registries also say so of what the credentials may not pull.",
  },
  "mirror-pod": {
    sentence: (facts) =>
      `The pod is a static pod, which may not reference Secrets, and ${name(facts)} needs ${secretsOf(facts)}.`,
    advice: () =>
      "Configure the registry's credentials on the node, or create the pod through the API server.",
  },
  "namespace-not-opted-in": {
    sentence: (facts) =>
      `The namespace does not have the label pullpass.dev/inject=enabled, so the pod did not get ${secretsOf(facts)} for ${name(facts)}.`,
    advice: () => `Set the label on the namespace. ${RECREATE}`,
  },
  "pod-opted-out": {
    sentence: (facts) =>
      `The pod has the label pullpass.dev/inject=disabled, so it did not get ${secretsOf(facts)} for ${name(facts)}.`,
    advice: () => `Remove the label from the pod's template. ${RECREATE}`,
  },
  "mountable-secrets-enforced": {
    sentence: (facts) =>
      `The pod's service account allows only the pull secrets that it lists, and ${secretsOf(facts)} for ${name(facts)} is not among them.`,
    advice: () => `Add the pull secret to the service account. ${RECREATE}`,
  },
  "older-than-opt-in": {
    sentence: (facts) =>
      `The pod is older than the opt-in of its namespace, so it lacks ${secretsOf(facts)} for ${name(facts)}.`,
    advice: () => RECREATE,
  },
  "older-than-registry": {
    sentence: (facts) =>
      `The pod is older than the registry ${facts.registries.map((registry) => registry.name).join(", ")}, so it lacks ${secretsOf(facts)} for ${name(facts)}.`,
    advice: () => RECREATE,
  },
  "lacks-secret": {
    sentence: (facts) =>
      `The pod lacks ${secretsOf(facts)} for ${name(facts)}, which a pod created now would get. It is older than the opt-in or the registry, or the webhook was unavailable when it was created.`,
    advice: () => RECREATE,
  },
  "secret-not-owned": {
    sentence: (facts) =>
      `Secret ${facts.secret} is not Pullpass's and has the name of the copy that ${name(facts)} needs.`,
    advice: () =>
      `Delete or rename the Secret, or set another secretName for the registry. ${KUBELET_RETRIES}`,
  },
  "secret-missing": {
    sentence: (facts) => `The pod names pull secret ${facts.secret}, which does not exist.`,
    advice: ({ registries }) =>
      registries.length === 0
        ? `Create the Secret, or remove it from the pod. ${KUBELET_RETRIES}`
        : `Pullpass writes the Secret unless it cannot read the registry's credentials, an admin manages it, or the API server refuses it, as for a quota: see the Events of the namespace and of Pullpass's pod, and its log. ${KUBELET_RETRIES}`,
  },
  "secret-expired": {
    sentence: (facts) =>
      facts.expiredAt === undefined
        ? `The registry says that the credentials for ${name(facts)} have expired${says(facts)}`
        : `The credentials for ${name(facts)} in pull secret ${facts.secret} expired at ${new Date(facts.expiredAt).toISOString()}.`,
    advice: () => `Renew the credentials where they come from. ${KUBELET_RETRIES}`,
  },
  "no-credentials-for-image": {
    sentence: (facts) => `Pull secret ${facts.secret} has no credentials for ${name(facts)}.`,
    advice: () =>
      `Check the host and the path in the Secret: they have to be those of the image. ${KUBELET_RETRIES}`,
  },
  "no-registry": {
    sentence: (facts) =>
      `No registry that the namespace may use covers ${name(facts)}, the pod has no credentials for it, and the registry refuses the pull without them${says(facts)}`,
    advice: () =>
      "Add a registry for the image, let the namespace use one that covers it, or check the image's name.",
  },
  unauthorized: {
    sentence: (facts) => `The registry refused the credentials for ${name(facts)}${says(facts)}`,
    advice: (facts) =>
      `Check the user name and the password, and that they may pull from this repository${from(facts)}. ${KUBELET_RETRIES}`,
  },
  forbidden: {
    sentence: (facts) =>
      `The registry denied access to ${name(facts)}: it is not there, or not for these credentials${says(facts)}`,
    advice: (facts) =>
      `Check the image's name, and that the credentials may pull from this repository${from(facts)}. ${KUBELET_RETRIES}`,
  },
  unknown: {
    sentence: (facts) =>
      facts.text === ""
        ? `The image ${quote(facts.image)} could not be pulled, and the kubelet does not say why.`
        : `The image ${quote(facts.image)} could not be pulled${says(facts)}`,
    advice: () => "See the Events of the pod (kubectl describe pod).",
  },
} as const satisfies Readonly<Record<string, VerdictText>>;

export type VerdictCode = keyof typeof VERDICTS;

function name({ image }: VerdictFacts): string {
  return `image ${quote(image)}`;
}

function says({ text }: VerdictFacts): string {
  return text === "" ? "." : `: ${text}`;
}

function secretsOf({ registries }: VerdictFacts): string {
  const names = [...new Set(registries.map(({ secretName }) => secretName))];
  return `pull secret${names.length > 1 ? "s" : ""} ${names.join(", ")}`;
}

function from({ registries }: VerdictFacts): string {
  if (registries.length === 0) return "";
  return ` (registry ${registries.map((registry) => registry.name).join(", ")})`;
}
