import { pino } from "pino";
import { expect, it, vi } from "vitest";
import { PolicyRemover } from "../../src/serve/admission-policy.ts";

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
