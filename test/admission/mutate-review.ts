/** Breaks reviews in the ways that clients, proxies and attackers do. Everything follows from the seed. */

/** A source of numbers from 0 to below 1 (Mulberry32). */
export type Random = () => number;

export function randomFrom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)] as T;
}

const STRANGE_TEXTS = [
  "",
  "*",
  "*,*,hub",
  "disabled",
  "CREATE",
  "Pod",
  "nginx",
  "Bad/Image:",
  "127.0.0.1:5000/private/app",
  "registry.example.com/team-a/app@sha256:0",
  "gcr.io/kaniko-project/executor:slim",
  "docker:cli",
  "/kaniko/.docker",
  "\u0000\u001b[31m\r\n\u2028",
  "\ud800",
  "👩‍👩‍👧",
  "../../etc",
  "x".repeat(5_000),
];

const STRANGE_KEYS = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "a/b~c",
  "",
  "imagePullSecrets",
  "annotations",
  "volumes",
  "volumeMounts",
  "env",
  "pullpass.dev/build-containers",
  "pullpass.dev/docker-config-path",
  "pullpass.dev/registries",
  "pullpass.dev/injected",
  "kubernetes.io/config.mirror",
];

/** Written as they stand: numbers past 2^53 and beyond the range do not survive `JSON.stringify`. */
const STRANGE_LITERALS = [
  "null",
  "true",
  "0",
  "-1",
  "1e999",
  "9007199254740993",
  "123456789012345678901234567890",
  "[]",
  "{}",
  "[[]]",
  '{"__proto__":{"name":"x"}}',
  '{"":""}',
  "[".repeat(2_000) + "]".repeat(2_000),
  '{"a":'.repeat(500) + "1" + "}".repeat(500),
];

/** Stands for a literal until the text is written. */
const PLACEHOLDER = "literal placeholder";

export function mutateReview(body: string, random: Random): string {
  if (random() < 0.05) return truncated(body, random);
  if (random() < 0.05) return withOtherBytes(body, random);
  const review: unknown = JSON.parse(body);
  const changes = 1 + Math.floor(random() * 4);
  for (let change = 0; change < changes; change++) mutateNode(review, random);
  return JSON.stringify(review).replaceAll(JSON.stringify(PLACEHOLDER), () => pick(random, STRANGE_LITERALS));
}

function truncated(body: string, random: Random): string {
  return body.slice(0, Math.floor(random() * body.length));
}

function withOtherBytes(body: string, random: Random): string {
  const at = Math.floor(random() * body.length);
  return (
    body.slice(0, at) + pick(random, ['"', "{", "}", ",", "\\", "\u0000", "\ufeff", "1"]) + body.slice(at + 1)
  );
}

/** Changes one member somewhere below; deeper ones are as likely as those at the top. */
function mutateNode(root: unknown, random: Random): void {
  const places: (readonly [container: Record<string, unknown>, key: string])[] = [];
  collect(root, places);
  if (places.length === 0) return;
  const [container, key] = pick(random, places);
  const value = container[key];
  const action = Math.floor(random() * 7);
  if (action === 0) Reflect.deleteProperty(container, key);
  else if (action === 1) container[key] = PLACEHOLDER;
  else if (action === 2) container[key] = pick(random, STRANGE_TEXTS);
  else if (action === 3) define(container, pick(random, STRANGE_KEYS), value);
  else if (action === 4) container[key] = typeof value === "string" ? { text: value } : JSON.stringify(value);
  else if (action === 5) container[key] = Array.from({ length: Math.floor(random() * 40) }, () => value);
  else if (typeof value === "string") container[key] = value + pick(random, STRANGE_TEXTS);
  else container[key] = [value];
}

/** `__proto__` as a member of its own, as JSON.parse makes it. */
function define(container: object, key: string, value: unknown): void {
  Object.defineProperty(container, key, { value, enumerable: true, configurable: true, writable: true });
}

function collect(node: unknown, places: (readonly [Record<string, unknown>, string])[]): void {
  if (typeof node !== "object" || node === null) return;
  for (const [key, child] of Object.entries(node)) {
    places.push([node as Record<string, unknown>, key]);
    collect(child, places);
  }
}
