/** Undoes, in reverse order, what was done to start something. */
export class Teardown {
  readonly #steps: (() => Promise<void> | void)[] = [];

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** Runs every step even when one fails, because a step that is left out leaves something behind on the machine. */
  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error: unknown) {
        failures.push(error);
      }
    }
    if (failures.length > 0)
      throw new AggregateError(failures, `${String(failures.length)} steps of a stop failed`);
  }
}

/** Runs `start`; when it fails, what it had started so far is stopped before the error goes on. */
export async function startOrUndo<T>(start: (teardown: Teardown) => Promise<T>): Promise<T> {
  const teardown = new Teardown();
  try {
    return await start(teardown);
  } catch (error: unknown) {
    await teardown.run();
    throw error;
  }
}
