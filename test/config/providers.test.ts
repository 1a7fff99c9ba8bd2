import { describe, expect, it } from "vitest";
import { formatDiagnostic } from "../../src/config/diagnostics.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { providersWithoutPrograms } from "../../src/config/providers.ts";
import type { JsonObject } from "../../src/core/kubernetes.ts";

/** As the documentation of the vendor has it for kubelet. */
const ECR = {
  name: "ecr-credential-provider",
  apiVersion: "credentialprovider.kubelet.k8s.io/v1",
  matchImages: ["*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn"],
  defaultCacheDuration: "12h",
  args: ["get-credentials"],
  env: [{ name: "AWS_PROFILE", value: "made-up" }],
};
const HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
const AWS = { name: "aws", address: HOST, auth: { type: "Provider", provider: ECR.name } };

const load = (document: JsonObject) =>
  loadConfiguration([{ path: "pullpass.yaml", text: JSON.stringify(document) }]);
const withProvider = (changes: JsonObject) => () => load({ providers: [{ ...ECR, ...changes }] });
const withRegistry = (changes: JsonObject) => () =>
  load({ providers: [ECR], registries: [{ ...AWS, ...changes }] });

describe("an entry of providers", () => {
  it("is that of a kubelet's configuration, as it is", () => {
    const [provider] = load({ providers: [ECR] }).providers;
    expect(provider).toMatchObject({
      ...{ name: ECR.name, protocol: "kubelet", matchImages: ECR.matchImages, args: ECR.args },
      ...{ defaultCacheDurationMs: 12 * 3_600_000, gracePeriodMs: 600_000 },
    });
    expect(provider?.env.map(({ name, value }) => [name, value.reveal()])).toEqual([
      ["AWS_PROFILE", "made-up"],
    ]);
    expect(JSON.stringify(provider?.env)).not.toContain("made-up");
  });

  it("is a credential helper of docker's by its name and protocol alone", () => {
    const helper = { name: "docker-credential-gcr", protocol: "docker", credentialGracePeriod: "0" };
    expect(load({ providers: [helper] }).providers).toMatchObject([
      { protocol: "docker", matchImages: [], defaultCacheDurationMs: undefined, gracePeriodMs: 0 },
    ]);
  });

  const NAME = "name: must be the name of a program";
  it.each<[changes: JsonObject, message: string]>([
    [{ name: "bin/ecr" }, NAME],
    [{ name: "ecr provider" }, NAME],
    [{ name: "." }, NAME],
    [{ name: ".." }, NAME],
    [{ name: "" }, NAME],
    [{ apiVersion: undefined }, "apiVersion: is missing"],
    [
      { apiVersion: "credentialprovider.kubelet.k8s.io/v1beta1" },
      "apiVersion: must be credentialprovider.kubelet.k8s.io/v1",
    ],
    [{ matchImages: undefined }, "matchImages: is missing"],
    [{ matchImages: [] }, "matchImages: must name a pattern"],
    [{ matchImages: ["https://gcr.io"] }, "matchImages[0]: must be a pattern of images"],
    [{ defaultCacheDuration: undefined }, "defaultCacheDuration: is missing"],
    [{ defaultCacheDuration: "12" }, "defaultCacheDuration: must be a duration"],
    [{ defaultCacheDuration: "-1h" }, "defaultCacheDuration: must be a duration"],
    [{ defaultCacheDuration: 0 }, "defaultCacheDuration: must be a string, not a number; quote it"],
    [{ credentialGracePeriod: "10 minutes" }, "credentialGracePeriod: must be a duration"],
    [{ protocol: "podman" }, "protocol: must be kubelet or docker"],
    [{ args: ["made-up\0"] }, "args[0]: contains a NUL character"],
    [
      { env: [{ name: "A=B", value: "made-up" }] },
      "env[0].name: must be the name of an environment variable",
    ],
    [
      { tokenAttributes: { serviceAccountTokenAudience: "sts.amazonaws.com", cacheType: "Token" } },
      "tokenAttributes: is not supported: Pullpass runs the program for registries, not for pods",
    ],
    [
      { cacheDuration: "12h" },
      "unknown key, not shown because it may be a password; known keys are name, protocol",
    ],
  ])("with %j is refused", (changes, message) => {
    expect(withProvider(changes)).toThrow(message);
    expect(withProvider(changes)).not.toThrow("made-up");
  });

  it("has a name of its own", () => {
    expect(() => load({ providers: [ECR, ECR] })).toThrow(
      "pullpass.yaml:1: providers[1] (ecr-credential-provider).name: the provider at pullpass.yaml:1 has this name already",
    );
  });

  it("needs a directory of programs to be run", () => {
    const configuration = load({ providers: [ECR] });
    expect(providersWithoutPrograms(configuration, undefined).map(formatDiagnostic)).toEqual([
      "pullpass.yaml:1: providers[0] (ecr-credential-provider): needs --credential-provider-bin-dir, the directory that the program is in",
    ]);
    expect(providersWithoutPrograms(configuration, "/usr/bin")).toEqual([]);
  });
});

describe("a registry with a provider", () => {
  it("has it as the source of its credentials", () => {
    expect(load({ providers: [ECR], registries: [AWS] }).registries).toMatchObject([
      { source: { kind: "provider", provider: ECR.name }, buildSource: { kind: "build-secret" } },
    ]);
  });

  it.each<[what: string, changes: JsonObject, message: string]>([
    [
      "that is not in the list",
      { auth: { type: "Provider", provider: "made-up" } },
      "auth.provider: is not the name",
    ],
    [
      "for other images",
      { address: "registry.example.com/a" },
      "auth.provider: matchImages of the provider does not cover registry.example.com/a",
    ],
    ["and a *", { address: "*.dkr.ecr.eu-west-1.amazonaws.com" }, "hosts: must list the hosts behind the *"],
    [
      "and a host for other images",
      { address: "*.dkr.*.eu-west-1.amazonaws.com", hosts: [HOST, "1.dkr.mirror.eu-west-1.amazonaws.com"] },
      "does not cover 1.dkr.mirror.eu-west-1.amazonaws.com/pullpass",
    ],
    ["and a Secret", { auth: { ...AWS.auth, secretRef: { name: "a" } } }, "auth.secretRef: unknown key"],
  ])("%s is refused", (_what, changes, message) => {
    expect(withRegistry(changes)).toThrow(message);
    expect(withRegistry(changes)).not.toThrow("made-up");
  });
});
