import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { Sensitive, usernameForToken } from "../../src/core/credential.ts";

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
    ["nvcr.io", "t", "$oauthtoken"],
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

describe("Sensitive", () => {
  const password = "made-up-password";
  const sensitive = new Sensitive(password);

  it("gives its text to those who ask for it", () => {
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
