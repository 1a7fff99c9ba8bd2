/** Why a pod does not get its images, and what to do about it. */
import { addressCovers, splitRepository } from "./address.ts";
import { repositoryName } from "./image-reference.ts";
import type { SkipReason } from "./decision.ts";
import type { Pod, PodContext } from "./kubernetes.ts";
import { INJECT_LABEL, MIRROR_ANNOTATION } from "./labels.ts";
import { decide } from "./policy.ts";
import type { PullFailure } from "./pull-message.ts";
import type { PullSecretState } from "./pull-secret.ts";
import { isPermittedIn, selectRegistries, type Registry, type RegistryIndex } from "./registry.ts";
import { readStuckPod, type PodWithStatus, type StuckPod, type WaitingContainer } from "./stuck-pod.ts";
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

export type { PodWithStatus };

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
  return diagnoseStuckPod(readStuckPod(pod), context);
}

export function diagnoseStuckPod(pod: StuckPod, context: DiagnosisContext): Diagnosis {
  const containers = pod.waiting.map((waiting) => diagnoseContainer(waiting, pod, context));
  const telling = containers.find(({ code }) => code !== "unknown") ?? containers[0];
  const { code, sentence, advice } = telling ?? NOTHING_WRONG;
  return { code, sentence, advice, containers };
}

const NO_FACTS: VerdictFacts = {
  image: "",
  text: "",
  registries: [],
  secret: "",
  expiredAt: undefined,
};

const NOTHING_WRONG = verdict("nothing-wrong", NO_FACTS);

function verdict(code: VerdictCode, facts: VerdictFacts): Verdict {
  const { sentence, advice } = VERDICTS[code];
  return { code, sentence: sentence(facts), advice: advice(facts) };
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
function diagnoseContainer(
  waiting: WaitingContainer,
  pod: StuckPod,
  context: DiagnosisContext,
): ContainerVerdict {
  const { container, image, failure, text } = waiting;
  const needs = neededFor(image, context);
  const lacking = needs.registries.filter(({ secretName }) => !pod.pullSecretNames.includes(secretName));
  const decision = decide(withOneImage(image, pod), context, context.index);
  const find = (): Finding => {
    if (!FOR_WANT_OF_CREDENTIALS.has(failure)) return { code: codeOf(failure) };
    if (lacking.length > 0) {
      const code = decision.kind === "skip" ? (decision.reason as LackReason) : ageOf(pod, lacking, context);
      return { code, registries: lacking };
    }
    const fault = faultOfSecrets(waiting, needs, pod.pullSecretNames, context);
    return fault ?? { code: codeOf(failure), registries: needs.registries };
  };
  const { code, registries = [], secret = "", expiredAt } = find();
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
function withOneImage(image: string, { isMirror, isOptedOut, pullSecretNames }: StuckPod): Pod {
  return {
    metadata: {
      annotations: isMirror ? { [MIRROR_ANNOTATION]: "" } : {},
      labels: isOptedOut ? { [INJECT_LABEL]: "disabled" } : {},
    },
    spec: { containers: [{ image }], imagePullSecrets: pullSecretNames.map((name) => ({ name })) },
  };
}

interface Needs {
  /** Those whose pull secrets a new pod would get for the image if nothing but the registries decided. */
  readonly registries: readonly Registry[];
  /** False if there may be others, for which the labels of the namespace are not known. */
  readonly isKnown: boolean;
}

function neededFor(image: string, { namespace, index, isIndexComplete = true }: DiagnosisContext): Needs {
  const { labels } = namespace;
  const lookup = index.lookUp(image);
  const covering = lookup.kind === "invalid" ? [] : [...lookup.covering];
  const isPermitted = (registry: Registry): boolean => isPermittedIn(registry, labels);
  const registries = selectRegistries(covering, isPermitted);
  const mayBeOthers = labels === "unknown" && !covering.flat().every(isPermitted);
  return { registries, isKnown: registries.length > 0 || (isIndexComplete && !mayBeOthers) };
}

function ageOf(
  { createdAt }: StuckPod,
  lacking: readonly Registry[],
  { optedInAt = -Infinity, registryCreatedAt }: DiagnosisContext,
): VerdictCode {
  // Whole seconds: a pod of the same second may be either.
  if (createdAt <= optedInAt) return "older-than-opt-in";
  const isOlder = lacking.some((registry) => createdAt <= (registryCreatedAt?.(registry) ?? -Infinity));
  return isOlder ? "older-than-registry" : "lacks-secret";
}

/** The rows about secrets that the pod names. Undefined: they are not the cause, as far as anybody knows. */
function faultOfSecrets(
  { image, failure }: WaitingContainer,
  { registries, isKnown }: Needs,
  names: readonly string[],
  { index, pullSecret, now }: DiagnosisContext,
): Finding | undefined {
  const lookup = index.lookUp(image);
  if (lookup.kind === "invalid") return undefined;
  const repository = splitRepository(repositoryName(lookup.reference));
  const secrets = names.map((secret): NamedSecret => {
    const state = pullSecret(secret);
    const credentials = state.kind === "read" ? state.credentials : [];
    const covering = credentials.filter(({ address }) => addressCovers(address, repository));
    const isUsable = covering.some(({ expiresAt = Infinity }) => expiresAt > now);
    return { secret, kind: state.kind, isUsable, expiredAt: covering[0]?.expiresAt };
  });
  if (secrets.some(({ isUsable }) => isUsable)) return undefined;

  const isNeeded = ({ secret }: NamedSecret): boolean =>
    registries.some(({ secretName }) => secretName === secret);
  const candidates = registries.length === 0 ? secrets : secrets.filter(isNeeded);
  for (const [code, isAtFault] of SECRET_FAULTS) {
    const found = candidates.find(isAtFault);
    if (found === undefined) continue;
    const { secret, expiredAt } = found;
    return {
      code,
      secret,
      expiredAt,
      registries: registries.filter(({ secretName }) => secretName === secret),
    };
  }
  if (registries.length > 0) {
    const secret = candidates.find(({ kind }) => kind === "read")?.secret;
    return secret === undefined ? undefined : { code: "no-credentials-for-image", secret };
  }
  const isAllKnown = isKnown && secrets.every(({ kind }) => kind === "read");
  return isAllKnown && failure !== "no-cause" ? { code: "no-registry" } : undefined;
}

/** A pull secret of the pod. It is not usable for the image if all credentials for it have expired, or there are none. */
interface NamedSecret {
  readonly secret: string;
  readonly kind: PullSecretState["kind"];
  readonly isUsable: boolean;
  readonly expiredAt: number | undefined;
}

const SECRET_FAULTS: readonly (readonly [VerdictCode, (secret: NamedSecret) => boolean])[] = [
  ["secret-not-owned", ({ kind }) => kind === "not-owned"],
  ["secret-missing", ({ kind }) => kind === "missing"],
  ["secret-expired", ({ expiredAt }) => expiredAt !== undefined],
];
