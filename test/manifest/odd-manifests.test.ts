import { describe, expect, it } from "vitest";
import { injectFiles } from "../../src/cli/inject.ts";
import { decodeManifests, encodeManifests } from "../../src/manifest/encoding.ts";
import { indexOf, makeRegistry } from "../core/make-registry.ts";
import { isWithin } from "./is-within.ts";
import { ODD_MANIFESTS } from "./odd-manifests.ts";

const INDEX = indexOf(makeRegistry("hub", "docker.io", { secretName: "hub-creds" }));

describe("what kubectl reads", () => {
  it.each(ODD_MANIFESTS)("is injected without reformatting: %s", (_title, bytes) => {
    const { text, encoding } = decodeManifests(bytes);
    const [injected] = injectFiles([{ name: "odd.yaml", text }], INDEX);
    expect(injected?.hasErrors).toBe(false);
    expect(injected?.report.filter((line) => !line.includes("is repeated"))).toEqual([
      "Pod/odd: injected hub-creds for hub",
    ]);
    expect(isWithin(text, injected?.text ?? "")).toBe(true);
    expect(encodeManifests(text, encoding)).toEqual(bytes);
  });
});
