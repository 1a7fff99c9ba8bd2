/** Why a pod does not get its images, and what to do about it. */
import { addressCovers, splitRepository } from "./address.ts";
import { readImageReference, repositoryName } from "./image-reference.ts";
import type { SkipReason } from "./decision.ts";
import { asArray, getString, isObject, type Pod, type PodContext } from "./kubernetes.ts";
import { INJECT_LABEL, MIRROR_ANNOTATION } from "./labels.ts";
import { annotationOf, labelOf } from "./pod.ts";
import { decide } from "./policy.ts";
import { readPullMessage, type PullFailure, type PullMessage } from "./pull-message.ts";
import type { KnownCredential, PullSecretState } from "./pull-secret.ts";
import type { Registry, RegistryIndex } from "./registry.ts";
import { VERDICTS, type VerdictCode, type VerdictFacts } from "./verdicts.ts";

/** What is known of the surroundings of a pod. Times are Unix times in milliseconds, undefined where they are not known. */
export interface DiagnosisContext extends PodContext {
  readonly index: RegistryIndex;
  /** False if there may be registries that the index lacks. Default: true. */
  readonly isIndexComplete?: boolean;
  /** Of a Secret in the pod's namespace, by its name. */
  readonly pullSecret: (name: string) => PullSecretState;
  /** When the namespace opted in. */
  readonly optedInAt?: number | undefined;
  /** When a registry was created. */
  readonly registryCreatedAt?: (registry: Registry) => number | undefined;
  readonly now: number;
}

/** A pod as the API server sends it. */
export interface PodWithStatus extends Pod {
  readonly status?: unknown;
}

export interface Verdict {
  readonly code: VerdictCode;
  /** Says what was seen. Nothing secret, and nothing of registries that the namespace may not use. */
  readonly sentence: string;
  /** Says what to do. */
  readonly advice: string;
}

/** About a container that waits for an image. */
export interface ContainerVerdict extends Verdict {
  readonly container: string;
  /** The image that it waits for: its own, or that of a volume. */
  readonly image: string;
  /** What kubelet and the runtime say, whatever the verdict. */
  readonly failure: PullFailure;
  /** The pull secrets that a pod created now would get for this image, and that this one lacks. */
  readonly lacking: readonly string[];
}

/** The verdict of a pod is that of the first container whose verdict is not `unknown`, or else of the first. */
export interface Diagnosis extends Verdict {
  /** Init containers first. Empty if none waits for an image. */
  readonly containers: readonly ContainerVerdict[];
}

export function diagnose(pod: PodWithStatus, context: DiagnosisContext): Diagnosis {
  const containers = waitingContainers(pod).map((waiting) => diagnoseContainer(waiting, pod, context));
  const telling = containers.find(({ code }) => code !== "unknown") ?? containers[0];
  const { code, sentence, advice } = telling ?? NOTHING_WRONG;
  return { code, sentence, advice, containers };
}

const NO_FACTS: VerdictFacts = {
  image: "",
  text: "",
  registries: [],
  secret: undefined,
  expiredAt: undefined,
};

const NOTHING_WRONG = verdict("nothing-wrong", NO_FACTS);

function verdict(code: VerdictCode, facts: VerdictFacts): Verdict {
  const { sentence, advice } = VERDICTS[code];
  return { code, sentence: sentence(facts), advice: advice(facts) };
}

interface WaitingContainer extends PullMessage {
  readonly container: string;
  readonly image: string;
}

function waitingContainers(pod: PodWithStatus): readonly WaitingContainer[] {
  return (["initContainers", "containers"] as const).flatMap((list) => {
    const statuses = isObject(pod.status) ? pod.status[`${list.slice(0, -1)}Statuses`] : undefined;
    return asArray(statuses).flatMap((status) => {
      const state = isObject(status) ? status["state"] : undefined;
      const waiting = isObject(state) ? state["waiting"] : undefined;
      const message = getString(waiting, "message") ?? "";
      const read = readPullMessage(getString(waiting, "reason") ?? "", message);
      if (read === undefined) return [];
      const container = getString(status, "name") ?? "";
      const spec = asArray(pod.spec[list]).find((candidate) => getString(candidate, "name") === container);
      const image = getString(spec, "image") ?? getString(status, "image") ?? "";
      return [{ container, image: failingImage(image, message, pod), ...read }];
    });
  });
}

/** A container waits for the images of its volumes, too, and only the message says for which. */
function failingImage(own: string, message: string, pod: Pod): string {
  const volumes = asArray(pod.spec["volumes"]).flatMap((volume) => {
    const source = isObject(volume) ? volume["image"] : undefined;
    return getString(source, "reference") ?? [];
  });
  const named = [own, ...volumes].filter((image) => message.includes(image));
  // The longest, because one may be the beginning of another.
  return named.reduce((longest, image) => (image.length > longest.length ? image : longest), named[0] ?? own);
}

/*
 * Our own decision comes first, wherever credentials can be the cause: a pod that lacks a secret is refused with the same
 * words as one with a wrong password. The first row that holds decides.
 *
 * "fails for want of credentials" is a failure unauthorized, forbidden, expired or no-cause; "needs" and "lacks" are about the
 * pull secrets that a pod created now would get for the image, if it were not opted out.
 *
 * failure          | needs | lacks | besides                                            | code
 * any other        |       |       |                                                    | the failure
 * for want of      | some  | some  | mirror pod                                         | mirror-pod
 *   credentials    | some  | some  | the namespace did not opt in                       | namespace-not-opted-in
 *                  | some  | some  | the pod opted out                                  | pod-opted-out
 *                  | some  | some  | its account forbids them                           | mountable-secrets-enforced
 *                  | some  | some  | created before the opt-in                          | older-than-opt-in
 *                  | some  | some  | created before a registry                          | older-than-registry
 *                  | some  | some  |                                                    | lacks-secret
 *                  | any   | none  | a secret has credentials for it that have not      | the failure
 *                  |       |       | expired                                            |
 *                  | some  | none  | one of them is not ours                            | secret-not-owned
 *                  | any   | none  | one of them (needs none: any of the pod's)         | secret-missing
 *                  |       |       | does not exist                                     |
 *                  | any   | none  | one of them has only expired credentials for it    | secret-expired
 *                  | some  | none  | one of them has no credentials for it              | no-credentials-for-image
 * no-cause         | none  | none  |                                                    | unknown
 * one of the other | none  | none  | every secret of the pod can be read, and which     | no-registry
 *   three          |       |       | registries there are for the namespace is known    |
 *                  |       |       |                                                    | the failure
 *
 * The failures expired and no-cause have the codes secret-expired and unknown.
 */
function diagnoseContainer(waiting: WaitingContainer, pod: Pod, context: DiagnosisContext): ContainerVerdict {
  const { container, image, failure, text } = waiting;
  const needed = neededFor(image, context);
  const names = pullSecretNames(pod);
  const needs = needed === "unknown" ? [] : needed;
  const lacking = needs.filter(({ secretName }) => !names.includes(secretName));
  const decision = decide(withOneImage(image, pod), context, context.index);
  const find = (): Finding => {
    if (!FOR_WANT_OF_CREDENTIALS.has(failure)) return { code: codeOf(failure) };
    if (lacking.length > 0) {
      const code = decision.kind === "skip" ? (decision.reason as LackReason) : ageOf(pod, lacking, context);
      return { code, registries: lacking };
    }
    return faultOfSecrets(waiting, needed, names, context) ?? { code: codeOf(failure), registries: needs };
  };
  const { code, registries = [], secret, expiredAt } = find();
  return {
    ...verdict(code, { image, text, registries, secret, expiredAt }),
    container,
    image,
    failure,
    lacking: decision.kind === "inject" ? decision.secretNames : [],
  };
}

interface Finding extends Partial<Pick<VerdictFacts, "registries" | "secret" | "expiredAt">> {
  readonly code: VerdictCode;
}

const FOR_WANT_OF_CREDENTIALS: ReadonlySet<PullFailure> = new Set([
  "unauthorized",
  "forbidden",
  "expired",
  "no-cause",
]);

function codeOf(failure: PullFailure): VerdictCode {
  if (failure === "expired") return "secret-expired";
  return failure === "no-cause" ? "unknown" : failure;
}

/** Why a pod is not given what it lacks; there is no other reason. */
type LackReason = SkipReason & VerdictCode;

/** A pod of one image, so that the decision is about this image alone. */
function withOneImage(image: string, pod: Pod): Pod {
  const mirror = annotationOf(pod, MIRROR_ANNOTATION);
  const label = labelOf(pod, INJECT_LABEL);
  return {
    metadata: {
      annotations: mirror === undefined ? {} : { [MIRROR_ANNOTATION]: mirror },
      labels: label === undefined ? {} : { [INJECT_LABEL]: label },
    },
    spec: { containers: [{ image }], imagePullSecrets: pod.spec["imagePullSecrets"] },
  };
}

/** The registries whose pull secrets a new pod would get for the image if nothing but the registries decided. */
function neededFor(
  image: string,
  { namespace, index, isIndexComplete = true }: DiagnosisContext,
): readonly Registry[] | "unknown" {
  const context = { namespace: { ...namespace, isOptedIn: true }, serviceAccount: undefined };
  const decision = decide({ metadata: {}, spec: { containers: [{ image }] } }, context, index);
  if (decision.kind === "inject") return decision.registries;
  return decision.reason === "labels-unknown" || !isIndexComplete ? "unknown" : [];
}

function pullSecretNames(pod: Pod): readonly string[] {
  return asArray(pod.spec["imagePullSecrets"]).flatMap((entry) => getString(entry, "name") ?? []);
}

function ageOf(
  { metadata }: Pod,
  lacking: readonly Registry[],
  { optedInAt = -Infinity, registryCreatedAt }: DiagnosisContext,
): VerdictCode {
  const createdAt = Date.parse(getString(metadata, "creationTimestamp") ?? "");
  // Whole seconds: a pod of the same second may be either.
  if (createdAt <= optedInAt) return "older-than-opt-in";
  const isOlder = lacking.some((registry) => createdAt <= (registryCreatedAt?.(registry) ?? -Infinity));
  return isOlder ? "older-than-registry" : "lacks-secret";
}

/** The rows about secrets that the pod names. Undefined: what they hold is not the cause, as far as anybody knows. */
function faultOfSecrets(
  { image, failure }: WaitingContainer,
  needed: readonly Registry[] | "unknown",
  names: readonly string[],
  { pullSecret, now }: DiagnosisContext,
): Finding | undefined {
  const reference = readImageReference(image);
  if (typeof reference === "string") return undefined;
  const repository = splitRepository(repositoryName(reference));
  const covers = ({ address }: KnownCredential): boolean => addressCovers(address, repository);
  const secrets = names.map((secret) => {
    const state = pullSecret(secret);
    const credentials = state.kind === "read" ? state.credentials.filter(covers) : [];
    const [expiredAt] = credentials.flatMap(({ expiresAt }) => expiresAt ?? []);
    const isUsable = credentials.some(({ expiresAt = Infinity }) => expiresAt > now);
    return { secret, kind: state.kind, isUsable, expiredAt };
  });
  if (secrets.some(({ isUsable }) => isUsable)) return undefined;

  const isNone = needed.length === 0 || needed === "unknown";
  const registriesOf = (secret: string): readonly Registry[] =>
    needed === "unknown" ? [] : needed.filter(({ secretName }) => secretName === secret);
  const relevant = isNone ? secrets : secrets.filter(({ secret }) => registriesOf(secret).length > 0);
  const fault = (code: VerdictCode, isAtFault: (entry: (typeof secrets)[number]) => boolean) => {
    const found = relevant.find(isAtFault);
    if (found === undefined) return undefined;
    const { secret, expiredAt } = found;
    return { code, secret, expiredAt, registries: registriesOf(secret) };
  };
  const known =
    fault("secret-not-owned", ({ kind }) => kind === "not-owned") ??
    fault("secret-missing", ({ kind }) => kind === "missing") ??
    fault("secret-expired", ({ expiredAt }) => expiredAt !== undefined);
  if (known !== undefined) return known;
  if (!isNone) return fault("no-credentials-for-image", ({ kind }) => kind === "read");
  const isAllKnown = needed !== "unknown" && secrets.every(({ kind }) => kind === "read");
  return isAllKnown && failure !== "no-cause" ? { code: "no-registry" } : undefined;
}
