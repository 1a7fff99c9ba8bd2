import { expect, it } from "vitest";
import { loadConfiguration } from "../../src/config/load.ts";
import { checkDraft } from "../../src/console/drafts.ts";

const DRAFT = { name: "team-a", uid: "", spec: { address: "a.example.com" } };

function check(refusal: string | undefined) {
  const list = (entries: readonly (readonly [string, object])[]) => ({
    entries: () => entries,
    refusal: () => refusal,
  });
  const namespaces = refusal === undefined ? [["shop", { isOptedIn: true, labels: {} }] as const] : [];
  const view = {
    ...{ configuration: loadConfiguration([]), registries: list([]), namespaces: list(namespaces) },
  };
  return checkDraft(DRAFT, "", { view: view as never, namespace: "pullpass" });
}

it("says which namespaces a registry is for", () => {
  expect(check(undefined)).toMatchObject({
    ...{ namespaces: { optedIn: 1, matching: 1, examples: ["shop"] }, unread: "" },
  });
});

it("does not say that a registry is for none where namespaces cannot be read", () => {
  const refusal = "namespaces is forbidden";
  expect(check(refusal)).toMatchObject({ namespaces: null, unread: refusal, problems: [] });
});
