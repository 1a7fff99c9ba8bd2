/** The command line: commands, flags and help. */
import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { InvalidConfigurationError } from "../config/place.ts";
import { readConfiguration } from "../config/read.ts";
import { indexRegistries, type RegistryIndex } from "../core/registry.ts";
import type { ListenAddress } from "../http/server.ts";
import type { CertificateFiles } from "../tls/files.ts";
import { checkConfiguration } from "./check.ts";
import { explainImage, explanationJson, explanationText } from "./explain.ts";
import { injectFiles } from "./inject.ts";
import type { ManifestFile } from "./manifest-file.ts";

/** What a command needs of the process. */
export interface ProgramIo {
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** All of standard input. */
  readStdin(): Promise<Buffer>;
  writeOut(text: string): void;
  writeError(text: string): void;
}

/** Thrown for words that do not fit together. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Thrown where a command found something wrong and has said so already. */
export class ReportedError extends Error {
  override readonly name = "ReportedError";

  constructor(readonly exitCode: 1 | 2) {
    super("reported");
  }
}

/** The program; `parseAsync` throws what a command throws, and CommanderError for help and wrong usage. */
export function buildProgram(io: ProgramIo): Command {
  const program = new Command("pullpass")
    .description("Gives every pod the registry credentials its images need.")
    .version(io.version)
    .exitOverride()
    .configureOutput({ writeOut: io.writeOut.bind(io), writeErr: io.writeError.bind(io) })
    .showHelpAfterError("(pullpass --help shows the commands, pullpass COMMAND --help the flags)");

  withConfig(program.command("serve"))
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
      const { serve } = await import("./serve.ts");
      await serve({
        configPaths: flags.config,
        listen: flags.listen,
        adminListen: flags.adminListen,
        tls: certificateFlags(flags),
        shutdownDelayMs: flags.shutdownDelay * 1000,
      });
    });

  withConfig(program.command("inject"))
    .description("write manifests with their pull secrets to standard output, and a report to standard error")
    .option(
      "-f, --filename <file>",
      "manifests, YAML or JSON; again for more; - is standard input, the default",
      append,
    )
    .action(
      async ({
        config,
        filename = ["-"],
      }: {
        readonly config: readonly string[];
        readonly filename?: readonly string[];
      }) => {
        const index = readIndex(config);
        const files = await Promise.all(filename.map((name) => readManifests(name, io)));
        const injected = injectFiles(files, index);
        io.writeOut(joinFiles(injected.map((file) => file.text)));
        io.writeError(injected.flatMap((file) => file.report.map((line) => `${line}\n`)).join(""));
      },
    );

  withConfig(program.command("explain"))
    .description("show which registry an image needs, and why")
    .argument("<image...>", "images as they stand in a pod; - reads one a line from standard input")
    .option("--json", "one JSON object a line")
    .action(
      async (
        args: readonly string[],
        { config, json }: { readonly config: readonly string[]; readonly json?: true },
      ) => {
        const index = readIndex(config);
        const piped = args.includes("-") ? await readLines(io) : [];
        const images = args.flatMap((arg) => (arg === "-" ? piped : [arg]));
        const write = json === true ? explanationJson : explanationText;
        io.writeOut(images.map((image) => `${write(explainImage(image, index))}\n`).join(""));
      },
    );

  withConfig(program.command("check"))
    .description("show every error and every doubt about a configuration")
    .action(({ config }: { readonly config: readonly string[] }) => {
      const { lines, errorCount } = checkConfiguration(readForCheck(config, io), io.environment);
      io.writeOut(lines.map((line) => `${line}\n`).join(""));
      if (errorCount > 0) throw new ReportedError(2);
    });

  return program;
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

function withConfig(command: Command): Command {
  return command.requiredOption(
    "--config <file>",
    "configuration, YAML; again for more, which are joined",
    append,
  );
}

function certificateFlags({ tlsCert, tlsKey, tlsSelfSigned }: ServeFlags): CertificateFiles | "self-signed" {
  if (tlsSelfSigned === true && tlsCert === undefined && tlsKey === undefined) return "self-signed";
  if (tlsSelfSigned === true || tlsCert === undefined || tlsKey === undefined) {
    throw new UsageError("serve needs both --tls-cert and --tls-key, or --tls-self-signed alone");
  }
  return { certificatePath: tlsCert, keyPath: tlsKey };
}

function readIndex(configPaths: readonly string[]): RegistryIndex {
  return indexRegistries(readConfiguration(configPaths).registries);
}

function readForCheck(configPaths: readonly string[], io: ProgramIo): ReturnType<typeof readConfiguration> {
  try {
    return readConfiguration(configPaths);
  } catch (error) {
    if (!(error instanceof InvalidConfigurationError)) throw error;
    io.writeOut(error.message.replaceAll(/^/gm, "error: ") + "\n");
    throw new ReportedError(2);
  }
}

const STANDARD_INPUT = "(standard input)";

async function readManifests(name: string, io: ProgramIo): Promise<ManifestFile> {
  if (name === "-") return { name: STANDARD_INPUT, text: decode(STANDARD_INPUT, await io.readStdin()) };
  return { name, text: decode(name, readFileSync(name)) };
}

/** Other bytes than UTF-8 would come out as others than went in. A byte order mark is kept. */
function decode(name: string, bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new Error(`${name}: not UTF-8`);
  return bytes.toString("utf8");
}

/** The last line break ends the last line; it does not begin another. White space is kept: it makes an image invalid. */
async function readLines(io: ProgramIo): Promise<readonly string[]> {
  const text = decode(STANDARD_INPUT, await io.readStdin());
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

function joinFiles(texts: readonly string[]): string {
  return texts.reduce((joined, text) => {
    if (joined === "" || text === "") return joined + text;
    const lineBreak = joined.endsWith("\n") ? "" : "\n";
    // A byte order mark stands only where a stream begins.
    const next = text.replace(/^\ufeff/, "");
    return joined + lineBreak + separatorBefore(next) + next;
  }, "");
}

/** Directives (`%YAML 1.2`) follow only the end of a document. */
function separatorBefore(text: string): string {
  if (text.startsWith("---")) return "";
  return text.startsWith("%") ? "...\n" : "---\n";
}

/** No list to begin with: it would pass for a flag that was given. */
function append(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
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
