/** What a login or a pull that somebody asked for comes to, at a server that answers as registries do. */
import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import type { AddressedCredential } from "../../src/core/credential.ts";
import type { Source } from "../../src/core/replication.ts";
import { logInTo } from "../../src/serve/registry-login.ts";
import { makeRegistry } from "../core/make-registry.ts";
import { startOddServer } from "../registry/odd-server.ts";

const NEVER_THERE = "127.0.0.1:1";
const basic = (password: string): string => `Basic ${Buffer.from(`user:${password}`).toString("base64")}`;

/** `made-up` may pull what is below team-a, `made-up-poor` may log in, and nobody else is let in. */
const server = await startOddServer(({ path, authorization }) => {
  const headers = { "www-authenticate": "Basic realm=r" };
  const isRich = authorization === basic("made-up");
  if (!isRich && authorization !== basic("made-up-poor")) return { status: 401, headers };
  if (path === "/v2/") return {};
  if (!isRich || !path.startsWith("/v2/team-a/")) return { status: 403, headers };
  return { status: path.endsWith("/v1") ? 200 : 404 };
});
const { host } = server;

function source(address: string, ...passwords: readonly string[]): Source {
  const credentials = passwords.map((password): AddressedCredential => ({
    address: parseAddress(address),
    ...{ username: "user", password },
  }));
  return { registry: { ...makeRegistry("a", address), hosts: [] }, credentials, secret: undefined };
}

const works = { reason: "Succeeded", message: `The login works at ${host}` };
const refused = { reason: "Unauthorized", message: `${host}: 401 Unauthorized from ${host}` };
const absent = {
  reason: "NotReached",
  message: `${NEVER_THERE}: connect ECONNREFUSED ${NEVER_THERE}`,
};
const nothing = { reason: "NotAsked", message: "Pullpass has no credentials to log in with" };
const image = (path: string): string => `${host}/${path}`;

describe("a login that somebody asked for", () => {
  it.each<[what: string, of: Source | undefined, image: string | undefined, login: object, pull: unknown]>([
    ["works", source(host, "made-up"), undefined, works, undefined],
    ["is refused", source(host, "made-up-old"), undefined, refused, undefined],
    ["reaches nobody", source(NEVER_THERE, "made-up"), undefined, absent, undefined],
    ["has nothing to log in with", undefined, undefined, nothing, undefined],
    ["has nothing to pull with", undefined, image("team-a/app:v1"), nothing, nothing],
    [
      "may pull the image",
      ...([source(host, "made-up"), image("team-a/app:v1"), works] as const),
      { reason: "Succeeded", message: `The credentials may pull ${image("team-a/app:v1")}` },
    ],
    [
      "may pull, and the image is not there",
      ...([source(host, "made-up"), image("team-a/app:v2"), works] as const),
      { reason: "ImageNotFound", message: `The registry has no ${image("team-a/app:v2")}` },
    ],
    [
      "may not pull the image",
      ...([source(host, "made-up-poor"), image("team-a/app:v1"), works] as const),
      {
        reason: "Unauthorized",
        message: `The credentials may not pull ${image("team-a/app:v1")}: 403 Forbidden from ${host}`,
      },
    ],
    [
      "pulls with the second credential where the first is refused, as kubelet does",
      ...([source(host, "made-up-old", "made-up"), image("team-a/app:v1"), works] as const),
      { reason: "Succeeded", message: `The credentials may pull ${image("team-a/app:v1")}` },
    ],
    [
      "is refused with each credential, and says what the first was told",
      ...([source(host, "made-up-old", "made-up-poor"), image("team-a/app:v1"), refused] as const),
      refused,
    ],
    [
      "does not reach the image's registry",
      ...([source(NEVER_THERE, "made-up"), `${NEVER_THERE}/team-a/app`, absent] as const),
      absent,
    ],
    [
      "is tried alone where the image is another registry's",
      ...([source(`${host}/team-a`, "made-up"), image("team-b/app"), works] as const),
      {
        reason: "NotAsked",
        message: `The registry's address, ${host}/team-a, does not cover ${image("team-b/app")}`,
      },
    ],
    [
      "is tried alone where the image is none",
      ...([source(host, "made-up"), image("App"), works] as const),
      {
        reason: "NotAsked",
        message: "The image is not a reference: the repository has to be lower case",
      },
    ],
  ])("%s", async (_, of, named, login, pull) => {
    expect(await logInTo(of, named)).toEqual({ ...login, pull });
  });

  it("asks nothing about an image that the registry does not cover", async () => {
    const before = server.received.length;
    await logInTo(source(`${host}/team-a`, "made-up"), image("team-b/app"));
    const paths = server.received.slice(before).map(({ path }) => path);
    expect(new Set(paths)).toEqual(new Set(["/v2/"]));
  });

  it("has nothing for an image that the Secret has no credentials for", async () => {
    const { registry, ...rest } = source(host, "made-up");
    const credentials = [{ address: parseAddress(`${host}/team-c`), username: "user", password: "made-up" }];
    const answer = await logInTo({ ...rest, registry, credentials }, image("team-a/app"));
    const message = `its source has nothing for ${image("team-a/app")}`;
    expect(answer).toEqual({
      reason: "NotAsked",
      message,
      pull: { reason: "NotAsked", message },
    });
  });
});
