import { expect, it } from "vitest";
import { retryAfterMs } from "../../src/kube/transport.ts";

const NOW = Date.parse("Wed, 21 Oct 2015 07:28:00 GMT");

it.each([
  [429, "1", 1_000],
  [503, "8", 8_000],
  [429, "0", 0],
  [429, "86400", 60_000],
  [429, "Wed, 21 Oct 2015 07:28:05 GMT", 5_000],
  [429, "Wed, 21 Oct 2015 07:00:00 GMT", 0],
  [429, "soon", undefined],
  [429, undefined, undefined],
  [500, "1", undefined],
  [200, "1", undefined],
])("a %i with Retry-After %s asks for %s milliseconds", (status, header, expected) => {
  expect(retryAfterMs(status, header, NOW)).toBe(expected);
});
