import fc from "fast-check";
import { expect, it } from "vitest";
import { parseGoDuration } from "../../src/core/go-duration.ts";

/** Of time.ParseDuration's own table (time_test.go), and what plugins of vendors said. */
const VALID: readonly (readonly [text: string, ms: number])[] = [
  ["0", 0],
  ["+0", 0],
  ["-0", 0],
  ["0s", 0],
  ["5s", 5_000],
  ["1478s", 1_478_000],
  ["-5s", -5_000],
  ["5.0s", 5_000],
  ["5.s", 5_000],
  [".5s", 500],
  ["1.004s", 1_004],
  ["100.00100s", 100_001],
  ["10ns", 1e-5],
  ["11us", 0.011],
  ["12µs", 0.012],
  ["12μs", 0.012],
  ["13ms", 13],
  ["3h30m", 12_600_000],
  ["-1.5h", -5_400_000],
  ["6h0m0s", 21_600_000],
  ["720h", 2_592_000_000],
  ["21.6µs", 0.0216],
  ["39h9m14.425s", 140_954_425],
  ["9223372036s", 9_223_372_036_000],
];

it.each(VALID)("reads %s", (text, ms) => {
  expect(parseGoDuration(text)).toBeCloseTo(ms, 6);
});

it.each([
  "",
  "3",
  "-",
  "s",
  ".",
  "-.",
  ".s",
  "+.s",
  "1d",
  "5mms",
  "1 s",
  " 1s",
  "1s\n",
  "1e3s",
  "10H",
  "9223372037s",
  "3000000h",
  "１s",
])("refuses %j, as Go does", (text) => {
  expect(parseGoDuration(text)).toBeUndefined();
});

it("adds up what Go writes", () => {
  const part = (max: number) => fc.integer({ min: 0, max });
  fc.assert(
    fc.property(part(1_000), part(59), part(59), (hours, minutes, seconds) => {
      const text = `${hours.toString()}h${minutes.toString()}m${seconds.toString()}s`;
      expect(parseGoDuration(text)).toBe(((hours * 60 + minutes) * 60 + seconds) * 1_000);
    }),
  );
});
