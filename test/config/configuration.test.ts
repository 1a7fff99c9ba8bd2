import { expect, it } from "vitest";
import { indexConfiguration } from "../../src/config/configuration.ts";
import { loadText } from "./load-text.ts";

const CONFIGURATION = loadText(`
registries:
  - { name: merged, address: a.com, auth: { type: BasicAuth, username: u, passwordFrom: { env: P } } }
  - { name: kept-by-admin, address: b.com }
  - { name: pulls, address: c.com, auth: { type: BasicAuth, username: u, passwordFrom: { env: P } }, use: [pull] }
  - { name: wild, address: "*.d.com", auth: { type: Token, tokenFrom: { env: P } } }
  - { name: hosts, address: "*.e.com", hosts: [a.e.com], auth: { type: Token, tokenFrom: { env: P } } }
  - { name: none, address: "*.e.com/x", hosts: [a.e.com/y], auth: { type: Token, tokenFrom: { env: P } } }
privateRegistries: ["u:made-up@f.com", "u:made-up@*.g.com"]
connections:
  - { name: mounted, kind: registry, schema: { url: h.com }, secret: { name: conf, mountPath: /kaniko/.docker } }
  - { name: as-env, kind: registry, schema: { url: i.com }, secret: { name: conf } }
`);

it.each([
  [
    "those that the build secret holds, and connections with a directory",
    true,
    ["merged", "hosts", "f-com", "mounted"],
  ],
  ["connections alone where nobody writes a build secret", false, ["mounted"]],
])("gives builds %s", (_title, isReplicated, names) => {
  const { buildRegistries, registries } = indexConfiguration(CONFIGURATION, isReplicated);
  expect(buildRegistries.map(({ name }) => name)).toEqual(names);
  expect(registries).toHaveLength(10);
});
