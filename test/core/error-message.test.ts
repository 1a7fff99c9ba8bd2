import { expect, it } from "vitest";
import { messageOf } from "../../src/core/error-message.ts";

it("an error's message is its message, and whatever else is thrown says itself", () => {
  expect(messageOf(new RangeError("too large"))).toBe("too large");
  expect(messageOf("aborted")).toBe("aborted");
  expect(messageOf(undefined)).toBe("undefined");
});
