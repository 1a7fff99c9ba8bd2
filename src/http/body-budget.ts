/** Bounds the memory that bodies take up while the rest of them is on its way, over all connections. */

/** A body that has come in part. */
export interface WaitingBody {
  /** Its part is no longer wanted: somebody else needs the room. */
  giveUp(): void;
}

export interface BodyBudget {
  /** Counts what another part of `body` takes up. Bodies that began earlier give way, the earliest first. */
  hold(body: WaitingBody, bytes: number): void;
  /** `body` takes up nothing any more. */
  release(body: WaitingBody): void;
}

/**
 * Who began first gives way, not who comes last: an API server sends even its largest review within milliseconds, so that
 * what has waited longest is a slow sender's. None is turned away because others fill the budget and then say nothing.
 */
export function bodyBudget(limitBytes: number): BodyBudget {
  // In the order in which they began.
  const held = new Map<WaitingBody, number>();
  let total = 0;
  const release = (body: WaitingBody): void => {
    total -= held.get(body) ?? 0;
    held.delete(body);
  };
  return {
    hold(body, bytes) {
      held.set(body, (held.get(body) ?? 0) + bytes);
      total += bytes;
      for (const [earliest] of held) {
        if (total <= limitBytes) break;
        release(earliest);
        earliest.giveUp();
      }
    },
    release,
  };
}
