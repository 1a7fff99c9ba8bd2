import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { checkConfiguration } from "../../src/cli/check.ts";
import { explainImage } from "../../src/core/explain-image.ts";
import { readConfiguration } from "../../src/config/read.ts";
import { documentSchema, registrySchema } from "../../src/config/schema.ts";
import { indexRegistries } from "../../src/core/registry.ts";

const EXAMPLE = fileURLToPath(new URL("../../deploy/examples/pullpass.yaml", import.meta.url));

describe("deploy/examples/pullpass.yaml", () => {
  const configuration = readConfiguration([EXAMPLE]);

  it.each([
    ["registry.example.com/team-a/app:v1", ["regcred"]],
    ["registry.example.com/team-abc/app", ["pullpass-registry-example-com"]],
    ["registry.example.com:5000/team-b/app", ["pullpass-team-b"]],
    ["nginx", ["hub-creds"]],
    ["127.0.0.1:5000/private/app:1", ["local-creds"]],
    ["europe-docker.pkg.dev/my-project/images/app", ["pullpass-google"]],
    ["team-c.azurecr.io/app", ["pullpass-azure"]],
    ["quay.io/my-org/app", ["pullpass-quay"]],
    ["quay.io/app", []],
    ["ghcr.io/my-org/app", ["pullpass-github"]],
    ["123456789012.dkr.ecr.eu-west-1.amazonaws.com/app", ["pullpass-aws"]],
    ["myregistry.com/org/repo", ["docker-conf"]],
  ])("gives %s the pull secrets %j", (image, secrets) => {
    const { registries } = explainImage(image, indexRegistries(configuration.registries));
    expect(registries.map(({ secretName }) => secretName)).toEqual(secrets);
  });

  it("has every setting there is", () => {
    const text = readFileSync(EXAMPLE, "utf8");
    const settings = [...Object.keys(documentSchema.shape), ...Object.keys(registrySchema.shape)];
    expect(settings.filter((setting) => !new RegExp(`^[ -]*${setting}:`, "m").test(text))).toEqual([]);
  });

  it("lacks nothing but the files that a cluster mounts, and warns of Polyaxon's Secret alone", () => {
    const environment = { TEAM_B_PASSWORD: "made-up", AZURE_TOKEN: "made-up" };
    const { lines } = checkConfiguration(configuration, environment, { asked: new Map() });
    expect(lines.map((line) => line.replaceAll(EXAMPLE, "").replace(/(: [^:]+):.*/, "$1"))).toEqual([
      "error: :16: registries[0] (team-a).auth.passwordFrom.file",
      "error: :49: registries[4] (google).auth.tokenFrom.file",
      "error: :66: registries[6] (quay).auth.file",
      "warning: :114: connections[0] (docker-connection-kaniko)",
      "11 registries, 3 errors, 1 warning",
    ]);
  });
});
