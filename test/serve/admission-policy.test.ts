import { pino } from "pino";
import { expect, it, vi } from "vitest";
import { removePolicy } from "../../src/serve/admission-policy.ts";

it("a replica with a webhook removes no policy that came after it began to lead", async () => {
  const find = vi.fn().mockResolvedValue({ policy: undefined, binding: undefined });
  const remove = vi.fn();
  const isWebhookReady = vi.fn().mockResolvedValue(true);
  const logger = pino({ enabled: false });
  await removePolicy({ find, remove }, isWebhookReady, new AbortController().signal, logger);
  expect(find).toHaveBeenCalledOnce();
  expect(isWebhookReady).not.toHaveBeenCalled();
  expect(remove).not.toHaveBeenCalled();
});
