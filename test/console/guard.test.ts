import { describe, expect, it } from "vitest";
import {
  hostCheck,
  readCookie,
  refusalOf,
  sessionCookie,
  sessionCookieName,
} from "../../src/console/guard.ts";

const isOurHost = hostCheck(["console.example.com"]);
const HOST = { host: "127.0.0.1:8090" };
const OWN = { ...HOST, "sec-fetch-site": "same-origin" };
const JSON_TYPE = { "content-type": "application/json; charset=utf-8" };

describe("a request", () => {
  it.each([
    ["of another host", "GET", "/", { host: "evil.example.com" }, 421],
    ["without a host", "GET", "/", {}, 421],
    ["for data by another site", "GET", "/api/registries", { ...HOST, "sec-fetch-site": "cross-site" }, 403],
    [
      "for data by an address that was typed in",
      "GET",
      "/api/registries",
      { ...HOST, "sec-fetch-site": "none" },
      403,
    ],
    ["to write by what says nothing", "POST", "/api/registries", { ...HOST, ...JSON_TYPE }, 403],
    [
      "to write by another origin",
      "POST",
      "/api/registries",
      { ...OWN, ...JSON_TYPE, origin: "http://127.0.0.1:1" },
      403,
    ],
    [
      "to write by an origin that is none",
      "POST",
      "/api/registries",
      { ...OWN, ...JSON_TYPE, origin: "null" },
      403,
    ],
    [
      "to write what a form can send",
      "DELETE",
      "/api/registries/a",
      { ...OWN, "content-type": "text/plain" },
      415,
    ],
    ["to write what says no type", "DELETE", "/api/registries/a", OWN, 415],
    [
      "to write what is packed",
      "POST",
      "/api/registries",
      { ...OWN, ...JSON_TYPE, "content-encoding": "gzip" },
      415,
    ],
    [
      "to write by our own page",
      "POST",
      "/api/registries",
      { ...OWN, ...JSON_TYPE, origin: "http://127.0.0.1:8090" },
      undefined,
    ],
    [
      "to write by our own page in a browser that sends no Origin",
      "POST",
      "/api/x",
      { ...OWN, ...JSON_TYPE },
      undefined,
    ],
    ["for data by our own page", "GET", "/api/registries", OWN, undefined],
    ["for data by a program", "GET", "/api/registries", HOST, undefined],
    ["for a page from anywhere", "GET", "/", { ...HOST, "sec-fetch-site": "cross-site" }, undefined],
  ] as const)("%s", (_, method, path, headers, status) => {
    expect(refusalOf({ method, path, headers }, isOurHost)?.status).toBe(status);
  });
});

it.each([
  ["localhost", true],
  ["localhost:4711", true],
  ["LOCALHOST", true],
  ["127.0.0.1:1", true],
  ["[::1]:8090", true],
  ["console.example.com", true],
  ["console.example.com:443", true],
  ["127.0.0.1.evil.example.com", false],
  ["evil.example.com", false],
  ["127.0.0.2", false],
  ["localhost:80:80", false],
  ["localhost@evil.example.com", false],
  ["", false],
])("the host %j is ours: %s", (host, isOurs) => {
  expect(isOurHost(host)).toBe(isOurs);
});

it("a cookie is for this console alone, and never for a script", () => {
  expect(sessionCookie(sessionCookieName(true, 8443), "id", true, 3600)).toBe(
    "__Host-pullpass-console=id; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600; Secure",
  );
  expect(sessionCookieName(false, 8090)).toBe("pullpass-console-8090");
  expect(readCookie("a=1; pullpass-console-8090=id; b=2", "pullpass-console-8090")).toBe("id");
  expect(readCookie("xpullpass-console-8090=id", "pullpass-console-8090")).toBe("");
  expect(readCookie(undefined, "a")).toBe("");
});
