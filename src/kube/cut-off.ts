/** Ends what takes too long, or is not wanted any more. */

export interface TimeLimit {
  /** The whole time is left again. */
  readonly extend: () => void;
  /** From now on there is no limit. */
  readonly lift: () => void;
}

export interface CutOff {
  /**
   * Does `work` with a signal that aborts after `timeoutMs`, with `outer`, `endAll` or `close`. `work` may move the time limit.
   *
   * @throws what `work` throws; once the signal is aborted, its reason instead, which says why.
   */
  run<T>(work: (signal: AbortSignal, limit: TimeLimit) => Promise<T>, outer?: AbortSignal): Promise<T>;
  /** Ends what is under way now. */
  endAll(): void;
  /** And what is begun later. */
  close(): void;
}

/** @param onTimeout called before the signal aborts because of the time */
export function createCutOff(timeoutMs: number, onTimeout: () => void): CutOff {
  const underWay = new Set<() => void>();
  let isClosed = false;
  const endAll = (): void => {
    for (const giveUp of underWay) giveUp();
  };
  return {
    async run(work, outer) {
      const control = new AbortController();
      const giveUp = (): void => {
        control.abort(new Error("it was given up"));
      };
      const timer = setTimeout(() => {
        onTimeout();
        control.abort(new Error(`no whole answer within ${(timeoutMs / 1000).toString()} s`));
      }, timeoutMs);
      const lift = (): void => {
        clearTimeout(timer);
      };
      const extend = (): void => {
        timer.refresh();
      };
      // Not AbortSignal.any: on Node 20 what it makes stays in memory for as long as the outer signal.
      outer?.addEventListener("abort", giveUp);
      underWay.add(giveUp);
      try {
        if (isClosed || outer?.aborted === true) giveUp();
        return await work(control.signal, { extend, lift });
      } catch (error) {
        throw control.signal.aborted ? control.signal.reason : error;
      } finally {
        lift();
        outer?.removeEventListener("abort", giveUp);
        underWay.delete(giveUp);
      }
    },
    endAll,
    close() {
      isClosed = true;
      endAll();
    },
  };
}
