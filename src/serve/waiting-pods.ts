/** The pods that wait for an image, and what is known of each. */
import type { Logger } from "pino";
import { rememberCauses, type StuckPod } from "../core/stuck-pod.ts";
import type { VerdictCode } from "../core/verdicts.ts";
import type { PendingPod } from "../kube/resources/pending-pods.ts";

export interface WaitingPod {
  readonly namespace: string;
  readonly name: string;
  readonly since: number;
  readonly pod: PendingPod;
  readonly stuck: StuckPod;
  /** Undefined until it has waited for long enough, and where its namespace did not opt in. */
  verdict: VerdictCode | undefined;
  isDue: boolean;
  /** There was no room for its warning. */
  isUnreported: boolean;
  readonly characters: number;
}

/**
 * Of what all of them say: room for 10,000 pods with the longest image and message, however many a tenant creates. Replicas
 * share most of it.
 */
const MAX_CHARACTERS = 16 * 1024 * 1024;

/** As many as there is room for. */
export class WaitingPods {
  readonly #logger: Pick<Logger, "warn">;
  readonly #byName = new Map<string, WaitingPod>();
  #characters = 0;
  #isFull = false;

  constructor(logger: Pick<Logger, "warn">) {
    this.#logger = logger;
  }

  values(): Iterable<WaitingPod> {
    return this.#byName.values();
  }

  put(namespace: string, name: string, pod: PendingPod | undefined): void {
    const key = `${namespace}/${name}`;
    const before = this.#byName.get(key);
    this.#characters -= before?.characters ?? 0;
    if (pod?.stuck === undefined) {
      this.#byName.delete(key);
      return;
    }
    const isSame = before?.pod.uid === pod.uid;
    const stuck = isSame ? rememberCauses(pod.stuck, before.stuck) : pod.stuck;
    const characters = charactersIn(stuck);
    if (this.#characters + characters > MAX_CHARACTERS) {
      this.#byName.delete(key);
      pod.stuck = undefined;
      this.#warnOnce();
      return;
    }
    this.#characters += characters;
    if (this.#characters < MAX_CHARACTERS / 2) this.#isFull = false;
    const { since, verdict, isUnreported } = isSame
      ? before
      : { since: Date.now(), verdict: undefined, isUnreported: false };
    const state = { since, verdict, isDue: true, isUnreported };
    this.#byName.set(key, { namespace, name, pod, stuck, characters, ...state });
  }

  clear(): void {
    this.#byName.clear();
    this.#characters = 0;
    this.#isFull = false;
  }

  #warnOnce(): void {
    const pods = this.#byName.size;
    if (!this.#isFull) this.#logger.warn({ pods }, "too many stuck pods; the rest are not counted");
    this.#isFull = true;
  }
}

function charactersIn({ pullSecretNames, waiting }: StuckPod): number {
  const strings = [
    ...pullSecretNames,
    ...waiting.flatMap(({ container, image, text }) => [container, image, text]),
  ];
  return strings.reduce((sum, { length }) => sum + length, 0);
}
