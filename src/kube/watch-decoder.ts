/** Decodes the body of a watch: one JSON object a line. */
import type { Readable } from "node:stream";
import { getString, isObject, type JsonObject } from "../core/kubernetes.ts";
import { parseJson } from "../core/parse-json.ts";

/** An object in etcd has at most 1.5 MiB, which JSON escapes make some times larger. */
const MAX_LINE_LENGTH = 16 * 1024 * 1024;

/** An event of a watch. */
export interface WatchEvent {
  /** ADDED, MODIFIED, DELETED, BOOKMARK or ERROR. */
  readonly type: string;
  readonly object: JsonObject;
}

/** What came is not a watch. The message quotes nothing of it. */
export class WatchFormatError extends Error {
  override readonly name = "WatchFormatError";
}

/**
 * Hands on every event as soon as its line is complete, and keeps no more than one line. What follows the last line
 * break is not an event: the stream was cut there.
 *
 * @throws WatchFormatError, the stream's error, and whatever `onEvent` throws.
 */
export async function decodeWatch(
  stream: Readable,
  onEvent: (event: WatchEvent) => void,
  maxLineLength = MAX_LINE_LENGTH,
): Promise<void> {
  stream.setEncoding("utf8");
  let parts: string[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<string>) {
    let start = 0;
    for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", start)) {
      parts.push(chunk.slice(start, end));
      const line = parts.join("");
      parts = [];
      length = 0;
      start = end + 1;
      if (line.trim() !== "") onEvent(parseEvent(line));
    }
    if (start === chunk.length) continue;
    parts.push(chunk.slice(start));
    length += chunk.length - start;
    if (length > maxLineLength) {
      throw new WatchFormatError(`a line of a watch is longer than ${maxLineLength.toString()} characters`);
    }
  }
}

function parseEvent(line: string): WatchEvent {
  const event = parseJson(line);
  const type = getString(event, "type");
  if (!isObject(event) || type === undefined || !isObject(event["object"])) {
    throw new WatchFormatError("a line of a watch is not an event");
  }
  return { type, object: event["object"] };
}
