/** A body that comes in several parts: what it takes up, what it would cost to parse, and when it is too much. */
import type { IncomingMessage } from "node:http";
import { freePart, HttpError } from "./respond.ts";

/**
 * What a client may send the API server, and twice of what etcd takes for one object (1.5 MiB of protobuf by default),
 * because JSON writes out the names of fields. A pod that the API server would admit is only longer if it holds several
 * 100,000 characters such as `<`, for each of which Go writes six.
 */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** Nearly every review is shorter than this, and then nobody asks what it costs to parse: at most 3 MiB, if it is `[{},{},...]`. */
export const SMALL_BODY_BYTES = 64 * 1024;

/**
 * Bytes of memory for a byte of a body: the part that came in, the parts put together, the string, the string without what
 * nobody reads, and the strings parsed from it, which have two bytes a character where one is beyond Latin-1.
 */
const BYTE_COST = 8;

/**
 * Bytes of memory, at the most, that V8 needs for the value that such a character begins or adds to. Measured with Node 26:
 * 135 for each `{},`, 458 for each `{"34":0},` (35 elements), 112 for each `[` within another one, 250 for each object with
 * a key of its own, 60 for each short string.
 */
const STRUCTURE_COST = new Uint16Array(256);
for (const [character, cost] of [
  ["{", 320],
  ["[", 112],
  [":", 100],
  [",", 48],
] as const) {
  STRUCTURE_COST[character.charCodeAt(0)] = cost;
}

/** The most that one review may cost, which is what MAX_BODY_BYTES of mere text do; of a pod's usual JSON, at 22 a byte, it is 1.1 MiB. */
export const MAX_COST = BYTE_COST * MAX_BODY_BYTES;

/** The Buffer that holds a part, which is what counts if somebody sends a byte at a time. */
const PART_COST = 512;

export interface BodyReceiver {
  /** Gets the body as text. */
  onBody(body: string): void;
  /**
   * Gets 413 if the body is too large, or 503 if others need the memory, and what came first of it, up to
   * SMALL_BODY_BYTES. What is still to come of it is passed over.
   */
  onRefused(error: HttpError, head: string): void;
}

/** Runs `job`, which needs `cost` bytes of memory, once no other large body is being parsed. */
export type TakeTurn = (cost: number, job: () => void) => void;

/** What all bodies share. */
export interface SharedMemory {
  readonly budget: BodyBudget;
  readonly takeTurn: TakeTurn;
}

export class PartialBody {
  readonly #declaredLength: number;
  readonly #receiver: BodyReceiver;
  readonly #shared: SharedMemory;
  #parts: Buffer[] = [];
  #length = 0;
  #structureCost = 0;
  /** Handed on, refused, or broken off. */
  #isOver = false;

  constructor(
    request: IncomingMessage,
    declaredLength: number,
    receiver: BodyReceiver,
    shared: SharedMemory,
  ) {
    this.#declaredLength = declaredLength;
    this.#receiver = receiver;
    this.#shared = shared;
    request.once("close", () => {
      if (!request.complete && !this.#isOver) this.#takeText(0);
    });
  }

  add(part: Buffer): void {
    if (this.#isOver) return;
    this.#parts.push(part);
    const lengthBefore = this.#length;
    this.#length += part.length;
    if (this.#length > SMALL_BODY_BYTES) {
      const isFirstLook = lengthBefore <= SMALL_BODY_BYTES;
      for (const added of isFirstLook ? this.#parts : [part]) this.#structureCost += structureCost(added);
      if (this.#cost() > MAX_COST) {
        this.#refuse(new HttpError(413, "the body is too large to be read, or has too many members"));
        return;
      }
    }
    this.#shared.budget.hold(this, part.length + PART_COST);
  }

  end(): void {
    if (this.#length <= SMALL_BODY_BYTES) this.#handOn();
    else
      this.#shared.takeTurn(this.#cost(), () => {
        this.#handOn();
      });
  }

  giveUp(): void {
    this.#refuse(new HttpError(503, "there are too many large requests at once"));
  }

  #cost(): number {
    return BYTE_COST * Math.max(this.#length, this.#declaredLength) + this.#structureCost;
  }

  #handOn(): void {
    if (!this.#isOver) this.#receiver.onBody(this.#takeText(this.#length));
  }

  #refuse(error: HttpError): void {
    this.#receiver.onRefused(error, this.#takeText(Math.min(this.#length, SMALL_BODY_BYTES)));
  }

  /** Ends it, and gives its memory back at once. */
  #takeText(length: number): string {
    this.#isOver = true;
    this.#shared.budget.release(this);
    const bytes = Buffer.concat(this.#parts, length);
    this.#parts.forEach(freePart);
    this.#parts = [];
    const text = bytes.toString("utf8");
    freePart(bytes);
    return text;
  }
}

function structureCost(part: Buffer): number {
  let cost = 0;
  for (const byte of part) cost += STRUCTURE_COST[byte] ?? 0;
  return cost;
}

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
