/** Aborts what takes too long or is no longer wanted. */

export interface Deadline {
  /** The whole time is left again. */
  readonly extend: () => void;
  /** There is no deadline from now on. */
  readonly lift: () => void;
}

export interface Deadlines {
  /**
   * Does `work` with a signal that aborts after `timeoutMs`, with `outer`, on `abortAll` and on `close`. `work` may move
   * its deadline.
   *
   * @throws what `work` throws; once the signal is aborted, its reason instead, which says why.
   */
  run<T>(work: (signal: AbortSignal, deadline: Deadline) => Promise<T>, outer?: AbortSignal): Promise<T>;
  /** Aborts what is in flight now. */
  abortAll(): void;
  /** And what starts later. */
  close(): void;
}

/** @param onTimeout called before a signal aborts because its time is over */
export function createDeadlines(timeoutMs: number, onTimeout: () => void): Deadlines {
  const inFlight = new Set<AbortController>();
  let isClosed = false;
  const abort = (control: AbortController): void => {
    control.abort(new Error("it was aborted"));
  };
  const abortAll = (): void => {
    for (const control of inFlight) abort(control);
  };
  return {
    async run(work, outer) {
      const control = new AbortController();
      const signal = outer === undefined ? control.signal : AbortSignal.any([control.signal, outer]);
      const timer = setTimeout(() => {
        onTimeout();
        control.abort(new Error(`no whole answer within ${(timeoutMs / 1000).toString()} s`));
      }, timeoutMs);
      inFlight.add(control);
      try {
        if (isClosed) abort(control);
        signal.throwIfAborted();
        return await work(signal, {
          extend() {
            timer.refresh();
          },
          lift() {
            clearTimeout(timer);
          },
        });
      } catch (error) {
        throw signal.aborted ? signal.reason : error;
      } finally {
        clearTimeout(timer);
        inFlight.delete(control);
      }
    },
    abortAll,
    close() {
      isClosed = true;
      abortAll();
    },
  };
}
