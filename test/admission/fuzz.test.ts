import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import jsonpatch, { type Operation } from "fast-json-patch";
import { expect, it } from "vitest";
import { reviewHandler } from "../../src/admission/handler.ts";
import {
  decodeReview,
  encodeAnswer,
  withoutManagedFields,
  NotAnAdmissionReviewError,
} from "../../src/admission/review.ts";
import { indexOf, makeRegistry } from "../core/make-registry.ts";
import { mutateReview, pick, randomFrom } from "./mutate-review.ts";
import { readReview, reviewNames } from "./read-review.ts";

const REVIEWS = 100_000;
/** After a collection the heap is what is remembered of images and patches, and the tenth part of the run fills that. */
const MAX_HEAP_GROWTH_BYTES = 8 * 1024 * 1024;
/**
 * The engine gives pages back when it likes: runs went up and down by 55 MiB, and one, whose cores were busy, ended with 297,
 * which is why it is asked again. A leak of 1 KiB a review is seen.
 */
const MAX_RESIDENT_GROWTH_BYTES = 0.9 * REVIEWS * 1024;

const REGISTRIES = indexOf(
  makeRegistry("local", "127.0.0.1:5000/private"),
  makeRegistry("hub", "docker.io"),
  makeRegistry("team-a", "registry.example.com/team-a", { namespaces: { matchLabels: { team: "a" } } }),
);
const OUR_SECRETS = new Set(
  REGISTRIES.registries.map(({ secretName }) => JSON.stringify({ name: secretName })),
);
/** Of most recorded pods. */
const APP_IMAGE = "127.0.0.1:5000/private/app:1";
const BUILDER_IMAGES = ["gcr.io/kaniko-project/executor:slim", "docker:cli", "quay.io/skopeo/stable"];

const SECRET_PATHS = /^\/spec\/imagePullSecrets(?:\/-)?$/;
const OUR_PATHS =
  /^\/spec\/(?:imagePullSecrets|volumes|(?:initC|c)ontainers\/\d+\/(?:env|volumeMounts))(?:\/-)?$|^\/metadata\/annotations(?:\/pullpass\.dev~1injected)?$/;
const handle = reviewHandler({
  registries: () => REGISTRIES,
  namespace: (name) => ({
    isOptedIn: name !== "",
    labels: name.length % 2 === 0 ? { team: "a" } : "unknown",
  }),
  buildSecret: () => undefined,
  serviceAccount: () => undefined,
});

/** What an API server takes of an answer; `allowed` is ours, because nothing may keep a pod out. */
interface Answer {
  readonly apiVersion: string;
  readonly kind: string;
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly patchType?: string;
    readonly patch?: string;
    readonly warnings?: readonly string[];
  };
}

/** Undefined if nothing can be answered. Whatever else is thrown fails the test. */
function answerTo(body: string): string | undefined {
  try {
    const review = decodeReview(body);
    return encodeAnswer(review, handle(review).answer);
  } catch (error) {
    if (error instanceof NotAnAdmissionReviewError) return undefined;
    throw error;
  }
}

/** What is wrong with an answer; undefined if nothing is. */
function faultOf(body: string, text: string): string | undefined {
  const { request } = parse(body) as { request: { uid: string; object: unknown } };
  const { kind, response } = JSON.parse(text) as Answer;
  const { uid, allowed, patch, patchType, warnings = [] } = response;
  if (kind !== "AdmissionReview" || uid !== request.uid || !allowed) return "envelope";
  if ((patch === undefined) !== (patchType === undefined)) return "patch without type, or type without patch";
  if (warnings.some((warning) => warning.length > 120 || /\p{Cc}/u.test(warning))) return "warning";
  if (patch === undefined) return undefined;
  if (patchType !== "JSONPatch" || Buffer.from(patch, "base64").toString("base64") !== patch) return "base64";
  const operations = JSON.parse(Buffer.from(patch, "base64").toString("utf8")) as Operation[];
  if (operations.some(({ op, path }) => op !== "add" || !OUR_PATHS.test(path)))
    return "another change than ours";
  const { newDocument } = jsonpatch.applyPatch(request.object, operations, true, true);
  const { spec } = newDocument as {
    spec: { imagePullSecrets: readonly unknown[]; volumes: readonly unknown[] };
  };
  if (operations.some(({ path }) => SECRET_PATHS.test(path))) {
    return OUR_SECRETS.has(JSON.stringify(spec.imagePullSecrets.at(-1))) ? undefined : "no secret was added";
  }
  return JSON.stringify(spec.volumes).includes("pullpass") ? undefined : "nothing was added";
}

/** What is broken in the managed fields alone is not seen. */
function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    const shorter = withoutManagedFields(body);
    if (shorter === undefined) throw error;
    return JSON.parse(shorter);
  }
}

function hasBuilds(text: string): boolean {
  const { patch = "" } = (JSON.parse(text) as Answer).response;
  return Buffer.from(patch, "base64").includes("pullpass-build");
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

function memoryInUse(): NodeJS.MemoryUsage {
  collectGarbage();
  return process.memoryUsage();
}

it(`answers ${REVIEWS.toString()} broken reviews, each as an API server wants it, in memory that does not grow`, async () => {
  const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 31);
  const random = randomFrom(seed);
  const recorded = reviewNames().map(readReview);
  // The same pods, as if they built images.
  const bodies = [
    ...recorded,
    ...recorded.map((body) => body.replaceAll(APP_IMAGE, pick(random, BUILDER_IMAGES))),
  ];
  const counts = { answered: 0, refused: 0, patched: 0, builds: 0 };
  let before = memoryInUse();
  for (let number = 0; number < REVIEWS; number++) {
    // Between collections the engine lets the heap grow as it likes, more so on newer versions.
    if (number % (REVIEWS / 10) === 0) {
      const now = memoryInUse();
      if (number === REVIEWS / 10) before = now;
    }
    const body = mutateReview(pick(random, bodies), random);
    const answer = answerTo(body);
    if (answer === undefined) {
      counts.refused++;
      continue;
    }
    counts.answered++;
    if (answer.includes('"patch"')) counts.patched++;
    if (hasBuilds(answer)) counts.builds++;
    const fault = faultOf(body, answer);
    if (fault !== undefined)
      expect.fail(`seed ${seed.toString()}, review ${number.toString()}: ${fault}: ${answer}`);
  }
  const heapGrowth = memoryInUse().heapUsed - before.heapUsed;
  let residentGrowth = Infinity;
  for (let tries = 0; tries < 20 && residentGrowth >= MAX_RESIDENT_GROWTH_BYTES; tries++) {
    if (tries > 0) await sleep(500);
    residentGrowth = memoryInUse().rss - before.rss;
  }
  console.log(
    `seed ${seed.toString()}: ${JSON.stringify(counts)}; heap ${mebibytes(heapGrowth)} MiB more, resident ${mebibytes(residentGrowth)} MiB more`,
  );
  expect(counts.patched).toBeGreaterThan(REVIEWS / 10);
  expect(counts.builds).toBeGreaterThan(REVIEWS / 100);
  expect(counts.refused).toBeGreaterThan(REVIEWS / 100);
  expect(heapGrowth).toBeLessThan(MAX_HEAP_GROWTH_BYTES);
  expect(residentGrowth).toBeLessThan(MAX_RESIDENT_GROWTH_BYTES);
}, 120_000);
