/** The composition of `pullpass console`: start and stop, top to bottom. */
import { Console, type ConsoleOptions } from "../console/console.ts";
import { consoleListener, type ConsoleAppOptions } from "../http/console-app.ts";
import { DEFAULT_LIMITS, startServer, type ListenAddress } from "../http/server.ts";
import type { CertificateFiles } from "../tls/files.ts";
import { localCertificates } from "./serving-certificate.ts";
import { listenForStop } from "./stop-signal.ts";

export interface ServeConsoleOptions
  extends Omit<ConsoleOptions, "onKey">, Pick<ConsoleAppOptions, "pages" | "allowedHosts"> {
  readonly listen: ListenAddress;
  /** Undefined: plain HTTP, on loopback. */
  readonly tls: CertificateFiles | "self-signed" | undefined;
  readonly writeOut: (text: string) => void;
  readonly writeError: (text: string) => void;
}

/** Requests under way are given so long at the end; a stream of changes ends with its session. */
const DRAIN_TIMEOUT_MS = 2_000;
/** People, their pages, and what each page asks for at once. */
const LIMITS = { ...DEFAULT_LIMITS, requestTimeoutMs: 60_000 };

/** Serves until SIGTERM or SIGINT. */
export async function serveConsole(options: ServeConsoleOptions): Promise<void> {
  const { login, listen, tls, writeOut, writeError } = options;
  const stop = listenForStop();
  await using stack = new AsyncDisposableStack();
  let url = "";
  const keys: string[] = [];
  const announce = (): void => {
    for (const key of keys.splice(0)) writeOut(`${url}/#key=${key}\n`);
  };
  const server = new Console({
    ...options,
    onKey(key) {
      keys.push(key);
      if (url !== "") announce();
    },
  });
  stack.defer(() => {
    server.close();
  });
  const certificates = tls === undefined ? undefined : await localCertificates(tls, listen);
  const first = await certificates?.first;
  const listener = consoleListener({
    ...options,
    server,
    isSecure: certificates !== undefined,
    onFault(error) {
      // Its stack names our own code; a message may quote what somebody sent.
      const where = error instanceof Error ? (error.stack?.split("\n").slice(1, 6).join("\n") ?? "") : "";
      writeError(
        `pullpass console: a request failed: ${error instanceof Error ? error.name : "no error"}\n${where}\n`,
      );
    },
  });
  const http = await startServer(listener, { listen, limits: LIMITS, ...(first && { certificate: first }) });
  stack.defer(() => http.close(DRAIN_TIMEOUT_MS));
  const watch = certificates?.watch({
    onSwap(certificate) {
      http.setCertificate(certificate);
    },
    onFailure(error) {
      writeError(`pullpass console: the certificate in use stays: ${error.message}\n`);
    },
  });
  stack.defer(() => watch?.close());
  url = http.url;
  if (login === "token") writeOut(`${url}/\n`);
  announce();
  await stop.received;
}
