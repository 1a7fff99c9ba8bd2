import { readFile } from "node:fs/promises";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { IncomingMessage } from "node:http";
import {
  KubeApiError,
  KubeUnreachableError,
  type KubeClient,
  type KubeRequest,
  type WatchEvent,
} from "../../src/kube/client.ts";
import type { JsonObject } from "../../src/core/kubernetes.ts";
import type { Cluster } from "./cluster.ts";

/** A client of the cluster's admin that makes a connection for every request and knows no rate. */
export async function createTestKubeClient({ server, authority, network }: Cluster): Promise<KubeClient> {
  const file = (name: string) => readFile(join(network.directory, "pki", name), "utf8");
  const credentials = {
    ca: authority.pem,
    cert: await file("kubelet-client.crt"),
    key: await file("kubelet-client.key"),
    agent: false,
  };
  const send = (
    request: Omit<KubeRequest, "lane">,
    options: RequestOptions,
  ): Promise<{ response: IncomingMessage; text: Promise<string> }> =>
    new Promise((resolve, reject) => {
      const { method, path, query = {}, body, contentType = "application/json", accept } = request;
      const url = `${server}${path}?${new URLSearchParams(query).toString()}`;
      const payload = Buffer.from(body === undefined ? "" : JSON.stringify(body));
      const headers = {
        accept: accept ?? "application/json",
        "content-type": contentType,
        // Without a length Node says nothing of a DELETE's body, and its preconditions would go unread.
        "content-length": payload.length,
      };
      httpsRequest(url, { ...credentials, ...options, method, headers }, (response) => {
        if (response.statusCode === 200 && options.signal !== undefined) {
          resolve({ response, text: Promise.resolve("") });
          return;
        }
        let text = "";
        response
          .setEncoding("utf8")
          .on("data", (chunk: string) => (text += chunk))
          .once("end", () => {
            resolve({ response, text: Promise.resolve(text) });
          });
      })
        .once("error", (error) => {
          reject(new KubeUnreachableError(error.message, { cause: error }));
        })
        .end(payload);
    });
  const check = ({ statusCode = 0 }: IncomingMessage, body: JsonObject): void => {
    if (statusCode < 400) return;
    throw new KubeApiError(statusCode, String(body["reason"]), body, String(body["message"]));
  };

  return {
    async request(request) {
      const { response, text } = await send(request, {});
      const body = JSON.parse(await text) as JsonObject;
      check(response, body);
      return body;
    },
    async watch({ path, query }, onEvent, signal) {
      try {
        const { response, text } = await send(
          { method: "GET", path, query: { ...query, watch: "true" } },
          { signal },
        );
        if (response.statusCode !== 200) check(response, JSON.parse(await text) as JsonObject);
        for await (const line of createInterface({ input: response }))
          onEvent(JSON.parse(line) as WatchEvent);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
    close() {
      // There is nothing that stays open.
    },
  };
}
