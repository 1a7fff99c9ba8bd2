import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import { requestsFor, type CredentialProvider } from "../../src/core/credential-provider.ts";
import type { ProviderAnswer } from "../../src/providers/answer.ts";
import { Renewal, type WantedAnswer } from "../../src/providers/renewal.ts";
import { ProviderFailedError } from "../../src/providers/run-program.ts";
import { keyOf, readAnswers, writeAnswers, type StoredAnswers } from "../../src/providers/stored-answers.ts";
import { PROVIDER } from "./programs.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-11-27T00:00:00Z") });
});
afterEach(() => {
  vi.useRealTimers();
});

type Reply = Partial<ProviderAnswer> & { readonly password: string };

const wantedFor = (
  host: string,
  provider: Partial<CredentialProvider> = {},
  settings = "1",
): WantedAnswer => {
  const [request] = requestsFor({ address: parseAddress(host), hosts: [] });
  if (request === undefined) throw new Error("no request");
  return { provider: { ...PROVIDER, ...provider }, request, settings };
};
const byKey = (...wanted: readonly WantedAnswer[]) =>
  new Map(wanted.map((each) => [keyOf(each.provider.name, each.request), each]));

/** A cluster in which one replica after the other leads, and providers that answer as `reply` says. */
function start(reply: (host: string) => Reply | ProviderFailedError | Promise<Reply>) {
  let stored: StoredAnswers | undefined = new Map();
  const asked: string[] = [];
  const writes: string[] = [];
  const outcomes: string[] = [];
  const state = { mayWrite: true };
  const create = () => {
    const renewal = new Renewal({
      async ask({ request }) {
        asked.push(request.address.text);
        const answer = await reply(request.address.text);
        if (answer instanceof Error) throw answer;
        return {
          credential: { username: "user", password: answer.password },
          ...{ cacheDurationMs: HOUR, cacheKeyType: "Registry", entryCount: 1, matchCount: 1 },
          ...answer,
        };
      },
      stored: () => stored,
      write(answers) {
        if (!state.mayWrite) return Promise.reject(new Error("forbidden"));
        // As it is read again.
        stored = readAnswers(writeAnswers(answers));
        writes.push([...stored.keys()].join());
        return Promise.resolve(true);
      },
      onAnswer: (_provider, outcome) => void outcomes.push(outcome),
      onFailures: () => undefined,
      onWriteError: () => undefined,
      random: () => 0,
    });
    const term = new AbortController();
    renewal.start(term.signal);
    const stop = (): void => {
      term.abort();
    };
    return Object.assign(renewal, { stop });
  };
  return {
    ...{ create, asked, writes, outcomes, state },
    passwords: () => Array.from(stored?.values() ?? [], ({ credential }) => credential.password),
    set stored(next: StoredAnswers | undefined) {
      stored = next;
    },
    get stored() {
      return stored;
    },
  };
}

describe("the renewal of answers", () => {
  it("asks at once, and again in time; only another credential is a change", async () => {
    let password = "made-up-1";
    const world = start(() => ({ password }));
    world.create().setWanted({ answers: byKey(wantedFor("a.com")), isComplete: true });
    await vi.advanceTimersByTimeAsync(1_000);
    expect([world.asked, world.passwords()]).toEqual([["a.com"], ["made-up-1"]]);
    await vi.advanceTimersByTimeAsync(47 * MINUTE);
    expect(world.asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(world.asked).toHaveLength(2);
    password = "made-up-2";
    await vi.advanceTimersByTimeAsync(HOUR);
    expect(world.outcomes).toEqual(["changed", "unchanged", "changed"]);
    const [answer] = [...(world.stored?.values() ?? [])];
    expect(answer).toMatchObject({
      credential: { password: "made-up-2" },
      previous: { password: "made-up-1" },
      changedAt: answer?.answeredAt,
    });
    expect(world.writes).toHaveLength(3);
  });

  it("writes answers that come together at once", async () => {
    const world = start((host) => ({ password: `made-up-${host}` }));
    world.create().setWanted({ answers: byKey(wantedFor("a.com"), wantedFor("b.com")), isComplete: true });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(world.writes).toEqual(["provider a.com/pullpass,provider b.com/pullpass"]);
  });

  it("runs at most four programs at a time", async () => {
    const open: PromiseWithResolvers<Reply>[] = [];
    const world = start(() => {
      const reply = Promise.withResolvers<Reply>();
      open.push(reply);
      return reply.promise;
    });
    const hosts = Array.from({ length: 9 }, (_, index) => `h${index.toString()}.com`);
    world.create().setWanted({ answers: byKey(...hosts.map((host) => wantedFor(host))), isComplete: true });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(world.asked).toHaveLength(4);
    open[0]?.resolve({ password: "made-up" });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(world.asked).toHaveLength(5);
  });

  it("runs nothing for a new leader while what is stored is fresh", async () => {
    const world = start(() => ({ password: "made-up" }));
    const wanted = { answers: byKey(wantedFor("a.com")), isComplete: true };
    const first = world.create();
    first.setWanted(wanted);
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    first.stop();
    const second = world.create();
    second.setWanted(wanted);
    await vi.advanceTimersByTimeAsync(30 * MINUTE);
    expect(world.asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(world.asked).toHaveLength(2);
  });

  it("runs nothing where this replica does not lead, or does not know what is stored", async () => {
    const world = start(() => ({ password: "made-up" }));
    world.stored = undefined;
    const wanted = { answers: byKey(wantedFor("a.com")), isComplete: true };
    const leader = world.create();
    leader.setWanted(wanted);
    await vi.advanceTimersByTimeAsync(HOUR);
    expect(world.asked).toEqual([]);
    world.stored = new Map();
    leader.stop();
    leader.wake();
    await vi.advanceTimersByTimeAsync(HOUR);
    expect(world.asked).toEqual([]);
  });

  it("asks at once where the provider's entry is another one", async () => {
    const world = start(() => ({ password: "made-up" }));
    const renewal = world.create();
    renewal.setWanted({ answers: byKey(wantedFor("a.com")), isComplete: true });
    await vi.advanceTimersByTimeAsync(1_000);
    renewal.setWanted({ answers: byKey(wantedFor("a.com", { args: ["other"] }, "2")), isComplete: true });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(world.outcomes).toEqual(["changed", "unchanged"]);
  });

  it("keeps what there is while a provider fails, and asks again after 10 s, 20 s, ... 5 minutes", async () => {
    let reply: Reply | ProviderFailedError = { password: "made-up" };
    const world = start(() => reply);
    const renewal = world.create();
    renewal.setWanted({ answers: byKey(wantedFor("a.com")), isComplete: true });
    await vi.advanceTimersByTimeAsync(1_000);
    reply = new ProviderFailedError("exit-status", "exited with 1");
    await vi.advanceTimersByTimeAsync(48 * MINUTE);
    const times: number[] = [];
    const startedAt = Date.now();
    while (times.length < 8) {
      const before = world.asked.length;
      await vi.advanceTimersByTimeAsync(1_000);
      if (world.asked.length > before) times.push(Math.round((Date.now() - startedAt) / 1_000));
    }
    const waits = times.map((time, index) => time - (times[index - 1] ?? 0)).slice(1);
    expect(waits).toEqual([20, 40, 80, 160, 300, 300, 300]);
    expect(world.passwords()).toEqual(["made-up"]);
    const [fault] = [...renewal.faults.values()];
    expect(fault?.message).toBe("exited with 1");
    reply = { password: "made-up-2" };
    await vi.advanceTimersByTimeAsync(6 * MINUTE);
    expect([renewal.faults.size, world.passwords()]).toEqual([0, ["made-up-2"]]);
  });

  it("does not wait after a failure of another entry", async () => {
    const world = start(() => new ProviderFailedError("not-found", "is not there"));
    const renewal = world.create();
    renewal.setWanted({ answers: byKey(wantedFor("a.com")), isComplete: true });
    await vi.advanceTimersByTimeAsync(1_000);
    renewal.setWanted({ answers: byKey(wantedFor("a.com", {}, "2")), isComplete: true });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(world.outcomes).toEqual(["not-found", "not-found"]);
  });

  it("takes an answer of another provider or image for nobody", async () => {
    const world = start((host) => ({ password: `made-up-${host}` }));
    const renewal = world.create();
    renewal.setWanted({ answers: byKey(wantedFor("a.com")), isComplete: true });
    await vi.advanceTimersByTimeAsync(1_000);
    renewal.setWanted({ answers: byKey(wantedFor("a.com", { name: "other" })), isComplete: false });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(world.asked).toHaveLength(2);
    // There may be registries that are not known.
    expect([...(world.stored?.keys() ?? [])]).toEqual(["other a.com/pullpass", "provider a.com/pullpass"]);
    renewal.setWanted({ answers: byKey(wantedFor("a.com", { name: "other" })), isComplete: true });
    await vi.advanceTimersByTimeAsync(1_000);
    expect([...(world.stored?.keys() ?? [])]).toEqual(["other a.com/pullpass"]);
  });

  it("tries again to write, and runs nothing meanwhile", async () => {
    const world = start(() => ({ password: "made-up" }));
    world.state.mayWrite = false;
    world.create().setWanted({ answers: byKey(wantedFor("a.com")), isComplete: true });
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect([world.asked.length, world.passwords()]).toEqual([1, []]);
    world.state.mayWrite = true;
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect([world.asked.length, world.passwords()]).toEqual([1, ["made-up"]]);
  });
});

describe("stored answers", () => {
  it.each([
    ["nothing", ""],
    ["what is not JSON", "{"],
    ["an object", "{}"],
    ["entries of another kind", '[1, null, {}, {"provider":"a","image":"b","settings":"c"}]'],
    [
      "a credential that could not be used",
      '[{"provider":"a","image":"b","settings":"c","answeredAt":1,"changedAt":1,"jitter":0,"credential":{"username":"u:v","password":"made-up"}}]',
    ],
  ])("are none in %s", (_what, text) => {
    expect(readAnswers(text).size).toBe(0);
  });
});
