/** `pullpass console`: web pages for registries, namespaces and stuck pods, on this machine or in the cluster. */
import { readFile } from "node:fs/promises";
import { InvalidArgumentError, Option, type Command } from "commander";
import { parseGoDuration } from "../core/go-duration.ts";
import { readConfiguration } from "../config/read.ts";
import type { LoginKind } from "../console/api.ts";
import type { Network } from "../console/test-login.ts";
import type { Page } from "../http/console-app.ts";
import type { ListenAddress } from "../http/server.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { UsageError, type ProgramIo } from "./program-io.ts";
import { addressOption } from "./serve.ts";

interface ConsoleFlags {
  readonly config?: readonly string[];
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly listen: ListenAddress;
  readonly login?: LoginKind;
  readonly sessionLifetime: number;
  readonly clusterName?: string;
  readonly allowedHost: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsSelfSigned?: true;
  readonly testLogin: boolean;
  readonly testLoginAllow: readonly Network[];
}

/** Adds the flags and the action, but for `--config`. */
export function consoleCommand(command: Command, io: ProgramIo): Command {
  return command
    .description("serve web pages for registries, namespaces and stuck pods; prints their address")
    .option("--kubeconfig <file>", "the cluster; default: as for serve")
    .option("--context <name>", "of the kubeconfig; default: the current one")
    .addOption(addressOption("--listen", "where the pages are", "127.0.0.1:0"))
    .addOption(
      new Option(
        "--login <how>",
        "key: a one-time key in the address that is printed, for this machine alone, with the rights of the kubeconfig; " +
          "token: everybody with a token of their own, and with its rights; default: key, and token in a pod",
      ).choices(["key", "token"]),
    )
    .addOption(
      new Option(
        "--session-lifetime <duration>",
        "how long a login lasts, whatever is done in it, such as 15m, from 10s to 24h",
      )
        .argParser(sessionLifetime)
        .default(60 * 60_000, "1h"),
    )
    .option("--namespace <name>", "where Pullpass runs; default: as for serve")
    .option("--cluster-name <name>", "shown in the pages; default: that of the kubeconfig")
    .option(
      "--allowed-host <name>",
      "with --login token: a host name of the pages; again for more",
      append,
      [],
    )
    .option("--tls-cert <file>", "serving certificate with its chain, PEM; a change is taken over")
    .option("--tls-key <file>", "its key, PEM")
    .option("--tls-self-signed", "make a certificate on the spot")
    .option("--no-test-login", "do not connect to registries to try typed credentials")
    .option(
      "--test-login-allow <network>",
      "a network that typed credentials may be tried in, such as 10.0.0.0/8; again for more. Link-local and loopback addresses are " +
        "refused without it, and private ones with --login token",
      append,
      [],
    )
    .action((flags: ConsoleFlags) => runConsole(flags, io));
}

async function runConsole(flags: ConsoleFlags, io: ProgramIo): Promise<void> {
  const { serveConsole } = await import("../serve/console.ts");
  const { connect, ownNamespace } = await import("./connect.ts");
  const { networks } = await import("../console/test-login.ts");
  const isPod = flags.kubeconfig === undefined && (io.environment["KUBERNETES_SERVICE_HOST"] ?? "") !== "";
  const login = flags.login ?? (isPod ? "token" : "key");
  const tls = certificateOf(flags);
  requireSafety(login, isPod, flags, tls !== undefined);
  try {
    networks(flags.testLoginAllow);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--test-login-allow: ${error.message}`);
    throw error;
  }
  const connection: KubeConnection = isPod
    ? (await import("../kube/connection.ts")).anonymousInClusterConnection(io.environment)
    : connect(flags.kubeconfig, io.environment, flags.context);
  await serveConsole({
    ...{ connection, login, tls, listen: flags.listen, sessionMs: flags.sessionLifetime },
    clusterName: flags.clusterName ?? connection.clusterName ?? connection.server.hostname,
    namespace: ownNamespace(flags, io.environment, connection).name,
    configuration: readConfiguration(flags.config ?? []),
    allowedHosts: flags.allowedHost,
    testLogin: flags.testLogin
      ? { isPrivateAllowed: login === "key", allowed: flags.testLoginAllow }
      : undefined,
    pages: await readPages(io.pages),
    writeOut: (text) => {
      io.writeOut(text);
    },
    writeError: (text) => {
      io.writeError(text);
    },
  });
}

/** Shorter ones end before a form is filled in, and a token is seldom good for longer. */
function sessionLifetime(text: string): number {
  const ms = parseGoDuration(text) ?? NaN;
  if (ms >= 10_000 && ms <= 24 * 60 * 60_000) return ms;
  throw new InvalidArgumentError("It has to be a duration such as 15m, from 10s to 24h.");
}

function append(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/*
 * --login | listens on      | TLS |
 * key     | loopback        |     | serves: the key gives the rights of the kubeconfig
 * key     | another address |     | wrong: the address with the key would cross a network
 * key     | in a pod        |     | wrong: there is no terminal to read it from
 * token   |                 | yes | serves
 * token   | loopback        | no  | serves: a port-forward, or a proxy beside it, ends TLS
 * token   | another address | no  | wrong: tokens would cross a network in the clear
 */
function requireSafety(login: LoginKind, isPod: boolean, { listen }: ConsoleFlags, hasTls: boolean): void {
  const isLoopback = /^(?:127\.|::1$|localhost$)/.test(listen.host ?? "");
  if (login === "key" && isPod) throw new UsageError("in a pod, --login has to be token");
  if (login === "key" && !isLoopback)
    throw new UsageError(
      "with --login key, --listen has to be an address of this machine, such as 127.0.0.1:8090",
    );
  if (login === "token" && !isLoopback && !hasTls)
    throw new UsageError(
      "tokens are not sent in the clear: --tls-cert and --tls-key, --tls-self-signed, or --listen 127.0.0.1:PORT",
    );
}

function certificateOf({
  tlsCert,
  tlsKey,
  tlsSelfSigned,
}: ConsoleFlags): { readonly certificatePath: string; readonly keyPath: string } | "self-signed" | undefined {
  if ((tlsCert === undefined) !== (tlsKey === undefined) || (tlsSelfSigned === true && tlsCert !== undefined))
    throw new UsageError("console takes --tls-cert and --tls-key together, or --tls-self-signed alone");
  if (tlsCert !== undefined && tlsKey !== undefined) return { certificatePath: tlsCert, keyPath: tlsKey };
  return tlsSelfSigned === true ? "self-signed" : undefined;
}

const PAGES = [
  ["/", "index.html", "text/html; charset=utf-8"],
  ["/app.js", "app.js", "text/javascript; charset=utf-8"],
  ["/style.css", "style.css", "text/css; charset=utf-8"],
  ["/icon.svg", "icon.svg", "image/svg+xml"],
] as const;

async function readPages(directory: URL): Promise<ReadonlyMap<string, Page>> {
  const entries = PAGES.map(async ([path, file, contentType]) => {
    const body = await readFile(new URL(file, directory));
    return [path, { contentType, body }] as const;
  });
  return new Map(await Promise.all(entries));
}
