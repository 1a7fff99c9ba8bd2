import { describe, expect, it } from "vitest";
import { bodyBudget, type BodyBudget, type WaitingBody } from "../../src/http/partial-body.ts";

/** Bodies that write down their names when they give way. */
function start(limitBytes: number): {
  readonly budget: BodyBudget;
  readonly body: (name: string) => WaitingBody;
  readonly gaveUp: string[];
} {
  const gaveUp: string[] = [];
  return {
    budget: bodyBudget(limitBytes),
    body: (name) => ({ giveUp: () => void gaveUp.push(name) }),
    gaveUp,
  };
}

describe("the budget of bodies", () => {
  it("is theirs up to the last byte", () => {
    const { budget, body, gaveUp } = start(100);
    budget.hold(body("first"), 60);
    budget.hold(body("second"), 40);
    expect(gaveUp).toEqual([]);
  });

  it("takes from those that began first, and only what is missing", () => {
    const { budget, body, gaveUp } = start(100);
    const [first, second, third] = [body("first"), body("second"), body("third")];
    budget.hold(first, 40);
    budget.hold(second, 40);
    budget.hold(first, 20);
    budget.hold(third, 10);
    expect(gaveUp).toEqual(["first"]);
    budget.hold(third, 51);
    expect(gaveUp).toEqual(["first", "second"]);
    budget.hold(third, 39);
    expect(gaveUp).toEqual(["first", "second"]);
  });

  it("has room again for what was released", () => {
    const { budget, body, gaveUp } = start(100);
    const first = body("first");
    budget.hold(first, 90);
    budget.release(first);
    budget.release(first);
    budget.hold(body("second"), 100);
    expect(gaveUp).toEqual([]);
  });

  it("is not given to a body that is larger than all of it", () => {
    const { budget, body, gaveUp } = start(100);
    budget.hold(body("first"), 101);
    budget.hold(body("second"), 100);
    expect(gaveUp).toEqual(["first"]);
  });
});
