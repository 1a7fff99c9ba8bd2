/** How `serve` starts: each step that fails ends it before a Lease is taken, and so does a signal at each step. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeSelfSignedCertificate } from "../../src/tls/x509.ts";
import { writeKubeconfig, type KubeconfigFields } from "../cluster/harness/certificates.ts";
import { refuse, type FakeApiServer } from "../kube/fake-api-server.ts";
import { startEmptyCluster, type EmptyCluster, type Fault } from "./empty-cluster.ts";
import { waitUntil } from "../wait-until.ts";
import { startServe, type ServeProcess } from "./start-serve.ts";

let directory: string;
let running: ServeProcess | undefined;
let servers: (FakeApiServer | Server)[] = [];
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "pullpass-start-"));
});
afterEach(async () => {
  running?.child.kill("SIGKILL");
  await running?.exit;
  running = undefined;
  for (const server of servers) await ("stop" in server ? server.stop() : server.close());
  servers = [];
  rmSync(directory, { recursive: true });
});

const file = (name: string) => path.join(directory, name);
function write(name: string, text: string): string {
  writeFileSync(file(name), text);
  return file(name);
}
const config = () =>
  write(
    "pullpass.yaml",
    'registries: [{ name: local, address: "127.0.0.1:5000", auth: { type: Token, token: made-up } }]\n',
  );
function serve(...flags: readonly string[]): ServeProcess {
  return (running = startServe(flags));
}
async function clusterWith(fault: Fault = () => false): Promise<EmptyCluster> {
  const cluster = await startEmptyCluster(file("kubeconfig"), fault);
  servers.push(cluster.server);
  return cluster;
}
/** Accepts connections, and says nothing. */
async function silentPort(): Promise<number> {
  const server = createServer((socket) => socket.on("error", () => undefined));
  servers.push(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  server.unref();
  return (server.address() as AddressInfo).port;
}
async function kubeconfigFor(
  server: string,
  client: KubeconfigFields["client"] = { token: "made-up" },
): Promise<string> {
  const { certificate } = await makeSelfSignedCertificate(["127.0.0.1"], new Date());
  await writeKubeconfig(file("kubeconfig"), { server, authorityPem: certificate, client });
  return file("kubeconfig");
}
const plugin = (command: string, ...args: readonly string[]) => ({
  exec: { apiVersion: "client.authentication.k8s.io/v1", command, args, interactiveMode: "Never" },
});

interface Failure {
  readonly what: string;
  /** Default: that of a cluster which answers everything. */
  readonly flags: () => Promise<readonly string[]>;
  readonly status?: 1 | 2;
  readonly says: RegExp;
}

describe("serve ends before it takes the Lease", () => {
  let cluster: EmptyCluster;
  const joining = async (fault?: Fault, ...flags: readonly string[]) => {
    cluster = await clusterWith(fault);
    return ["--config", config(), "--kubeconfig", cluster.kubeconfig, ...flags];
  };
  const refusing =
    (pathname: string, status: number, reason: string): Fault =>
    ({ url }, response) => {
      if (!url.pathname.startsWith(pathname)) return false;
      refuse(response, status, reason);
      return true;
    };

  it.each<Failure>([
    {
      what: "the configuration has errors",
      flags: async () => [...(await joining()), "--config", write("wrong.yaml", "registires: []\n")],
      status: 2,
      says: /^pullpass: the configuration cannot be used:\n.*wrong\.yaml:1: registires: unknown key.*\n$/,
    },
    {
      what: "the certificate is not one",
      flags: async () => [...(await joining()), "--tls-cert", write("c", "x"), "--tls-key", write("k", "x")],
      says: /^pullpass: .*\/c does not contain a PEM certificate\n$/,
    },
    {
      what: "the port for reviews is in use",
      flags: () => taken("--listen"),
      says: /^pullpass: cannot listen on 127\.0\.0\.1:\d+ \(--listen\): the port is in use; stop the process .*\n$/,
    },
    {
      what: "the port for probes is in use",
      flags: () => taken("--admin-listen"),
      says: /^pullpass: cannot listen on 127\.0\.0\.1:\d+ \(--admin-listen\): the port is in use; .*\n$/,
    },
    {
      what: "the address is that of another machine",
      flags: async () => [...(await joining()), "--listen", "192.0.2.1:8443"],
      says: /^pullpass: cannot listen on 192\.0\.2\.1:8443 \(--listen\): this machine does not have that address\n$/,
    },
    {
      what: "the kubeconfig's credential plugin fails",
      flags: async () => {
        await joining();
        const user = plugin("sh", "-c", "echo log in first >&2; exit 1");
        return ["--config", config(), "--kubeconfig", await kubeconfigFor(cluster.server.url.origin, user)];
      },
      says: /^pullpass: there is nothing to authenticate with: log in first: Pullpass needs a .*\n$/,
    },
    {
      what: "the API server's certificate is not trusted",
      flags: async () => {
        await joining();
        return ["--config", config(), "--kubeconfig", await kubeconfigFor(cluster.server.url.origin)];
      },
      says: /^pullpass: the certificate of the API server https:\S+ is not trusted: .*: correct the server or .*\n$/,
    },
    {
      what: "the API server's certificate is for another name",
      flags: async () => {
        await joining();
        const { port } = cluster.server.url;
        const { ca } = cluster.server;
        const client = { token: "made-up" };
        const server = `https://localhost:${port}`;
        await writeKubeconfig(file("kubeconfig"), { server, authorityPem: ca, client });
        return ["--config", config(), "--kubeconfig", file("kubeconfig")];
      },
      says: /^pullpass: the certificate of the API server https:\S+ is not trusted: .*altnames.*\n$/,
    },
    {
      what: "the API server does not know the credentials",
      flags: () => joining(refusing("/", 401, "Unauthorized")),
      says: /^pullpass: the API server https:\S+ refuses GET \S+: 401 Unauthorized: .*: renew the token .*\n$/,
    },
    ...["/api/v1/secrets", "/api/v1/serviceaccounts", "/apis/coordination", "/apis/admissionreg"].map(
      (pathname) => ({
        what: `the account may not read ${pathname}`,
        flags: () => joining(refusing(pathname, 403, "Forbidden")),
        says: new RegExp(
          `^pullpass: the API server https:\\S+ refuses GET ${pathname}\\S*: 403 Forbidden: .*: give Pullpass the rights in deploy/pullpass/templates/rbac.yaml .*\n$`,
        ),
      }),
    ),
    {
      what: "it is not an API server",
      flags: () => joining(refusing("/", 404, "")),
      says: /^pullpass: the API server https:\S+ refuses GET \S+: 404: .*: check that this is the address of .*\n$/,
    },
    {
      what: "its namespace does not exist",
      flags: () => joining(undefined, "--namespace", "not-there"),
      says: /^pullpass: the namespace not-there does not exist in the cluster at https:\S+: create it, or .*\n$/,
    },
  ])("when $what", async ({ flags, status = 1, says }) => {
    const { exit } = serve(...(await flags()));
    const { stderr, ...end } = await exit;
    expect(stderr).toMatch(says);
    expect(end.status).toBe(status);
    expect(cluster.writes()).toEqual([]);
  });

  async function taken(flag: string): Promise<readonly string[]> {
    return [...(await joining()), flag, `127.0.0.1:${String(await silentPort())}`];
  }

  it("and asks the API server for nothing where a port is in use", async () => {
    const { exit } = serve(...(await taken("--listen")));
    expect((await exit).status).toBe(1);
    expect(cluster.server.seen).toEqual([]);
  });

  it("but not for a refusal that does not last, as of an API server that has just started", async () => {
    let refusals = 0;
    const flags = await joining((seen, response) => {
      if (refusals === 2 || seen.url.pathname !== "/api/v1/namespaces") return false;
      refusals += 1;
      refuse(response, 403, "Forbidden");
      return true;
    });
    await serve(...flags).logged("ready");
    expect(refusals).toBe(2);
  });
});

describe("serve waits for an API server that is not reached yet", () => {
  const readiness = async ({ lines }: ServeProcess): Promise<string> => {
    const url = lines.find(({ msg }) => msg === "starting")?.["adminUrl"];
    return (await fetch(new URL("/readyz", String(url)))).text();
  };

  it.each<[string, string, RegExp, Fault]>([
    [
      "closes connections",
      "is not reached",
      /socket hang up|ECONNRESET|closed/,
      ({ socket }) => socket.destroy().destroyed,
    ],
    [
      "answers 500",
      "is not ready",
      /500 InternalError/,
      (_, response) => {
        refuse(response, 500, "InternalError");
        return true;
      },
    ],
  ])("and %s, says so in the log and at /readyz, and then goes on", async (_, state, cause, fault) => {
    let isUp = false;
    const cluster = await clusterWith((seen, response) => !isUp && fault(seen, response));
    const process_ = serve("--config", config(), "--kubeconfig", cluster.kubeconfig);
    const { level, reason } = await process_.logged("waiting for the API server");
    expect(level).toBe("warn");
    expect(reason).toMatch(new RegExp(`^the API server ${cluster.server.url.origin} ${state}: `));
    expect(reason).toMatch(cause);
    expect(await readiness(process_)).toBe(`${String(reason)}\n`);
    expect(cluster.writes()).toEqual([]);
    isUp = true;
    await process_.logged("ready");
    expect(await readiness(process_)).toBe("ok\n");
  });

  it("and first says which namespace it runs in, and why", async () => {
    const cluster = await clusterWith();
    const process_ = serve("--config", config(), "--kubeconfig", cluster.kubeconfig);
    // The kubeconfig's context names the namespace `default`.
    expect(await process_.logged("starting")).toMatchObject({
      apiServer: `${cluster.server.url.origin}/`,
      namespace: "pullpass",
      namespaceFrom: "the default, since there is no --namespace",
    });
    await process_.logged("ready");
    const lease = "POST /apis/coordination.k8s.io/v1/namespaces/pullpass/leases";
    await waitUntil("the Lease", () => cluster.writes().find((line) => line === lease));
    expect(cluster.writes().filter((line) => line.includes("/default/"))).toEqual([]);
  });
});

interface Step {
  readonly what: string;
  /** Starts `serve`, and waits until it is at that step. */
  readonly at: () => Promise<ServeProcess>;
}

describe("a signal ends serve", () => {
  const hang =
    (is: (seen: { readonly method: string; readonly url: URL }) => boolean): Fault =>
    (seen) =>
      is(seen);
  const joining = async (fault: Fault, isThere: (request: string) => boolean): Promise<ServeProcess> => {
    const cluster = await clusterWith(fault);
    const process_ = serve("--config", config(), "--kubeconfig", cluster.kubeconfig, "--shutdown-delay", "0");
    await waitUntil("the request", () =>
      cluster.server.seen.find(({ method, url }) => isThere(`${method} ${url.pathname}${url.search}`)),
    );
    return process_;
  };

  const steps: readonly Step[] = [
    {
      what: "reads a configuration that nobody writes",
      async at() {
        spawnSync("mkfifo", [file("fifo")]);
        const process_ = serve("--config", file("fifo"), "--standalone", "--tls-self-signed");
        // Nothing tells that it reads.
        await setTimeout(1_000);
        return process_;
      },
    },
    {
      what: "waits for a credential plugin",
      async at() {
        const marker = file("plugin-started");
        const user = plugin("sh", "-c", `touch ${marker}; exec sleep 15`);
        const kubeconfig = await kubeconfigFor("https://127.0.0.1:1", user);
        const process_ = serve("--config", config(), "--kubeconfig", kubeconfig);
        await process_.logged("waiting for the API server");
        return process_;
      },
    },
    {
      what: "waits for an API server that does not listen",
      async at() {
        const kubeconfig = await kubeconfigFor("https://127.0.0.1:1");
        const process_ = serve("--config", config(), "--kubeconfig", kubeconfig);
        await process_.logged("waiting for the API server");
        return process_;
      },
    },
    {
      what: "waits for an API server, and has its certificate already",
      async at() {
        const kubeconfig = await kubeconfigFor("https://127.0.0.1:1");
        const flags = ["--kubeconfig", kubeconfig, "--tls-self-signed", "--shutdown-delay", "20"];
        const process_ = serve("--config", config(), ...flags);
        await process_.logged("waiting for the API server");
        return process_;
      },
    },
    {
      what: "waits for a TLS handshake",
      async at() {
        const kubeconfig = await kubeconfigFor(`https://127.0.0.1:${String(await silentPort())}`);
        const process_ = serve("--config", config(), "--kubeconfig", kubeconfig);
        await process_.logged("starting");
        return process_;
      },
    },
    {
      what: "waits for the first answer",
      at: () =>
        joining(
          hang(() => true),
          () => true,
        ),
    },
    {
      what: "waits for the first lists",
      at: () =>
        joining(
          hang(({ url }) => url.searchParams.get("limit") === "200"),
          (request) => request.includes("limit=200"),
        ),
    },
    {
      what: "takes the Lease",
      at: () =>
        joining(
          hang(({ method, url }) => method === "POST" && url.pathname.endsWith("/leases")),
          (request) => request.startsWith("POST") && request.endsWith("/leases"),
        ),
    },
    {
      what: "makes its certificate",
      at: () =>
        joining(
          hang(({ method, url }) => method === "POST" && url.pathname.endsWith("/secrets")),
          (request) => request.startsWith("POST") && request.includes("/pullpass/secrets"),
        ),
    },
    {
      what: "serves",
      async at() {
        const process_ = await joining(
          hang(() => false),
          () => true,
        );
        await process_.logged("ready");
        return process_;
      },
    },
    {
      what: "serves, and the API server hangs",
      async at() {
        let isHanging = false;
        const process_ = await joining(
          hang(() => isHanging),
          () => true,
        );
        await process_.logged("ready");
        isHanging = true;
        return process_;
      },
    },
  ];

  // What SIGINT does is in serve.test.ts: it ends the last step without the delay, and is the same in all others.
  it.each(steps)("that $what", async ({ at }) => {
    const process_ = await at();
    const sentAt = performance.now();
    process_.child.kill("SIGTERM");
    const { status, stderr } = await process_.exit;
    // An API server that hangs is given 7.5 s for last writes and the Lease.
    expect(performance.now() - sentAt).toBeLessThan(12_000);
    expect(stderr).toBe("");
    // Null where nothing was there to be stopped, and the signal did what it does by default.
    expect(status ?? 0).toBe(0);
    if (status === 0) expect(process_.lines.at(-1)).toMatchObject({ msg: "stopped" });
  });
});
