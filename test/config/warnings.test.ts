import path from "node:path";
import { describe, expect, it } from "vitest";
import { formatDiagnostic } from "../../src/config/diagnostics.ts";
import { readCredentials, type Environment } from "../../src/config/credentials.ts";
import { findCredentialWarnings, findWarnings } from "../../src/config/warnings.ts";
import { loadText } from "./load-text.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

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
      ".address: images of Docker Hub do not match registry-1.docker.io; write docker.io",
    ],
    [
      "address: https://a.com/v1",
      ".address: /v1 is taken for the path of a repository; write /v1/ or leave it out",
    ],
    ["address: '*'", ".address: a * alone covers only hosts without a dot, such as localhost"],
    [
      "address: a.com:443",
      ".address: covers only images that are written with :443, since ports are compared as written",
    ],
    [
      "address: a.com, auth: { type: Token, token: made-up }",
      ".auth.token: is in this file; tokenFrom keeps it out",
    ],
    [
      "address: a.com, auth: { type: BasicAuth, username: u, password: made-up }",
      ".auth.password: is in this file; passwordFrom keeps it out",
    ],
    [
      "address: '*.a.com', auth: { type: Secret, name: s }",
      ": builders cannot use an address with *; list the concrete hosts under hosts, or set use: [pull]",
    ],
    [
      "address: '*.a.com/x', hosts: [b.a.com, 'b.a.com:443'], auth: { type: Secret, name: s }",
      ".hosts: b.a.com:443 is not used: it is not a concrete host that *.a.com/x covers",
    ],
  ])("%s: %s", (registry, warning) => {
    expect(warningsIn(`registries: [{ name: a, ${registry} }]`)).toEqual([
      `pullpass.yaml:1: registries[0] (a)${warning}`,
    ]);
  });

  it.each([
    ["https://harbor.example.com/harbor/projects/7/repositories", "the project's name follows the host"],
    ["https://github.com/acme/app", "the registry is ghcr.io"],
    ["https://gitlab.com/acme/app", "the registry is registry.gitlab.com"],
    ["https://git.example.com/acme/app.git", "write the address that images have"],
    ["https://git.example.com/acme/app/container_registry", "write the address that images have"],
    ["https://quay.io/repository/acme/app", "leave out that first part of the path"],
    ["https://acme.jfrog.io/ui/repos/tree", "the repository's name follows the host"],
  ])("of the address of a web page, %s: %s", (address, instead) => {
    expect(warningsIn(`registries: [{ name: a, address: "${address}" }]`)).toEqual([
      `pullpass.yaml:1: registries[0] (a).address: looks like the address of a web page; ${instead}`,
    ]);
  });

  it.each(["harbor.example.com/projects", "registry.gitlab.com/acme/app", "quay.io/acme", "a.com/git"])(
    "not of %s, which is no web page",
    (address) => {
      expect(warningsIn(`registries: [{ name: a, address: "${address}" }]`)).toEqual([]);
    },
  );

  const LITERAL =
    "contains ${...} or $(...), which is taken literally; passwordFrom and tokenFrom can read an environment variable";

  it.each([
    ["type: BasicAuth, username: u, passwordFrom: { file: '$(HOME)/p' }", "auth.passwordFrom.file"],
    ["type: BasicAuth, username: '$(NAME)', passwordFrom: { env: PASSWORD }", "auth.username"],
    ["type: Token, tokenFrom: { file: '$(HOME)/t' }", "auth.tokenFrom.file"],
    ["type: DockerConfig, file: '$(HOME)/.docker/config.json'", "auth.file"],
  ])("of a variable that nobody expands: %s", (auth, field) => {
    expect(warningsIn(`registries: [{ name: a, address: a.com, auth: { ${auth} } }]`)).toEqual([
      `pullpass.yaml:1: registries[0] (a).${field}: ${LITERAL}`,
    ]);
  });

  it("of a variable in a password, with the password's line", () => {
    const auth = (password: string): string =>
      `registries:\n- name: a\n  address: a.com\n  auth:\n    type: BasicAuth\n    username: u\n    password: ${password}\n`;
    const isInFile =
      "pullpass.yaml:7: registries[0] (a).auth.password: is in this file; passwordFrom keeps it out";
    expect(warningsIn(auth("${PASSWORD}"))).toEqual([
      `pullpass.yaml:7: registries[0] (a).auth.password: ${LITERAL}`,
      isInFile,
    ]);
    expect(warningsIn(auth("a$b{c}$(-)$"))).toEqual([isInFile]);
    expect(warningsIn('privateRegistries: ["u:${PASSWORD}@a.com"]')).toEqual([
      `pullpass.yaml:1: privateRegistries[0]: ${LITERAL}`,
    ]);
  });

  it("are about the second of two registries with one address and two Secrets", () => {
    const text = "registries:\n- { name: a, address: a.com }\n- { name: b, address: https://a.com/ }\n";
    expect(warningsIn(text)).toEqual([
      "pullpass.yaml:3: registries[1] (b): a has the same address; pods get both pull secrets",
    ]);
    expect(warningsIn(text.replace("/ }", "/, secretName: pullpass-a }"))).toEqual([]);
  });

  it("remind of what a Secret of Polyaxon's has to be, and accept passwords in its own list", () => {
    const connection =
      "connections: [{ name: a, kind: registry, schema: { url: a.com }, secret: { name: s } }]";
    expect(warningsIn(connection)).toEqual([
      "pullpass.yaml:1: connections[0] (a): kubelet uses Secret s only if its type is kubernetes.io/dockerconfigjson; builders need its key config.json or .dockerconfigjson",
    ]);
    expect(warningsIn("privateRegistries: [u:made-up@a.com]")).toEqual([]);
  });
});

describe("findCredentialWarnings", () => {
  const ECR = "1.dkr.ecr.eu-west-1.amazonaws.com";
  const KEY = `'{"type":"service_account"}'`;

  function credentialWarningsIn(
    address: string,
    auth: string,
    environment: Environment = {},
  ): readonly string[] {
    const { registries } = loadText(`registries: [{ name: a, address: ${address}, auth: { ${auth} } }]`);
    return registries.flatMap((registry) =>
      findCredentialWarnings(registry, readCredentials(registry, environment)).map(formatDiagnostic),
    );
  }

  it.each([
    [
      ECR,
      "type: Token, token: t",
      "a token of Amazon ECR expires 12 hours after it is issued; nothing renews this one",
    ],
    [
      ECR,
      "type: BasicAuth, username: AWS, password: p",
      "a token of Amazon ECR expires 12 hours after it is issued; nothing renews this one",
    ],
    [
      "eu.gcr.io/x",
      "type: Token, tokenFrom: { env: T }",
      "a token of Google expires 1 hour after it is issued; nothing renews this one",
    ],
    [
      "'*.azurecr.io'",
      "type: Token, token: t",
      "a token of Azure expires 3 hours after it is issued; nothing renews this one",
    ],
    [
      "git.example.com:5050",
      "type: Token, token: gldt-made-up",
      "username is missing: GitLab refuses a deploy token without its user name",
    ],
  ])("%s with %s: %s", (address, auth, warning) => {
    expect(credentialWarningsIn(address, auth, { T: "t" })).toEqual([
      `pullpass.yaml:1: registries[0] (a).auth: ${warning}`,
    ]);
  });

  it("of a file says who has to renew it", () => {
    const file = path.join(temporaryDirectory({ token: "t" }), "token");
    expect(credentialWarningsIn(ECR, `type: Token, tokenFrom: { file: ${file} }`)).toEqual([
      "pullpass.yaml:1: registries[0] (a).auth: a token of Amazon ECR expires 12 hours after it is issued; whatever writes the file has to renew it",
    ]);
  });

  it.each([
    ["gcr.io", `type: Token, token: ${KEY}`],
    ["gcr.io", `type: BasicAuth, username: _json_key, password: ${KEY}`],
    ["a.azurecr.io", "type: BasicAuth, username: service-principal, password: p"],
    ["git.example.com", "type: Token, username: gitlab+deploy-token-1, token: gldt-made-up"],
    ["ghcr.io", "type: Token, token: t"],
  ])("has none of %s with %s, which does not expire", (address, auth) => {
    expect(credentialWarningsIn(address, auth)).toEqual([]);
  });
});
