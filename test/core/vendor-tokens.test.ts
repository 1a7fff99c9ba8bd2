import { describe, expect, it } from "vitest";
import {
  isGitLabDeployToken,
  missingUsername,
  tokenLifetime,
  usernameForToken,
} from "../../src/core/vendor-tokens.ts";

const SERVICE_ACCOUNT_KEY = JSON.stringify({ type: "service_account", project_id: "made-up" });

describe("usernameForToken", () => {
  it.each([
    ["gcr.io", ` ${SERVICE_ACCOUNT_KEY}`, "_json_key"],
    ["registry.example.com", SERVICE_ACCOUNT_KEY, "_json_key"],
    ["gcr.io", "t", "oauth2accesstoken"],
    ["eu.gcr.io", "t", "oauth2accesstoken"],
    ["europe-docker.pkg.dev", "t", "oauth2accesstoken"],
    ["team.azurecr.io", "t", "00000000-0000-0000-0000-000000000000"],
    ["*.azurecr.io", "t", "00000000-0000-0000-0000-000000000000"],
    ["123456789012.dkr.ecr.eu-west-1.amazonaws.com", "t", "AWS"],
    ["123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "t", "AWS"],
    ["123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "t", "AWS"],
    ["public.ecr.aws", "t", "AWS"],
    ["123456789012.dkr-ecr.eu-west-1.on.aws", "t", "AWS"],
    ["team.azurecr.cn", "t", "00000000-0000-0000-0000-000000000000"],
    ["nvcr.io", "t", "$oauthtoken"],
    ["ghcr.io", "t", "token"],
    ["registry.example.com", "t", "token"],
    ["notgcr.io", "t", "token"],
    ["gcr.io.example.com", "t", "token"],
    ["registry.example.com", "{not JSON", "token"],
    ["registry.example.com", "{}", "token"],
    ["registry.example.com", '{"type":"authorized_user"}', "token"],
  ])("%s with token %s: %s", (host, token, username) => {
    expect(usernameForToken(host, token)).toBe(username);
  });
});

describe("missingUsername", () => {
  it.each([
    ["docker.io", "Docker Hub refuses a token without it; it is the account"],
    ["quay.io", "Quay refuses a token without it; it is the robot account as in org+robot"],
    ["fra.ocir.io", "Oracle Cloud refuses a token without it; it is <tenancy namespace>/<user name>"],
    ["acme.jfrog.io", "JFrog refuses a token without it; it is the user"],
    ["registry.redhat.io", "Red Hat refuses a token without it; it is the registry service account"],
  ])("%s: %s", (host, sentence) => {
    expect(missingUsername(host)).toContain(`is missing: ${sentence}`);
  });

  it.each(["ghcr.io", "registry.gitlab.com", "registry.example.com", "gcr.io", "nvcr.io", "notdocker.io"])(
    "%s takes a token without one, as far as its name tells",
    (host) => {
      expect(missingUsername(host)).toBeUndefined();
    },
  );
});

describe("tokenLifetime", () => {
  it.each([
    ["gcr.io", "oauth2accesstoken", "Google", "1 hour"],
    ["a.azurecr.io", "00000000-0000-0000-0000-000000000000", "Azure", "3 hours"],
    ["1.dkr.ecr.eu-west-1.amazonaws.com", "AWS", "Amazon ECR", "12 hours"],
  ])("%s as %s: a token of %s for %s", (host, username, vendor, lifetime) => {
    expect(tokenLifetime(host, username)).toEqual({ vendor, lifetime });
  });

  it.each([
    ["gcr.io", "_json_key"],
    ["a.azurecr.io", "a-service-principal"],
    ["nvcr.io", "$oauthtoken"],
    ["docker.io", "acme"],
    ["registry.example.com", "AWS"],
  ])("%s as %s: none that is known", (host, username) => {
    expect(tokenLifetime(host, username)).toBeUndefined();
  });
});

it("knows a deploy token of GitLab by its prefix", () => {
  expect(isGitLabDeployToken("gldt-made-up")).toBe(true);
  expect(isGitLabDeployToken("glpat-made-up")).toBe(false);
});
