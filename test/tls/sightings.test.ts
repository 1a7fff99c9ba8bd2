import { beforeEach, describe, expect, it } from "vitest";
import type { StateFacts } from "../../src/tls/certificate-facts.ts";
import { createSightings, type Sightings } from "../../src/tls/sightings.ts";

const facts = (authority: string, isOfCurrent: boolean, ...bundles: readonly string[][]): StateFacts => ({
  current: { fingerprint: authority, notAfter: 0, hasKey: true },
  next: undefined,
  previous: undefined,
  serving: { isOfCurrent, isFitting: true, notAfter: 0 },
  bundles,
});

describe("sightings", () => {
  let clock: number;
  let sightings: Sightings;
  beforeEach(() => {
    clock = 1000;
    sightings = createSightings(() => clock);
  });
  const see = (at: number, seen: StateFacts): void => {
    clock = at;
    sightings.see(seen);
  };
  const at = (time: number) => {
    clock = time;
    const { publishedForMs, servedForMs } = sightings.durations();
    return { published: Object.fromEntries(publishedForMs), served: servedForMs };
  };

  it("know nothing in the beginning", () => {
    expect(at(5000)).toEqual({ published: {}, served: undefined });
  });

  it("last from when something was seen first", () => {
    see(1000, facts("a", true, ["a"]));
    see(2000, facts("a", true, ["a", "b"]));
    expect(at(5000)).toEqual({ published: { a: 4000, b: 3000 }, served: 4000 });
  });

  it("begin anew where there was a break", () => {
    see(1000, facts("a", true, ["a"]));
    see(2000, facts("a", false, []));
    expect(at(2500)).toEqual({ published: {}, served: undefined });
    see(3000, facts("a", true, ["a"]));
    expect(at(5000)).toEqual({ published: { a: 2000 }, served: 2000 });
  });

  it("count what is in all bundles", () => {
    see(1000, facts("a", true, ["a", "b"], ["b"]));
    see(2000, facts("a", true, ["a", "b"], ["b", "a"]));
    expect(at(5000).published).toEqual({ a: 3000, b: 4000 });
  });

  it("begin anew with another authority, and not with another certificate of the same one", () => {
    see(1000, facts("a", true));
    see(2000, facts("a", true));
    expect(at(3000).served).toBe(2000);
    see(4000, facts("b", true));
    expect(at(5000).served).toBe(1000);
  });
});
