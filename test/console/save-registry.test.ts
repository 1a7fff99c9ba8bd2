import { describe, expect, it } from "vitest";
import type { Credentials, RegistrySpec } from "../../src/console/api.ts";
import { saveRegistry } from "../../src/console/save-registry.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { KubeApiError } from "../../src/kube/errors.ts";

const TYPED: Credentials = { type: "BasicAuth", username: "u", password: "p" };
const spec = (secret: string, type = "BasicAuth"): RegistrySpec => ({
  address: "registry.example.com",
  auth: { type, secretRef: { name: secret } },
});

/** A cluster with the registry team-a, and the Secrets team-a-login and others. */
function start() {
  const metadata = { name: "team-a", uid: "u", generation: 1 };
  const stored = { object: { metadata, spec: spec("team-a-login") } };
  const list = (entries: readonly (readonly [string, object])[]) => ({
    entries: () => entries,
    get: (_: string, name: string) => entries.find(([each]) => each === name)?.[1],
    refusal: () => undefined,
  });
  const view = {
    ...{ configuration: loadConfiguration([]), registries: list([["team-a", stored]]), namespaces: list([]) },
  };
  const written: string[] = [];
  const edits = {
    create: () => Promise.resolve(),
    replaceSpec: () => Promise.resolve(),
    createOffer({ metadata: { name } }: { metadata: { name: string } }) {
      if (["team-a-login", "others"].includes(name))
        return Promise.reject(new KubeApiError(409, "AlreadyExists", {}, "there is one"));
      written.push(`created ${name}`);
      return Promise.resolve();
    },
    applyOffer({ metadata: { name } }: { metadata: { name: string } }) {
      written.push(`replaced ${name}`);
      return Promise.resolve();
    },
  };
  return { written, context: { view, edits, namespace: "pullpass" } as never };
}

describe("a save writes", () => {
  const TOKEN: Credentials = { type: "Token", token: "t" };
  it.each<[string, string, RegistrySpec, Credentials | null, RegExp]>([
    ["the Secret of a new registry", "new", spec("new-login"), TYPED, /^created new-login$/],
    ["no Secret without credentials", "new", spec("others"), null, /^$/],
    [
      "over the Secret that the registry has",
      "team-a",
      spec("team-a-login"),
      TYPED,
      /^replaced team-a-login$/,
    ],
    ["another Secret that the registry names now", "team-a", spec("fresh"), TYPED, /^created fresh$/],
    [
      "a Secret for another auth type",
      "team-a",
      spec("team-a-login", "Token"),
      TOKEN,
      /^created team-a-login-/,
    ],
    ["no Secret where what is there stays", "team-a", spec("team-a-login"), null, /^$/],
    ["no Secret where one is named as it is", "team-a", spec("others"), null, /^$/],
  ])("%s", async (_, name, of, credentials, expected) => {
    const { written, context } = start();
    const draft = { name, uid: name === "new" ? "" : "u", spec: of };
    await saveRegistry({ draft, generation: 1, credentials }, context);
    expect(written.join()).toMatch(expected);
  });

  it("nothing over a Secret that somebody else keeps, by a new registry or an edit", async () => {
    const { written, context } = start();
    for (const [name, uid] of [
      ["new", ""],
      ["team-a", "u"],
    ] as const) {
      const draft = { name, uid, spec: spec("others") };
      await expect(saveRegistry({ draft, generation: 1, credentials: TYPED }, context)).rejects.toThrow(
        "there is a Secret pullpass/others already",
      );
    }
    expect(written).toEqual([]);
  });

  it("refuses an edit to another auth type without credentials", async () => {
    const draft = { name: "team-a", uid: "u", spec: spec("team-a-login", "Token") };
    await expect(
      saveRegistry({ draft, generation: 1, credentials: null }, start().context),
    ).rejects.toMatchObject({ problems: [{ field: "credentials" }] });
  });
});
