/** Reads a request's body as a whole, as long as there is memory for it. */
import type { IncomingMessage } from "node:http";
import { bodyBudget, type BodyReceiver, MAX_COST, PartialBody, type TakeTurn } from "./partial-body.ts";

/**
 * For all bodies that have come in part or wait for their turn: more than two of the largest. Ordinary reviews come at once,
 * and need none of it.
 */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;

export type ReadBody = (request: IncomingMessage, receiver: BodyReceiver) => void;

/**
 * A reader with one budget for all bodies that it reads. One that breaks off is not handed to its receiver: nobody is left
 * to answer to. Callbacks, because this is done for every review and a promise costs as much as the decision.
 */
export function bodyReader(maxWaitingBytes: number = MAX_WAITING_BYTES): ReadBody {
  const budget = bodyBudget(maxWaitingBytes);
  const takeTurn = turns();
  return (request, receiver) => {
    const declaredLength = Number(request.headers["content-length"] ?? 0);
    let whole: Buffer | undefined;
    let partial: PartialBody | undefined;
    request.on("data", (part: Buffer) => {
      if (partial === undefined && part.length === declaredLength) {
        whole = part;
        return;
      }
      partial ??= new PartialBody(request, declaredLength, receiver, { budget, takeTurn });
      partial.add(part);
    });
    request.on("end", () => {
      if (partial === undefined) receiver.onBody(whole?.toString("utf8") ?? "");
      else partial.end();
    });
  };
}

/**
 * Runs one job between two looks at the connections, so that small reviews do not wait for several large ones. What they
 * leave is collected before it and the next one are more than the largest alone: V8 by itself lets it grow to 60 MiB and more.
 * `collect` is the `gc` of `serve/heap.ts`.
 */
export function turns(
  collect: () => void = () => globalThis.gc?.({ type: "major", execution: "sync" }),
): TakeTurn {
  const jobs: { readonly cost: number; readonly run: () => void }[] = [];
  let isScheduled = false;
  let uncollected = 0;
  const schedule = (): void => {
    isScheduled = jobs.length > 0;
    if (isScheduled) setImmediate(runOne);
  };
  const runOne = (): void => {
    const job = jobs.shift();
    schedule();
    if (job === undefined) return;
    uncollected += job.cost;
    if (uncollected > MAX_COST) {
      collect();
      uncollected = job.cost;
    }
    job.run();
  };
  return (cost, run) => {
    jobs.push({ cost, run });
    if (!isScheduled) schedule();
  };
}
