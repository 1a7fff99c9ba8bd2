/** Decodes the body of a list as it comes: only a chunk and an item are in memory at a time. */
import { isObject, type JsonObject } from "../core/kubernetes.ts";
import { parseJson } from "../core/parse-json.ts";

/** An object in etcd has at most 1.5 MiB by default, which base64 and JSON escapes make a few times larger. */
const MAX_ITEM_BYTES = 16 * 1024 * 1024;
/** Kind, version and `metadata` of a list: some hundred bytes, most of them the token for the next page. */
const MAX_ENVELOPE_BYTES = 64 * 1024;

/** What came is not a list that fits into memory. The message quotes nothing of it. */
export class ListFormatError extends Error {
  override readonly name = "ListFormatError";
}

/**
 * Hands on every object in `items` as soon as it is complete, and returns the text of the list without them. What is not a
 * list, such as the page of a proxy, is returned as it is.
 *
 * @throws ListFormatError, the error of `body`, and whatever `onItem` throws.
 */
export async function decodeList(
  body: AsyncIterable<Buffer>,
  onItem: (item: JsonObject) => void,
  maxItemBytes = MAX_ITEM_BYTES,
): Promise<string> {
  const scanner = new ListScanner(onItem, maxItemBytes);
  for await (const chunk of body) scanner.scan(chunk);
  return scanner.envelope();
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Looks at brackets and quotes only, all of them ASCII, which no byte of a longer character of UTF-8 is; JSON.parse judges the
 * rest. Strings are searched for their end by `indexOf`: 8 MB of copies take 88 ms so, and 137 ms byte by byte.
 */
class ListScanner {
  readonly #onItem: (item: JsonObject) => void;
  readonly #envelope = collect("the list without its items", MAX_ENVELOPE_BYTES);
  readonly #item: Collector;
  #depth = 0;
  #isInString = false;
  /** The next byte of a string is what a backslash before it escapes. */
  #isEscaped = false;
  #isInItems = false;

  constructor(onItem: (item: JsonObject) => void, maxItemBytes: number) {
    this.#onItem = onItem;
    this.#item = collect("an item of the list", maxItemBytes);
  }

  scan(chunk: Buffer): void {
    /** Where the part of the chunk begins that was not collected yet. */
    let start = 0;
    let index = 0;
    while (index < chunk.length) {
      if (this.#isInString) {
        index = this.#skipString(chunk, index);
        continue;
      }
      const byte = chunk[index];
      index++;
      if (byte === QUOTE) this.#isInString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) start = this.#open(chunk, start, index);
      else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) start = this.#close(chunk, start, index);
    }
    if (!this.#isInItems) this.#envelope.add(chunk.subarray(start));
    else if (this.#depth > 2) this.#item.add(chunk.subarray(start));
  }

  envelope(): string {
    return this.#envelope.text();
  }

  /** Where the string goes on after its end; the length of the chunk if that is in another one. */
  #skipString(chunk: Buffer, start: number): number {
    let from = this.#isEscaped ? start + 1 : start;
    for (;;) {
      const found = chunk.indexOf(QUOTE, from);
      const end = found < 0 ? chunk.length : found;
      let backslashes = 0;
      while (end - backslashes > from && chunk[end - backslashes - 1] === BACKSLASH) backslashes++;
      this.#isEscaped = backslashes % 2 === 1;
      if (found < 0) return chunk.length;
      from = found + 1;
      if (this.#isEscaped) continue;
      this.#isInString = false;
      return from;
    }
  }

  /** After a bracket that ends at `end`. Returns the new `start`. */
  #open(chunk: Buffer, start: number, end: number): number {
    this.#depth++;
    if (this.#isInItems && this.#depth === 3) return end - 1;
    if (this.#depth !== 2 || chunk[end - 1] !== OPEN_BRACKET) return start;
    this.#envelope.add(chunk.subarray(start, end));
    this.#isInItems = /"items"\s*:\s*\[$/.test(this.#envelope.text());
    return end;
  }

  /** After a bracket that ends at `end`. Returns the new `start`. */
  #close(chunk: Buffer, start: number, end: number): number {
    this.#depth--;
    if (this.#isInItems && this.#depth === 2) {
      this.#item.add(chunk.subarray(start, end));
      this.#onItem(parseItem(this.#item.take()));
    }
    if (!this.#isInItems || this.#depth !== 1) return start;
    this.#isInItems = false;
    return end - 1;
  }
}

/** Parts of a text as they come. */
interface Collector {
  readonly add: (part: Buffer) => void;
  readonly text: () => string;
  /** The text, which then is forgotten. */
  readonly take: () => string;
}

function collect(what: string, maxBytes: number): Collector {
  let parts: Buffer[] = [];
  let length = 0;
  const text = (): string => {
    const [first] = parts;
    return (parts.length === 1 && first !== undefined ? first : Buffer.concat(parts, length)).toString(
      "utf8",
    );
  };
  return {
    add(part) {
      length += part.length;
      if (length > maxBytes) throw new ListFormatError(`${what} is longer than ${String(maxBytes)} bytes`);
      parts.push(part);
    },
    text,
    take() {
      const taken = text();
      parts = [];
      length = 0;
      return taken;
    },
  };
}

function parseItem(text: string): JsonObject {
  const item = parseJson(text);
  if (!isObject(item)) throw new ListFormatError("an item of the list is not a JSON object");
  return item;
}
