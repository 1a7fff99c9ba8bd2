import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readPullMessage, redact, type PullFailure } from "../../src/core/pull-message.ts";

interface Recorded {
  readonly rows: readonly {
    readonly source: string;
    readonly failure: PullFailure;
    readonly reason: string;
    readonly message: string;
  }[];
}

const DIRECTORY = join(import.meta.dirname, "../fixtures/pull-messages");
const rowsOf = (name: string) =>
  (JSON.parse(readFileSync(join(DIRECTORY, name), "utf8")) as Recorded).rows.map(
    (row) => [row.source, row.reason, row.failure, row.message] as const,
  );

describe("readPullMessage", () => {
  // Recorded by test/cluster/node-diagnosis.test.ts with the newest and the oldest kubelet and containerd.
  it.each([...rowsOf("newest.json"), ...rowsOf("oldest.json")])(
    "reads what containerd says: %s, %s: %s",
    (_source, reason, failure, message) => {
      expect(readPullMessage(reason, message)?.failure).toBe(failure);
    },
  );

  // As the source of each quotes it.
  it.each(rowsOf("others.json"))("reads what others say: %s, %s: %s", (_source, reason, failure, message) => {
    expect(readPullMessage(reason, message)?.failure).toBe(failure);
  });

  it.each(["ContainerCreating", "PodInitializing", "CrashLoopBackOff", "CreateContainerConfigError", ""])(
    "knows that %j is not about an image",
    (reason) => {
      expect(readPullMessage(reason, "whatever")).toBeUndefined();
    },
  );

  it("leaves out what kubelet and gRPC put before the cause", () => {
    const message =
      'Back-off pulling image "app:v1": ErrImagePull: rpc error: code = NotFound desc = failed to resolve image: app:v1: not found';
    const text = "failed to resolve image: app:v1: not found";
    expect(readPullMessage("ImagePullBackOff", message)).toEqual({ failure: "not-found", text });
  });

  it("does not take a part of an image's name for the cause", () => {
    const message =
      'failed to pull and unpack image "a.com/unauthorized/denied/toomanyrequests/x509:429": it is broken';
    expect(readPullMessage("ErrImagePull", message)?.failure).toBe("unknown");
  });

  it("keeps the beginning and the end of a long message, in one line", () => {
    const text = readPullMessage("ErrImagePull", `start\n${"x".repeat(10_000)}\tend`)?.text ?? "";
    expect(text).toMatch(/^start x+…x+ end$/);
    expect(text).toHaveLength(400);
  });
});

describe("redact", () => {
  it.each([
    ["a user name and a password", "Get https://user:pass@a.com/v2/: EOF", "Get https://a.com/v2/: EOF"],
    ["a password with an @ and a slash", '"https://u:p@s/s@a.com/v2/"', '"https://a.com/v2/"'],
    ["a query", 'Get "https://a.com/blob?sig=abc&x=1": EOF', 'Get "https://a.com/blob?…": EOF'],
    ["a query without quotes", "to https://a.com/token?scope=x: 401", "to https://a.com/token?…: 401"],
    ["all of them", "http://u@a.com?p=http://b.com", "http://a.com?…"],
    ["a query with an @", "to http://a.com/x?for=x@b.com&sig=1: 401", "to http://…: 401"],
    ["a password with a ? and an @", "to http://u:p?s@a.com/x: 401", "to http://…: 401"],
    ["nothing else", "a@b.com? a.com/x@sha256:00 http://a.com/", "a@b.com? a.com/x@sha256:00 http://a.com/"],
  ])("takes %s out", (_title, text, expected) => {
    expect(redact(text)).toBe(expected);
  });

  it("shows nothing of a credential, whatever is around it", () => {
    const around = fc.string({ maxLength: 20 });
    fc.assert(
      fc.property(around, around, (before, after) => {
        const message = `${before} https://user:SECRET@a.com/x?token=SECRET ${after}`;
        expect(redact(message)).not.toContain("SECRET");
        expect(redact(`${before} https://a.com/x?for=x@b.com&token=SECRET ${after}`)).not.toContain("SECRET");
      }),
    );
  });

  it("takes time that grows with the text alone", () => {
    const started = performance.now();
    redact("://".repeat(200_000));
    redact("https://".repeat(100_000));
    redact(`https://a?${":".repeat(200_000)}x`);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
