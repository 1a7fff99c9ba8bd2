import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createAttemptLimit, createOneTimeKey, createSessions } from "../../src/console/sessions.ts";

const HOUR_MS = 3_600_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a session", () => {
  const ended: string[] = [];
  const create = () => {
    ended.length = 0;
    return createSessions<string>(HOUR_MS, (person) => ended.push(person));
  };

  it("ends after its time, whatever is done in it, and with a logout", () => {
    const sessions = create();
    const [first, second] = [sessions.begin("anna"), sessions.begin("ben")];
    expect(first.id).not.toBe(second.id);
    vi.advanceTimersByTime(HOUR_MS - 1);
    expect(sessions.find(first.id)?.person).toBe("anna");
    sessions.end(second.id);
    sessions.end(second.id);
    expect(ended).toEqual(["ben"]);
    vi.advanceTimersByTime(1);
    expect(sessions.find(first.id)).toBeUndefined();
    expect(first.ended.aborted).toBe(true);
    expect(ended).toEqual(["ben", "anna"]);
  });

  it("has ended on a machine that slept through the end", () => {
    let now = 0;
    const sessions = createSessions<string>(
      HOUR_MS,
      () => undefined,
      () => now,
    );
    const { id } = sessions.begin("anna");
    now = HOUR_MS;
    expect(sessions.find(id)).toBeUndefined();
  });

  it("gives way to others, the one that was used least recently first", () => {
    const sessions = create();
    const all = Array.from({ length: 32 }, (_, index) => sessions.begin(index.toString()));
    sessions.find(all[0]?.id ?? "");
    sessions.begin("new");
    expect(ended).toEqual(["1"]);
    expect(sessions.find(all[0]?.id ?? "")?.person).toBe("0");
    sessions.endAll();
    expect(ended).toHaveLength(33);
  });
});

it("a key is good once, for ten minutes, until there is another one", () => {
  const keys = createOneTimeKey();
  const old = keys.issue();
  const key = keys.issue();
  expect([old, "", "x", key, key].map((each) => keys.redeem(each))).toEqual([
    false,
    false,
    false,
    true,
    false,
  ]);
  const late = keys.issue();
  vi.advanceTimersByTime(10 * 60_000);
  expect(keys.redeem(late)).toBe(false);
});

describe("tries of a login", () => {
  it("are ten at once from one address, and one more every three seconds", () => {
    const mayTry = createAttemptLimit();
    const tries = (count: number) => Array.from({ length: count }, () => mayTry("a")).filter(Boolean).length;
    expect(tries(100)).toBe(10);
    vi.advanceTimersByTime(3_000);
    expect(tries(100)).toBe(1);
    expect(mayTry("b")).toBe(true);
  });

  it("are bounded from many addresses, too, and so is what is kept of them", () => {
    const mayTry = createAttemptLimit();
    const granted = Array.from({ length: 10_000 }, (_, index) => mayTry(index.toString())).filter(Boolean);
    expect(granted).toHaveLength(20);
  });
});
