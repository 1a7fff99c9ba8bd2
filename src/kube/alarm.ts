/** A pause that can be cut short. */

export interface Alarm {
  sleep(durationMs: number): Promise<void>;
  /** Ends the pause; one that has not begun yet ends as it begins. */
  ring(): void;
}

export function createAlarm(): Alarm {
  let hasRung = false;
  let wake: (() => void) | undefined;
  return {
    async sleep(durationMs) {
      if (!hasRung) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, durationMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      hasRung = false;
    },
    ring() {
      hasRung = true;
      wake?.();
    },
  };
}
