import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyHostileReview } from "./hostile-pods.ts";
import { answer, handlerOver, REGISTRIES } from "./registries-and-handler.ts";

// How long that takes is measured in review-time.test.ts, without coverage.
describe.each(REGISTRIES)("with %s", (_title, registries) => {
  const handle = handlerOver(registries);

  it("allows every hostile pod", () => {
    const pods = fc.sample(anyHostileReview, { numRuns: 100, seed: 1 });
    for (const [title, review] of pods) {
      for (let salt = 0; salt < 3; salt++) {
        const { response } = JSON.parse(answer(handle, review(2048, salt))) as { readonly response: object };
        expect(response, title).toMatchObject({ allowed: true });
      }
    }
  });
});
