/** Durations as Go writes them, and Kubernetes with it: `6h0m0s`, `1.5h`, `21.6µs`. */

const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  // U+00B5 and U+03BC, the micro sign and the Greek letter.
  "\u00b5s": 1e-3,
  "\u03bcs": 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g;
const DURATION = new RegExp(`^[-+]?(?:0|(?:${PART.source})+)$`);
/** 2^63 nanoseconds, some 292 years. */
const MAX_MS = 2 ** 63 / 1e6;

/** In milliseconds, with fractions; undefined if https://pkg.go.dev/time#ParseDuration would refuse it. */
export function parseGoDuration(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let sum = 0;
  for (const [, number = "", unit = ""] of text.matchAll(PART))
    sum += Number(number) * Number(UNITS_MS[unit]);
  if (sum >= MAX_MS) return undefined;
  return text.startsWith("-") ? -sum : sum;
}
