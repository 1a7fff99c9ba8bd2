import { describe, expect, it } from "vitest";
import { findWarnings } from "../../src/config/warnings.ts";
import { formatDiagnostic } from "../../src/config/diagnostics.ts";
import { loadText } from "./load-text.ts";

function warningsIn(text: string): readonly string[] {
  return findWarnings(loadText(text)).map(formatDiagnostic);
}

describe("findWarnings", () => {
  it("has none about a good configuration", () => {
    expect(warningsIn("registries: [{ name: a, address: a.com }, { name: b, address: '*.b.com' }]")).toEqual(
      [],
    );
  });

  it.each([
    [
      "address: registry-1.docker.io",
      "registry-1.docker.io is not what images of Docker Hub are matched with; write docker.io",
    ],
    ["address: https://a.com/v1", "/v1 is read as a repository's path; add a slash to have it taken off"],
    ["address: '*'", "a * alone covers only hosts without a dot, such as localhost"],
    ["address: a.com:443", "covers only images that are written with :443; no port is a port of its own"],
    [
      "address: a.com, auth: { type: Token, token: made-up }",
      "the credential stands in this file; passwordFrom or tokenFrom keeps it out",
    ],
    [
      "address: a.com, auth: { type: BasicAuth, username: u, password: made-up }",
      "the credential stands in this file; passwordFrom or tokenFrom keeps it out",
    ],
    [
      "address: '*.a.com', auth: { type: Secret, name: s }",
      "builders know no *; list the concrete hosts under hosts, or set use: [pull]",
    ],
  ])("%s: %s", (registry, warning) => {
    expect(warningsIn(`registries: [{ name: a, ${registry} }]`)).toEqual([
      `pullpass.yaml:1: registries[0]: ${warning}`,
    ]);
  });

  it("are about the second of two registries with one address and two Secrets", () => {
    const text = "registries:\n- { name: a, address: a.com }\n- { name: b, address: https://a.com/ }\n";
    expect(warningsIn(text)).toEqual([
      "pullpass.yaml:3: registries[1]: a has the same address; pods get both pull secrets",
    ]);
    expect(warningsIn(text.replace("/ }", "/, secretName: pullpass-a }"))).toEqual([]);
  });

  it("remind of what a Secret of Polyaxon's has to be, and accept passwords in its own list", () => {
    const connection =
      "connections: [{ name: a, kind: registry, schema: { url: a.com }, secret: { name: s } }]";
    expect(warningsIn(connection)).toEqual([
      "pullpass.yaml:1: connections[0]: kubelet uses Secret s only if its type is kubernetes.io/dockerconfigjson; builders need its key config.json or .dockerconfigjson",
    ]);
    expect(warningsIn("privateRegistries: [u:made-up@a.com]")).toEqual([]);
  });
});
