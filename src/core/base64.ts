/** Base64 of texts, with what browsers and Node have in common. */

/** Standard base64 with padding of the text's UTF-8; U+FFFD stands for half of a surrogate pair. */
export function encodeBase64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

const PADDED = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const UNPADDED = /^[A-Za-z0-9+/]*$/;

/** Go's base64: line breaks are passed over, padding is all there or not there at all. Undefined if it is none. */
export function decodeBase64(base64: string): Uint8Array | undefined {
  const digits = base64.replace(/[\r\n]/g, "");
  const isPadded = base64.trim().endsWith("=");
  const isValid = isPadded ? PADDED.test(digits) : UNPADDED.test(digits) && digits.length % 4 !== 1;
  return isValid ? Uint8Array.from(atob(digits), (character) => character.charCodeAt(0)) : undefined;
}
