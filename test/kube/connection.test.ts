import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  anonymousInClusterConnection,
  connectionWithToken,
  inClusterConnection,
  type KubeAccess,
  kubeconfigConnection,
  podNamespace,
  KubeconfigError,
  rereadAccess,
} from "../../src/kube/connection.ts";
import { KubeUnreachableError } from "../../src/kube/errors.ts";
import { Transport } from "../../src/kube/transport.ts";
import { RequestRate } from "../../src/kube/request-rate.ts";
import { answer, refuse, startFakeApiServer } from "./fake-api-server.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "pullpass-connection-"));
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(directory, { recursive: true });
});

const write = (name: string, text: string): Promise<void> => writeFile(path.join(directory, name), text);
const ENVIRONMENT = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };

async function writeServiceAccount(token = "made-up-1"): Promise<void> {
  await write("token", `${token}\n`);
  await write("ca.crt", "made-up CA");
  await write("namespace", "pullpass\n");
}

describe("a person's connection", () => {
  it("has their token, and nothing of what authenticates the other one", async () => {
    await writeServiceAccount();
    const own = connectionWithToken(inClusterConnection(ENVIRONMENT, directory), "made-up-person");
    const expected = {
      tls: { ca: Buffer.from("made-up CA") },
      headers: { authorization: "Bearer made-up-person" },
    };
    expect(await own.access()).toEqual(expected);
    expect(await own.renewAccess()).toEqual(expected);
  });

  it("needs no token of the pod", async () => {
    await write("ca.crt", "made-up CA");
    const connection = anonymousInClusterConnection(ENVIRONMENT, directory);
    expect(connection.server.href).toBe("https://10.96.0.1/");
    expect(await connection.access()).toEqual({ tls: { ca: "made-up CA" }, headers: {} });
    expect(() => anonymousInClusterConnection({}, directory)).toThrow(KubeconfigError);
    await rm(path.join(directory, "ca.crt"));
    await expect(connection.access()).rejects.toThrow(KubeconfigError);
  });
});

describe("a pod's connection", () => {
  it("is made of its environment and its service account's files", async () => {
    await writeServiceAccount();
    const connection = inClusterConnection(ENVIRONMENT, directory);
    expect(connection.server.href).toBe("https://10.96.0.1/");
    expect(connection.namespace).toBe("pullpass");
    expect(podNamespace(directory)).toBe("pullpass");
    expect(await connection.access()).toEqual({
      tls: { ca: Buffer.from("made-up CA") },
      headers: { authorization: "Bearer made-up-1" },
    });
  });

  it.each([
    [{ ...ENVIRONMENT, KUBERNETES_SERVICE_HOST: "fd00::1" }, "https://[fd00::1]/"],
    [{ ...ENVIRONMENT, KUBERNETES_SERVICE_PORT: "6443" }, "https://10.96.0.1:6443/"],
    [{ ...ENVIRONMENT, KUBERNETES_SERVICE_PORT: "8080" }, "https://10.96.0.1:8080/"],
  ])("goes over HTTPS whatever the address: %o", (environment, url) => {
    expect(inClusterConnection(environment, directory).server.href).toBe(url);
  });

  it.each([{}, { KUBERNETES_SERVICE_HOST: "10.96.0.1" }, { ...ENVIRONMENT, KUBERNETES_SERVICE_HOST: "" }])(
    "is not there outside of a cluster: %o",
    (environment) => {
      expect(() => inClusterConnection(environment, directory)).toThrow(KubeconfigError);
    },
  );

  it("says which file is missing, and is there when the file is", async () => {
    const connection = inClusterConnection(ENVIRONMENT, directory);
    expect(connection.namespace).toBeUndefined();
    const error: unknown = await connection.access().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KubeUnreachableError);
    expect(error).toMatchObject({ message: expect.stringContaining(path.join(directory, "")) as string });
    await writeServiceAccount();
    expect((await connection.access()).headers).toEqual({ authorization: "Bearer made-up-1" });
  });

  it("has a new token a minute later, or at once when the old one was not accepted", async () => {
    await writeServiceAccount();
    const connection = inClusterConnection(ENVIRONMENT, directory);
    vi.useFakeTimers({ toFake: ["performance", "Date"] });
    const token = async (access: Promise<KubeAccess>) => (await access).headers["authorization"];
    expect(await token(connection.access())).toBe("Bearer made-up-1");
    await write("token", "made-up-2");
    vi.advanceTimersByTime(59_900);
    expect(await token(connection.access())).toBe("Bearer made-up-1");
    vi.advanceTimersByTime(10_200);
    expect(await token(connection.access())).toBe("Bearer made-up-2");
    await write("token", "made-up-3");
    expect(await token(connection.renewAccess())).toBe("Bearer made-up-3");
    expect(await token(connection.access())).toBe("Bearer made-up-3");
  });

  it("goes on with the last token while there is none to read", async () => {
    await writeServiceAccount();
    const connection = inClusterConnection(ENVIRONMENT, directory);
    await connection.access();
    await rm(path.join(directory, "token"));
    expect((await connection.renewAccess()).headers).toEqual({ authorization: "Bearer made-up-1" });
  });

  it("gets in with a token file that was replaced after the old token had expired", async () => {
    const server = await startFakeApiServer(({ headers }, response) => {
      if (headers.authorization === "Bearer made-up-2") answer(response, {});
      else refuse(response, 401, "Unauthorized");
    });
    await writeServiceAccount("made-up-1");
    await write("ca.crt", server.ca);
    const environment = {
      KUBERNETES_SERVICE_HOST: server.url.hostname,
      KUBERNETES_SERVICE_PORT: server.url.port,
    };
    const client = new Transport({
      connection: inClusterConnection(environment, directory),
      rate: new RequestRate({ limit: { perSecond: 1, burst: 1 }, concurrency: 1 }),
    });
    const request = { method: "GET", path: "/api" } as const;
    await expect(client.request(request)).rejects.toMatchObject({ status: 401 });
    await write("token", "made-up-2");
    expect(await client.request(request)).toEqual({});
    expect(server.seen).toHaveLength(4);
    client.close();
    await server.stop();
  });
});

describe("access that is read again", () => {
  it("is read once for all who ask meanwhile", async () => {
    const read = vi.fn(() => Promise.resolve({ tls: {}, headers: {} }));
    const { access, renewAccess } = rereadAccess(read);
    await Promise.all([access(), renewAccess(), access()]);
    expect(read).toHaveBeenCalledOnce();
  });
});

describe("a kubeconfig's connection", () => {
  const write64 = (text: string): string => Buffer.from(text).toString("base64");
  async function kubeconfig(cluster: object, user: object, name = "config"): Promise<string> {
    const text = JSON.stringify({
      clusters: [{ name: "c", cluster: { server: "https://api.example.com:6443/k8s", ...cluster } }],
      users: [{ name: "u", user }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u", namespace: "team-a" } }],
      "current-context": "x",
    });
    await write(name, text);
    return path.join(directory, name);
  }

  it("has the server with its path, the context's namespace, certificates and headers", async () => {
    const file = await kubeconfig(
      { "certificate-authority-data": write64("made-up CA"), "tls-server-name": "kube" },
      { token: "made-up", "client-certificate-data": write64("cert"), "client-key-data": write64("key") },
    );
    const connection = kubeconfigConnection(file);
    expect(connection.server.href).toBe("https://api.example.com:6443/k8s");
    expect(connection.namespace).toBe("team-a");
    const { tls, headers, proxied } = await connection.access();
    expect(headers).toEqual({ authorization: "Bearer made-up" });
    expect(proxied).toBeUndefined();
    expect(tls).toEqual({
      servername: "kube",
      ca: Buffer.from("made-up CA"),
      cert: Buffer.from("cert"),
      key: Buffer.from("key"),
    });
  });

  it.each<[string, object, object, object]>([
    [
      "no verification",
      { "insecure-skip-tls-verify": true },
      { token: "t" },
      { tls: { rejectUnauthorized: false } },
    ],
    ["a password", {}, { username: "u", password: "p" }, { headers: { authorization: "Basic dTpw" } }],
    ["somebody else's name", {}, { token: "t", as: "other" }, { headers: { "impersonate-user": "other" } }],
  ])("has %s if it says so", async (_, cluster, user, expected) => {
    expect(await kubeconfigConnection(await kubeconfig(cluster, user)).access()).toMatchObject(expected);
  });

  it.each(["made-up-token", "{}"])("quotes nothing of an exec plugin that prints %s", async (printed) => {
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "echo", args: [printed] };
    const access = kubeconfigConnection(
      await kubeconfig({}, { exec: { ...exec, interactiveMode: "Never" } }),
    ).access();
    await expect(access).rejects.toThrow(KubeUnreachableError);
    await access.catch((error: unknown) => {
      expect(inspect(error)).not.toContain("made-up");
      expect(inspect(error)).toContain("what the exec plugin printed is not an ExecCredential");
    });
  });

  it("goes through a proxy if it says so", async () => {
    const connection = kubeconfigConnection(
      await kubeconfig({ "proxy-url": "http://proxy.example.com:3128" }, { token: "t" }),
    );
    expect((await connection.access()).proxied).toBeDefined();
  });

  it("speaks plain HTTP if it says so, twice", async () => {
    const plain = createServer((_, response) => response.end('{"kind":"Status"}'));
    await once(plain.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(plain.address() as AddressInfo).port.toString()}`;
    const requestBy = async (cluster: object): Promise<unknown> => {
      const connection = kubeconfigConnection(await kubeconfig({ server: url, ...cluster }, { token: "t" }));
      const client = new Transport({
        connection,
        rate: new RequestRate({ limit: { perSecond: 1, burst: 1 }, concurrency: 1 }),
      });
      try {
        return await client.request({ method: "GET", path: "/api" });
      } finally {
        client.close();
      }
    };
    try {
      expect(await requestBy({ "insecure-skip-tls-verify": true })).toEqual({ kind: "Status" });
      await expect(requestBy({})).rejects.toThrow(/HTTP protocol is not allowed/);
    } finally {
      plain.close();
    }
  });

  it("has what the file says now when the last was not taken", async () => {
    const connection = kubeconfigConnection(await kubeconfig({}, { token: "one" }));
    expect((await connection.access()).headers).toEqual({ authorization: "Bearer one" });
    await kubeconfig({}, { token: "two" });
    expect((await connection.renewAccess()).headers).toEqual({ authorization: "Bearer two" });
  });

  it("runs a plugin that gives out tokens, and runs it again when the last was not taken", async () => {
    const script = `echo x >> ${directory}/runs; n=$(wc -l < ${directory}/runs)
      echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"made-up-'$n'"}}'`;
    const exec = {
      apiVersion: "client.authentication.k8s.io/v1",
      command: "sh",
      args: ["-c", script],
      interactiveMode: "Never",
    };
    const connection = kubeconfigConnection(await kubeconfig({}, { exec }));
    expect((await connection.access()).headers).toEqual({ authorization: "Bearer made-up-1" });
    expect((await connection.renewAccess()).headers).toEqual({ authorization: "Bearer made-up-2" });
  });

  it("is not there without a file, and the error quotes nothing of one that is not a kubeconfig", async () => {
    const missing = path.join(directory, "missing");
    expect(() => kubeconfigConnection(missing)).toThrow(
      new KubeconfigError(`${missing} cannot be used: ENOENT`),
    );
    await write("broken", "users:\n- token: made-up\n\t- x: [");
    expect(() => kubeconfigConnection(path.join(directory, "broken"))).toThrow(
      new KubeconfigError(`${path.join(directory, "broken")} cannot be used: it is not a kubeconfig`),
    );
    await write("empty", "current-context: x\nclusters: []\nusers: []\ncontexts: []\n");
    expect(() => kubeconfigConnection(path.join(directory, "empty"))).toThrow(/has no cluster/);
  });
});
