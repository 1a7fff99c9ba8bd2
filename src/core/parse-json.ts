/** Undefined if the text is not JSON. The parser's own error is dropped: its message quotes the text, which may hold a password. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
