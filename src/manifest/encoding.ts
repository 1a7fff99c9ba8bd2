/** Reads the bytes of manifests as text and writes them back; what is not changed in the text comes out byte for byte. */
import { isUtf8 } from "node:buffer";

/** Those that kubectl reads: UTF-16 by its byte order mark, and UTF-8. */
export type Encoding = "utf-8" | "utf-16le" | "utf-16be";

export interface DecodedText {
  /** A byte order mark is kept. */
  readonly text: string;
  readonly encoding: Encoding;
}

/** Thrown for UTF-16 that ends within a character. */
export class IncompleteUtf16Error extends Error {
  override readonly name = "IncompleteUtf16Error";

  constructor() {
    super("UTF-16 with an odd number of bytes");
  }
}

/** @throws IncompleteUtf16Error */
export function decodeManifests(bytes: Buffer): DecodedText {
  const mark = bytes.subarray(0, 2).toString("hex");
  if (mark !== "fffe" && mark !== "feff") return { text: decodeUtf8(bytes), encoding: "utf-8" };
  if (bytes.length % 2 === 1) throw new IncompleteUtf16Error();
  if (mark === "fffe") return { text: bytes.toString("utf16le"), encoding: "utf-16le" };
  return { text: Buffer.from(bytes).swap16().toString("utf16le"), encoding: "utf-16be" };
}

export function encodeManifests(text: string, encoding: Encoding): Buffer {
  if (encoding === "utf-8") return encodeUtf8(text);
  const bytes = Buffer.from(text, "utf16le");
  return encoding === "utf-16le" ? bytes : bytes.swap16();
}

/*
 * kubectl reads bytes that are not UTF-8 (Latin-1 in a comment, say) as U+FFFD. Here each stands for itself, as a lone
 * surrogate that no text in UTF-8 can hold: byte 0xe9 is U+DCE9.
 */
const FIRST_ESCAPE = 0xdc00;
const ESCAPED = /(?<![\ud800-\udbff])[\udc80-\udcff]/;
const LINE_FEED = 0x0a;

function decodeUtf8(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  const lines: string[] = [];
  for (let start = 0; start < bytes.length;) {
    const lineFeed = bytes.indexOf(LINE_FEED, start);
    const end = lineFeed < 0 ? bytes.length : lineFeed + 1;
    const line = bytes.subarray(start, end);
    lines.push(isUtf8(line) ? line.toString("utf8") : escapeBytes(line));
    start = end;
  }
  return lines.join("");
}

function escapeBytes(line: Buffer): string {
  const codeUnits = Uint16Array.from(line, (byte) => (byte < 0x80 ? byte : FIRST_ESCAPE + byte));
  return Buffer.from(codeUnits.buffer).toString("utf16le");
}

function encodeUtf8(text: string): Buffer {
  if (!ESCAPED.test(text)) return Buffer.from(text, "utf8");
  return Buffer.concat(
    text
      .split(/((?<![\ud800-\udbff])[\udc80-\udcff]+)/)
      .map((piece, index) => (index % 2 === 0 ? Buffer.from(piece, "utf8") : unescapeBytes(piece))),
  );
}

function unescapeBytes(escaped: string): Buffer {
  return Buffer.from(Buffer.from(escaped, "utf16le").filter((_byte, index) => index % 2 === 0));
}
