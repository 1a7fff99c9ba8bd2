/** A pod as far as a diagnosis needs it: which images it waits for, and what its pull secrets are. */
import { asArray, getString, isObject, type Pod } from "./kubernetes.ts";
import { INJECT_LABEL, MIRROR_ANNOTATION } from "./labels.ts";
import { annotationOf, labelOf } from "./pod.ts";
import { readPullMessage, type PullMessage } from "./pull-message.ts";

/** A container that waits for an image. */
export interface WaitingContainer extends PullMessage {
  readonly container: string;
  /** The image that it waits for: its own, or that of a volume. */
  readonly image: string;
}

/** A pod as the API server sends it. */
export interface PodWithStatus extends Pod {
  readonly status?: unknown;
}

export interface StuckPod {
  /** Unix time in milliseconds; NaN if the pod does not say. */
  readonly createdAt: number;
  readonly isMirror: boolean;
  readonly isOptedOut: boolean;
  /** The names in its `imagePullSecrets`. */
  readonly pullSecretNames: readonly string[];
  /** Init containers first. Empty if the pod is not stuck, as far as its images go. */
  readonly waiting: readonly WaitingContainer[];
}

export interface StuckPodLimits {
  /** As many are kept of the containers that wait. */
  readonly maxContainers?: number;
  readonly maxPullSecrets?: number;
  /** What is longer is cut, and is an image reference no more. */
  readonly maxImageLength?: number;
  /** Makes equal strings one, where many pods are kept. */
  readonly pool?: (text: string) => string;
}

export function readStuckPod(pod: PodWithStatus, limits: StuckPodLimits = {}): StuckPod {
  const { maxContainers = Infinity, maxPullSecrets, maxImageLength, pool = (text: string) => text } = limits;
  const names = asArray(pod.spec["imagePullSecrets"]).flatMap((entry) => getString(entry, "name") ?? []);
  return {
    createdAt: Date.parse(getString(pod.metadata, "creationTimestamp") ?? ""),
    isMirror: annotationOf(pod, MIRROR_ANNOTATION) !== undefined,
    isOptedOut: labelOf(pod, INJECT_LABEL) === "disabled",
    pullSecretNames: names.slice(0, maxPullSecrets).map(pool),
    waiting: waitingIn(pod)
      .take(maxContainers)
      .map((entry) => ({
        failure: entry.failure,
        container: pool(entry.container),
        image: pool(entry.image.slice(0, maxImageLength)),
        text: pool(entry.text),
      }))
      .toArray(),
  };
}

const STATUS_LISTS = { initContainers: "initContainerStatuses", containers: "containerStatuses" } as const;
/** Images of volumes that a container's message is searched for, so that a pod of thousands of both costs milliseconds. */
const MAX_VOLUME_IMAGES = 100;

function* waitingIn(pod: PodWithStatus): Generator<WaitingContainer> {
  const { status } = pod;
  const volumes = volumeImages(pod);
  for (const list of ["initContainers", "containers"] as const) {
    const images = new Map(
      asArray(pod.spec[list]).map((entry) => [getString(entry, "name"), getString(entry, "image")] as const),
    );
    for (const entry of asArray(isObject(status) ? status[STATUS_LISTS[list]] : undefined)) {
      const state = isObject(entry) ? entry["state"] : undefined;
      const waiting = isObject(state) ? state["waiting"] : undefined;
      const message = getString(waiting, "message") ?? "";
      const read = readPullMessage(getString(waiting, "reason") ?? "", message);
      if (read === undefined) continue;
      const container = getString(entry, "name") ?? "";
      yield { container, image: failingImage(images.get(container) ?? "", message, volumes), ...read };
    }
  }
}

function volumeImages(pod: Pod): readonly string[] {
  const references = asArray(pod.spec["volumes"]).flatMap((volume) => {
    const source = isObject(volume) ? volume["image"] : undefined;
    return getString(source, "reference") ?? [];
  });
  return references.slice(0, MAX_VOLUME_IMAGES);
}

/** A container waits for the images of its volumes, too, and only the message says for which. */
function failingImage(own: string, message: string, volumes: readonly string[]): string {
  const named = [own, ...volumes].filter((image) => message.includes(image));
  // The longest, because one may be the beginning of another.
  return named.reduce((longest, image) => (image.length > longest.length ? image : longest), named[0] ?? own);
}

/** Kubelets that do not repeat the cause while they wait said it before: what is known of the same image stays. */
export function rememberCauses(pod: StuckPod, before: StuckPod): StuckPod {
  const waiting = pod.waiting.map((now) => {
    if (now.failure !== "no-cause") return now;
    return (
      before.waiting.find(({ container, image }) => container === now.container && image === now.image) ?? now
    );
  });
  return { ...pod, waiting };
}
