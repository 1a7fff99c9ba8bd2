/** What the console's server takes from the network, beside an API server that answers as the tests say. */
import { once } from "node:events";
import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readConfiguration } from "../../src/config/read.ts";
import { Console } from "../../src/console/console.ts";
import { consoleListener } from "../../src/http/console-app.ts";
import { answer, startFakeApiServer, type FakeApiServer } from "../kube/fake-api-server.ts";
import { sendRequest } from "../send-request.ts";

let api: FakeApiServer;
let server: Console;
let http: Server;
let url: string;
let cookie: string;

const OWN = { "sec-fetch-site": "same-origin", "content-type": "application/json" };

beforeAll(async () => {
  api = await startFakeApiServer(({ url: { pathname } }, response) => {
    if (pathname.endsWith("/selfsubjectreviews"))
      answer(response, { status: { userInfo: { username: "anna" } } });
    else answer(response, { status: { allowed: true } });
  });
  let key = "";
  server = new Console({
    ...{ connection: api.connection, login: "key", sessionMs: 60_000, clusterName: "made-up" },
    ...{ namespace: "pullpass", configuration: readConfiguration([]), testLogin: undefined },
    onKey(issued) {
      key = issued;
    },
  });
  const onFault = (error: unknown): void => {
    console.error(error);
  };
  http = createServer(
    consoleListener({ server, pages: new Map(), isSecure: false, allowedHosts: [], onFault }),
  );
  await once(http.listen(0, "127.0.0.1"), "listening");
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port.toString()}`;
  const login = { method: "POST", headers: OWN, body: JSON.stringify({ key }) };
  const { headers } = await sendRequest(`${url}/api/login`, login);
  cookie = String(headers["set-cookie"]).split(";")[0] ?? "";
});
afterAll(async () => {
  server.close();
  http.closeAllConnections();
  http.close();
  await api.stop();
});

/** With the path as it is, which may be a whole URL. */
async function put(path: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const request = httpRequest(url, { method: "PUT", path, headers: { ...headers, cookie } });
  request.end('{"isOptedIn":true}');
  const [response] = (await once(request, "response")) as [{ statusCode: number; resume: () => void }];
  response.resume();
  return response.statusCode;
}

const written = (): number => api.seen.filter(({ method }) => method === "PATCH").length;

describe("a write by another site, with the cookie of somebody who is logged in,", () => {
  const path = "/api/namespaces/shop/opt-in";
  it.each([
    ["as the pages write it", () => path, 403],
    ["by a path in capitals", () => path.replace("api", "API"), 405],
    ["by a whole URL", () => `${url}${path}`, 403],
    ["by a whole URL with a query", () => `${url}${path}?a=/api/`, 403],
  ])("is refused %s", async (_, pathOf, status) => {
    const headers = { origin: "https://evil.example", "sec-fetch-site": "cross-site" };
    expect(await put(pathOf(), { ...headers, "content-type": "text/plain" })).toBe(status);
    expect(written()).toBe(0);
  });

  it("is done for our own page", async () => {
    expect(await put(path, OWN)).toBe(200);
    expect(written()).toBe(1);
  });
});
