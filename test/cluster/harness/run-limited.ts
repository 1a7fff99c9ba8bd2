/** Runs the built program alone, under the chart's memory limit and as the image starts it. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeSelfSignedCertificate } from "../../../src/tls/x509.ts";
import { shippedEnvironment } from "../../bench/shipped-flags.ts";
import { createMemoryCgroup } from "./memory-cgroup.ts";
import { runDaemon } from "./run-daemon.ts";
import { waitUntil } from "../../wait-until.ts";

export interface LimitedReplica {
  /** Where it answers reviews, and probes. */
  readonly url: URL;
  readonly adminUrl: URL;
  /** The PEM that clients trust. */
  readonly ca: string;
  readonly limitBytes: number;
  /**
   * The most that the kernel charged it for. A container is also charged for the pages of the Node binary, 56 MiB that the
   * machine has in memory already here; they are clean, so that the kernel drops them before it kills.
   */
  peakBytes(): Promise<number>;
  /** How often the kernel killed it because of the limit. */
  kills(): Promise<number>;
  stop(): Promise<void>;
}

const PROGRAM = join(import.meta.dirname, "..", "..", "..", "dist", "main.js");
const HOST = "127.0.0.1";

export async function runLimited(configuration: string): Promise<LimitedReplica> {
  const directory = await mkdtemp(join(tmpdir(), "pullpass-limited-"));
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(join(directory, name), text);
    return join(directory, name);
  };
  const { certificate, privateKey } = await makeSelfSignedCertificate([HOST], new Date());
  const cgroup = await createMemoryCgroup(`pullpass-limited-${String(process.pid)}`);
  const [command = "", ...args] = cgroup.wrap([
    ...[process.execPath, PROGRAM, "serve", "--standalone"],
    ...["--config", await write("pullpass.yaml", configuration)],
    ...["--tls-cert", await write("tls.crt", certificate), "--tls-key", await write("tls.key", privateKey)],
    ...["--listen", `${HOST}:0`, "--admin-listen", `${HOST}:0`],
  ]);
  const env = shippedEnvironment();
  const daemon = await runDaemon({ name: "limited", command, args, env, logDirectory: directory });
  const stop = async (): Promise<void> => {
    await daemon.stop();
    await cgroup.remove();
    await rm(directory, { recursive: true });
  };
  try {
    const line = await waitUntil(
      "a replica that listens",
      async () => /^.*"msg":"ready".*$/m.exec(await readFile(daemon.logFile, "utf8"))?.[0],
    );
    const { url, adminUrl } = JSON.parse(line) as { readonly url: string; readonly adminUrl: string };
    return {
      url: new URL(url),
      adminUrl: new URL(adminUrl),
      ca: certificate,
      limitBytes: cgroup.limitBytes,
      peakBytes: () => cgroup.highWaterMark(),
      kills: () => cgroup.kills(),
      stop,
    };
  } catch (error: unknown) {
    await stop();
    throw error;
  }
}
