/** The flags of `pullpass serve`. */
import { InvalidArgumentError, Option, type Command } from "commander";
import type { ListenAddress } from "../http/server.ts";
import type { CertificateFiles } from "../tls/files.ts";

/** Thrown for words that do not fit together. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

interface ServeFlags {
  readonly config: readonly string[];
  readonly listen: ListenAddress;
  readonly adminListen: ListenAddress;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsSelfSigned?: true;
  readonly standalone?: true;
  readonly shutdownDelay: number;
}

/** Adds the flags and what they do, but for `--config`, which all commands have. */
export function serveCommand(command: Command): Command {
  return command
    .description("run the webhook")
    .addOption(addressOption("--listen", "where reviews are answered, over HTTPS", 8443))
    .addOption(addressOption("--admin-listen", "where /healthz, /readyz and /metrics are, over HTTP", 8080))
    .option("--tls-cert <file>", "serving certificate with its chain, PEM; a change is taken over")
    .option("--tls-key <file>", "its key, PEM")
    .option("--tls-self-signed", "make a certificate on the spot, for a machine without a cluster")
    .option(
      "--standalone",
      "ask no Kubernetes API: every namespace counts as opted in, nothing is replicated",
    )
    .option(
      "--shutdown-delay <seconds>",
      "how long to go on after SIGTERM, until endpoints have changed everywhere",
      seconds,
      5,
    )
    .action(async (flags: ServeFlags) => {
      if (flags.standalone !== true) {
        throw new UsageError(
          "serve without --standalone needs the replicator, which is not in this version; add --standalone",
        );
      }
      const tls = certificateFlags(flags);
      // Loaded only here: the other commands need no server.
      const { serve } = await import("./serve.ts");
      await serve({
        configPaths: flags.config,
        listen: flags.listen,
        adminListen: flags.adminListen,
        tls,
        shutdownDelayMs: flags.shutdownDelay * 1000,
      });
    });
}

function certificateFlags({ tlsCert, tlsKey, tlsSelfSigned }: ServeFlags): CertificateFiles | "self-signed" {
  if (tlsSelfSigned === true && tlsCert === undefined && tlsKey === undefined) return "self-signed";
  if (tlsSelfSigned === true || tlsCert === undefined || tlsKey === undefined) {
    throw new UsageError("serve needs both --tls-cert and --tls-key, or --tls-self-signed alone");
  }
  return { certificatePath: tlsCert, keyPath: tlsKey };
}

function addressOption(flag: string, description: string, port: number): Option {
  return new Option(`${flag} <host:port>`, description)
    .argParser(listenAddress)
    .default({ host: undefined, port }, `:${port.toString()}`);
}

/** `:8443`, `127.0.0.1:8443`, `[::1]:8443`. */
function listenAddress(value: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new InvalidArgumentError("It has to be HOST:PORT or :PORT.");
  const host = match[1] ?? match[2] ?? "";
  return { host: host === "" ? undefined : host, port };
}

function seconds(value: string): number {
  const number = Number(value);
  if (!/^\d+(?:\.\d+)?$/.test(value) || number > 3600)
    throw new InvalidArgumentError("It has to be seconds, 0 to 3600.");
  return number;
}
