/** The signal that ends `serve`, at whatever step it is. */

/** Thrown out of a step that a signal cut short. */
export class StoppedError extends Error {
  override readonly name = "StoppedError";
}

export interface StopSignal {
  /** Resolves with the first SIGTERM or SIGINT. A second one ends the process at once, by the system's default. */
  readonly received: Promise<NodeJS.Signals>;
  /** Aborts with it. */
  readonly aborted: AbortSignal;
  /** What the step returns. @throws StoppedError as soon as there is a signal; the step may go on unobserved. */
  unlessStopped<T>(step: Promise<T>): Promise<T>;
}

export function listenForStop(): StopSignal {
  const control = new AbortController();
  const received = Promise.withResolvers<NodeJS.Signals>();
  const onSignal = (signal: NodeJS.Signals): void => {
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
    received.resolve(signal);
    control.abort();
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  const stopped = received.promise.then((signal) => {
    throw new StoppedError(`stopped by ${signal}`);
  });
  // Nobody may be at a step when it comes.
  stopped.catch(() => undefined);
  return {
    received: received.promise,
    aborted: control.signal,
    // The first wins if both are settled: no step is worth more than the signal.
    unlessStopped: (step) => Promise.race([stopped, step]),
  };
}
