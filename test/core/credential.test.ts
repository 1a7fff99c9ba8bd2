import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { readCredentialText, readUsername, Sensitive } from "../../src/core/credential.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/*
 * The table in the comment above readCredentialText.
 */
describe("readCredentialText", () => {
  const CONTROL = "contains a control character, such as a line break or a tab";
  const KEY = `{\n\t"type": "service_account",\r\n  "private_key": "made-up"\n}`;

  it.each([
    ["Latin-1", Uint8Array.of(0x6d, 0xfc, 0x6c), "is not UTF-8"],
    ["UTF-16", Uint8Array.of(0xff, 0xfe, 0x61, 0x00), "is not UTF-8"],
    ["a UTF-8 sequence that is cut", encode("pä").subarray(0, 2), "is not UTF-8"],
    ["an environment variable in Latin-1, as Node shows it", "p\uFFFD", "is not UTF-8"],
    ["half of a surrogate pair", "p\ud83d", "is not UTF-8"],
    ["nothing", "", "is empty"],
    ["a line break alone", "\n", "is empty"],
    ["two last line breaks", "made-up\n\n", CONTROL],
    ["a second line", "made-up\nmore", CONTROL],
    ["a tab", "\tmade-up", CONTROL],
    ["a NUL", "made-up\0", CONTROL],
    ["a C1 control character", "made-up\u0085", CONTROL],
    ["a line break in what is not quite JSON", `${KEY},`, CONTROL],
    ["JSON that is no object", '["made-up",\n1]', CONTROL],
  ])("refuses %s, and does not show it", (_title, source, fault) => {
    expect(readCredentialText(source)).toEqual({ kind: "unusable", fault });
  });

  it.each([
    ["one last line break", "made-up\n", "made-up"],
    ["one last line break of Windows", "made-up\r\n", "made-up"],
    ["one last line break of old Macs", "made-up\r", "made-up"],
    ["a byte order mark", "\uFEFFmade-up", "made-up"],
    ["nothing of spaces", " made  up ", " made  up "],
    ["nothing of other scripts", "pä:ß 🔑", "pä:ß 🔑"],
    ["nothing within the key of a service account", `${KEY}\n`, KEY],
  ])("takes off %s", (_title, source, text) => {
    expect(readCredentialText(source)).toEqual({ kind: "text", text });
    expect(readCredentialText(encode(source))).toEqual({ kind: "text", text });
  });
});

describe("readUsername", () => {
  it("refuses a colon, which ends the user name on its way to the registry", () => {
    expect(readUsername("a:b")).toEqual({ kind: "unusable", fault: "contains a colon" });
    expect(readUsername("a\n")).toEqual({ kind: "text", text: "a" });
    expect(readUsername("")).toEqual({ kind: "unusable", fault: "is empty" });
  });
});

describe("Sensitive", () => {
  const password = "made-up-password";
  const sensitive = new Sensitive(password);

  it("gives its content to those who ask for it", () => {
    expect(sensitive.reveal()).toBe(password);
  });

  it("shows a placeholder to everybody else", () => {
    const shown = [
      String(sensitive),
      JSON.stringify({ sensitive }),
      inspect(sensitive, { showHidden: true, depth: Infinity, getters: true }),
      inspect(structuredClone(sensitive)),
    ];
    expect(shown.filter((text) => text.includes(password))).toEqual([]);
    expect(shown[0]).toBe("[hidden]");
    expect(shown[1]).toBe('{"sensitive":"[hidden]"}');
  });
});
