import { describe, expect, it } from "vitest";
import { describeReport, loginRestrictions, networks } from "../../src/console/test-login.ts";
import { parseImageReference } from "../../src/core/image-reference.ts";
import type { LoginReport, PullOutcome } from "../../src/registry/login.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("Test login connects", () => {
  const inCluster = loginRestrictions({ isPrivateAllowed: false, allowed: [] });
  const onAMachine = loginRestrictions({ isPrivateAllowed: true, allowed: [] });
  const withNetworks = loginRestrictions({
    isPrivateAllowed: false,
    allowed: ["10.96.0.0/12", "127.0.0.5/32", "fd12::/16"],
  });

  it.each([
    // address, in the cluster, on a person's machine, where networks are allowed
    ["192.0.2.1", true, true, true],
    ["2001:db8::1", true, true, true],
    ["10.96.0.1", false, true, true],
    ["10.1.0.1", false, true, false],
    ["172.16.0.1", false, true, false],
    ["172.32.0.1", true, true, true],
    ["192.168.1.1", false, true, false],
    ["100.64.0.1", false, true, false],
    ["fd12::1", false, true, true],
    ["127.0.0.1", false, false, false],
    ["127.0.0.5", false, false, true],
    ["::1", false, false, false],
    ["::ffff:127.0.0.1", false, false, false],
    ["::ffff:10.1.0.1", false, true, false],
    ["169.254.169.254", false, false, false],
    ["::ffff:169.254.169.254", false, false, false],
    ["fe80::1", false, false, false],
    ["fd00:ec2::254", false, false, false],
    ["64:ff9b::a9fe:a9fe", false, false, false],
    ["2002:7f00:1::", false, false, false],
    ["0.0.0.0", false, false, false],
    ["::", false, false, false],
    ["224.0.0.1", false, false, false],
    ["255.255.255.255", false, false, false],
  ])("to %s: in the cluster %s, on a machine %s, with networks %s", (address, ...expected) => {
    const found = [inCluster, onAMachine, withNetworks].map(
      ({ refusalOf }) => refusalOf(address) === undefined,
    );
    expect(found).toEqual(expected);
  });

  it.each(["10.0.0.0", "10.0.0.0/33", "example.com/8", "", "::/129"])(
    "to no network that is written as %j",
    (text) => {
      expect(() => networks([text])).toThrow(RangeError);
    },
  );
});

it.each<[image: string, PullOutcome, works: boolean, sentence: string]>([
  ["app:v1", { kind: "allowed" }, true, "and they may pull team/app"],
  [`app@${DIGEST}`, { kind: "not-there" }, false, `and has no a.com/team/app@${DIGEST}.`],
  ["app:v1", { kind: "refused", reason: "403" }, false, "and they may not pull team/app: 403."],
  [
    "app",
    { kind: "unusable-answer", reason: "429" },
    false,
    "but cannot tell whether they may pull team/app: 429.",
  ],
  [
    "app",
    { kind: "not-reached", reason: "away" },
    false,
    "but cannot tell whether they may pull team/app: away.",
  ],
])("Test pull says of %s, %j", (image, outcome, works, sentence) => {
  const report: LoginReport = {
    login: { kind: "works", flow: "basic" },
    pulls: [{ image: parseImageReference(`a.com/team/${image}`), outcome }],
  };
  expect(describeReport("a.com", report)).toEqual({
    works,
    sentence: `a.com accepted the credentials (basic), ${sentence}`,
  });
});
