import { pino } from "pino";
import { expect, it, vi } from "vitest";
import { PolicyKeeper, PolicyRemover } from "../../src/serve/admission-policy.ts";

const LOGGER = pino({ enabled: false });
const NONE = { policy: undefined, binding: undefined };
const WRITTEN_LATER = { policy: "made-up-uid", binding: "another-uid" };

it("a replica with a webhook removes no policy that was written after its own start", async () => {
  const find = vi.fn().mockResolvedValueOnce(NONE).mockResolvedValue(WRITTEN_LATER);
  const writer = { remove: vi.fn() };
  const remover = new PolicyRemover({
    find,
    writer,
    isWebhookReady: () => Promise.resolve(true),
    logger: LOGGER,
  });
  await remover.start(new AbortController().signal);
  expect(find).toHaveBeenCalledOnce();
  expect(writer.remove).not.toHaveBeenCalled();
});

it("a tenant with many ServiceAccounts that enforce their Secrets does not keep the policy from being written", async () => {
  const writer = { apply: vi.fn().mockResolvedValue("applied"), remove: vi.fn() };
  const warn = vi.fn();
  const keeper = new PolicyKeeper({
    ...{ excludedNamespaces: ["kube-system"], writer, warn, logger: LOGGER },
    watchObject: () => ({ asked: Promise.resolve(), close: () => undefined }),
  });
  const longest = "a".repeat(249);
  for (let number = 1000; number < 1400; number++)
    keeper.setEnforcing(`tenant/${longest}${number.toString()}`, true);
  keeper.setEnforcing("other/strict", true);
  keeper.setRegistries([]);
  const leading = new AbortController();
  keeper.start(leading.signal);
  await vi.waitFor(() => {
    expect(writer.apply).toHaveBeenCalledOnce();
  });
  leading.abort();
  keeper.close();
  expect(warn).not.toHaveBeenCalled();
  expect(JSON.stringify(writer.apply.mock.lastCall)).toContain(String.raw`in [\"other/strict\"]`);
});
