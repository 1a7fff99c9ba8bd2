/** A sleep that can be interrupted. */
export interface InterruptibleSleep {
  sleep(durationMs: number): Promise<void>;
  /** Ends the sleep; one that has not started yet ends as it starts. */
  interrupt(): void;
}

export function createInterruptibleSleep(): InterruptibleSleep {
  let isInterrupted = false;
  let wake: (() => void) | undefined;
  return {
    async sleep(durationMs) {
      if (!isInterrupted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, durationMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      isInterrupted = false;
    },
    interrupt() {
      isInterrupted = true;
      wake?.();
    },
  };
}
