import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAuthority, writeKeyPair, type Authority } from "./certificates.ts";
import { claimNetwork } from "./claim-network.ts";
import { keepLogs, reportToStandardError } from "./cluster.ts";
import { NODE_PROGRAMS, requireDebianPrograms, type NodePrograms } from "./debian-programs.ts";
import { pauseImage, writeImageLayout, type ImageContent } from "./images.ts";
import { runCommand } from "./run-command.ts";
import { runDaemon } from "./run-daemon.ts";
import { sendRequest } from "../../send-request.ts";
import { startOrUndo, startWatchdog } from "./teardown.ts";
import { startTokenServer, type TokenRequest } from "./token-server.ts";

const PORT = 5000;

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** Where a registry learns who may do what: from a file of passwords, or from a token that a server signed. */
export type RegistryAuth =
  | { readonly kind: "basic" }
  | {
      readonly kind: "token";
      readonly realm: string;
      readonly service: string;
      readonly issuer: string;
      readonly certificateFile: string;
    };

export interface AccessLogEntry {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly status: number;
  readonly userAgent: string;
}

export interface Registry {
  /** As image names have it: `ADDRESS:PORT`. */
  readonly host: string;
  readonly url: string;
  /** PEM of the authority that signed its certificate. */
  readonly authorityFile: string;
  /** Every request so far; with a repository only those about it. */
  accessLog(repository?: string): Promise<readonly AccessLogEntry[]>;
  /** The status of every request that the node's containerd made about a repository, oldest first. */
  pullStatuses(repository: string): Promise<readonly number[]>;
  /** Pushes an image, by default one that only waits, and returns its full name. No two share a layer. */
  push(repositoryAndTag: string, credentials: Credentials, content?: ImageContent): Promise<string>;
  stop(): Promise<void>;
}

export interface RegistryOptions {
  readonly name: string;
  readonly host: string;
  readonly directory: string;
  readonly logDirectory: string;
  readonly authority: Authority;
  readonly auth: RegistryAuth;
  readonly programs: NodePrograms;
  readonly pause: string;
  /** Names by which clients ask for it, beside its address; its certificate has them, too. */
  readonly dnsNames?: readonly string[];
}

export async function startRegistry(options: RegistryOptions): Promise<Registry> {
  const { name, host: address, authority, programs, logDirectory, dnsNames = [] } = options;
  const directory = join(options.directory, name);
  const host = `${address}:${String(PORT)}`;
  const url = `https://${host}`;
  // skopeo takes a directory of authorities and tells them from other files by the ending.
  const authorityDirectory = join(directory, "authority");
  const authorityFile = join(authorityDirectory, "ca.crt");
  await mkdir(authorityDirectory, { recursive: true });
  await writeFile(authorityFile, authority.pem);
  const serving = await authority.issue({ commonName: name, hosts: [address, ...dnsNames] });
  const { certificateFile, keyFile } = await writeKeyPair(directory, "serving", serving);

  const configFile = join(directory, "config.json");
  const config = {
    version: "0.1",
    log: { level: "warn", accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: join(directory, "storage") }, delete: { enabled: true } },
    http: { addr: host, secret: "one replica only", tls: { certificate: certificateFile, key: keyFile } },
    auth: authConfiguration(options.auth, directory),
  };
  await writeFile(configFile, JSON.stringify(config));
  const daemon = await runDaemon({
    name: `registry-${name}`,
    command: programs["docker-registry"],
    args: ["serve", configFile],
    logDirectory,
    // Anything but 401 would let everybody in.
    isReady: async () => (await sendRequest(`${url}/v2/`, { ca: authority.pem })).status === 401,
  });

  const accessLog = async (repository?: string) => {
    const entries = parseAccessLog(await readFile(daemon.logFile, "utf8"));
    return repository === undefined
      ? entries
      : entries.filter(({ path }) => path.startsWith(`/v2/${repository}/`));
  };
  return {
    host,
    url,
    authorityFile,
    accessLog,
    async pullStatuses(repository) {
      const entries = await accessLog(repository);
      return entries
        .filter(({ userAgent }) => userAgent.startsWith("containerd/"))
        .map(({ status }) => status);
    },
    async push(repositoryAndTag, { username, password }, content) {
      const image = `${host}/${repositoryAndTag}`;
      const layout = join(directory, "push", repositoryAndTag.replaceAll(/[/:]/g, "_"));
      await writeImageLayout(layout, image, content ?? (await pauseImage(options.pause)));
      await runCommand(programs.skopeo, [
        ...["--insecure-policy", "copy", "--quiet", `--dest-cert-dir=${authorityDirectory}`],
        ...[`--dest-creds=${username}:${password}`, `oci:${layout}:latest`, `docker://${image}`],
      ]);
      await rm(layout, { recursive: true });
      return image;
    },
    stop: () => daemon.stop(),
  };
}

function authConfiguration(auth: RegistryAuth, directory: string): object {
  if (auth.kind === "basic")
    return { htpasswd: { realm: "pullpass tests", path: join(directory, "htpasswd") } };
  const { realm, service, issuer, certificateFile } = auth;
  return { token: { realm, service, issuer, rootcertbundle: certificateFile } };
}

/** Apache's combined log format: `host - - [time] "METHOD PATH PROTOCOL" STATUS SIZE "REFERER" "USER AGENT"`. */
function parseAccessLog(log: string): readonly AccessLogEntry[] {
  const line =
    /\] "(?<method>[A-Z]+) (?<path>\S+) HTTP\/[\d.]+" (?<status>\d{3}) \d+ "[^"]*" "(?<agent>[^"]*)"/;
  return log.split("\n").flatMap((text) => {
    const { method, path, status, agent } = line.exec(text)?.groups ?? {};
    if (method === undefined || path === undefined || agent === undefined) return [];
    return [{ method, path, status: Number(status), userAgent: agent }];
  });
}

export interface RegistryWithUsers extends Registry {
  /** Lets somebody in, or changes the password. */
  setUser(credentials: Credentials): Promise<void>;
}

/** A registry that asks for a user name and a password (HTTP Basic), from a file that it reads again when it changes. */
export async function startPasswordRegistry(
  options: Omit<RegistryOptions, "auth">,
): Promise<RegistryWithUsers> {
  const directory = join(options.directory, options.name);
  const file = join(directory, "htpasswd");
  await mkdir(directory, { recursive: true });
  await writeFile(file, "");
  const registry = await startRegistry({ ...options, auth: { kind: "basic" } });
  return {
    ...registry,
    async setUser({ username, password }) {
      // -B is bcrypt, the only hash that the registry knows; -i reads the password from standard input.
      await runCommand(options.programs.htpasswd, ["-iB", file, username], { input: password });
    },
  };
}

export interface TokenRegistry extends RegistryWithUsers {
  /** The URL of its token server. */
  readonly realm: string;
  /** What its token server was asked, oldest first. */
  readonly tokenRequests: readonly TokenRequest[];
  /** Lets somebody in, everywhere or only into some repositories. */
  setUser(credentials: Credentials, mayAccess?: (repository: string) => boolean): Promise<void>;
  /** Lets somebody in with every password that the function takes. */
  setPasswords(username: string, isPassword: (password: string) => boolean): void;
}

/** A registry that sends clients to a token server with their password, as Docker Hub does. */
export async function startTokenRegistry(options: Omit<RegistryOptions, "auth">): Promise<TokenRegistry> {
  const { name, host, authority } = options;
  const directory = join(options.directory, name);
  const certificateFile = join(directory, "token-signer.crt");
  const names = { service: `registry of ${host}`, issuer: "pullpass tests" };
  const signing = await authority.issue({ commonName: `${name}-token-signer` });
  await mkdir(directory, { recursive: true });
  await writeFile(certificateFile, signing.certificatePem);
  const serving = await authority.issue({ commonName: `${name}-token-server`, hosts: [host] });
  const tokenServer = await startTokenServer({ ...names, host, serving, signing });
  try {
    const auth = { kind: "token", realm: tokenServer.realm, certificateFile, ...names } as const;
    const registry = await startRegistry({ ...options, auth });
    return {
      ...registry,
      realm: tokenServer.realm,
      tokenRequests: tokenServer.requests,
      setUser(credentials, mayAccess) {
        tokenServer.setUser(credentials, mayAccess);
        return Promise.resolve();
      },
      setPasswords: tokenServer.setPasswords.bind(tokenServer),
      async stop() {
        await registry.stop();
        await tokenServer.stop();
      },
    };
  } catch (error: unknown) {
    await tokenServer.stop();
    throw error;
  }
}

/** The two registries of a node without a node or a control plane. Nobody may do anything at them at first. */
export interface Registries {
  /** Where tests may write; it is removed with the registries. */
  readonly directory: string;
  readonly passwordRegistry: RegistryWithUsers;
  readonly tokenRegistry: TokenRegistry;
  stop(): Promise<void>;
}

export async function startRegistries(): Promise<Registries> {
  const programs = await requireDebianPrograms(NODE_PROGRAMS, reportToStandardError);
  return startOrUndo(async (teardown) => {
    const network = await claimNetwork();
    const { directory } = network;
    const watchdog = startWatchdog(directory, network.name);
    teardown.add(() => watchdog.release());
    teardown.add(() => keepLogs(network));
    const authority = await createAuthority("pullpass-test");
    const options = (name: string, lastByte: number) => ({
      name,
      host: network.address(lastByte),
      directory: join(directory, "registries"),
      logDirectory: join(directory, "log"),
      authority,
      programs,
      // Built from source with Go; nothing here is run, so that tests push content of their own.
      pause: "",
    });
    const passwordRegistry = await startPasswordRegistry(options("password", 11));
    teardown.add(() => passwordRegistry.stop());
    const tokenRegistry = await startTokenRegistry(options("token", 12));
    teardown.add(() => tokenRegistry.stop());
    return { directory, passwordRegistry, tokenRegistry, stop: () => teardown.run() };
  });
}
