import { setTimeout } from "node:timers/promises";
import type { Post } from "./api-client.ts";
import { podWith } from "./pods.ts";

/** What became of one pod. */
export interface Creation {
  readonly startedAt: number;
  readonly endedAt: number;
  /** Of HTTP: 201 if the pod was created. */
  readonly status: number;
  readonly body: string;
}

export interface CreationOptions {
  readonly pod?: object;
  /** After each pod, before the next one of those that are created at a time. */
  readonly pauseMs?: number;
}

const AT_A_TIME = 8;

const POD = podWith("registry.example.com/team-a/app:v1", { generateName: "created-" });

/** Creates one pod after the other, several at a time, until it is told to stop. */
export function startCreatingPods(
  post: Post,
  namespace: string,
  { pod = POD, pauseMs = 0 }: CreationOptions = {},
): {
  /** How many were created so far, or refused. */
  count(): number;
  stop(): Promise<readonly Creation[]>;
} {
  const creations: Creation[] = [];
  let shouldStop = false;
  const createOneByOne = async () => {
    while (!shouldStop) {
      const startedAt = Date.now();
      const { status, body } = await post(`/api/v1/namespaces/${namespace}/pods`, pod);
      creations.push({ startedAt, endedAt: Date.now(), status, body });
      await setTimeout(pauseMs);
    }
  };
  const workers = Array.from({ length: AT_A_TIME }, createOneByOne);
  return {
    count: () => creations.length,
    async stop() {
      shouldStop = true;
      await Promise.all(workers);
      return creations;
    },
  };
}
