/**
 * The demo: the real server on loopback, with a certificate made on the spot and the example configuration, answers what
 * a real API server once sent.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { readConfiguration } from "../../src/config/read.ts";
import { SKIP_REASONS, type SkipReason } from "../../src/core/decision.ts";
import { isObject, getString } from "../../src/core/kubernetes.ts";
import { asPod, visitImages } from "../../src/core/pod.ts";
import { indexRegistries, selectRegistries } from "../../src/core/registry.ts";
import { makeSelfSignedCertificate } from "../../src/tls/x509.ts";
import {
  patchedPod,
  RECORDED_NAMES,
  recordedReview,
  responseIn,
  type RecordedReview,
  type ReviewResponse,
} from "../http/recorded-review.ts";
import { postReview } from "../send-request.ts";

const CONFIG = "deploy/examples/pullpass.yaml";

/** A line of the server's log about a review. */
interface LoggedReview {
  readonly uid: string;
  readonly reason: string;
  readonly durationMs: number;
}

/** What was started is stopped, also where a reader such as `head` has seen enough, or a signal comes. */
async function main(): Promise<void> {
  await using started = new AsyncDisposableStack();
  const ended = new Promise<void>((resolve) => {
    process.stdout.on("error", () => {
      resolve();
    });
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.once(signal, () => {
        resolve();
      });
  });
  const directory = mkdtempSync(path.join(tmpdir(), "pullpass-demo-"));
  started.defer(() => {
    rmSync(directory, { recursive: true });
  });
  const { certificate, privateKey } = await makeSelfSignedCertificate(["localhost", "127.0.0.1"], new Date());
  const certificatePath = path.join(directory, "tls.crt");
  const keyPath = path.join(directory, "tls.key");
  writeFileSync(certificatePath, certificate);
  writeFileSync(keyPath, privateKey, { mode: 0o600 });
  const server = startServer(certificatePath, keyPath);
  started.defer(() => server.stop());
  await Promise.race([show(server, certificate), ended]);
}

async function show(server: StartedServer, certificate: string): Promise<void> {
  const url = await server.ready;
  console.log("Pullpass answers what a Kubernetes API server sent when these pods were made.");
  console.log(`Webhook ${url}/mutate, certificate made just now, configuration ${CONFIG}\n`);
  for (const name of RECORDED_NAMES) {
    const review = recordedReview(name);
    const { body: text } = await postReview(url, certificate, { body: JSON.stringify(review) });
    for (const line of describeReview(review, responseIn(text), await server.logged(review.request.uid)))
      console.log(line);
  }
  console.log(NEXT);
}

const NEXT = `Try next:
  node dist/main.js explain --config ${CONFIG} registry.example.com/team-a/app:v1 nginx
  node dist/main.js inject  --config ${CONFIG} -f deploy/examples/deployment.yaml
  node dist/main.js check   --config ${CONFIG}
  npm test`;

const index = indexRegistries(readConfiguration([CONFIG]).registries);

function describeReview(
  review: RecordedReview,
  response: ReviewResponse,
  logged: LoggedReview,
): readonly string[] {
  const { request } = review;
  const object = request.object ?? {};
  const metadata = "metadata" in object ? object.metadata : {};
  const name = getString(request, "name") ?? `${getString(metadata, "generateName") ?? ""}*`;
  const subresource = request.subResource === undefined ? "" : `/${request.subResource}`;
  return [
    `${request.operation} pod${subresource} ${request.namespace}/${name}, made by ${makerOf(review)}`,
    ...imageLines(review),
    `  ${outcome(review, response, logged)}`,
    "",
  ];
}

function makerOf({ request }: RecordedReview): string {
  const metadata = request.object?.metadata;
  const [owner] = Array.isArray(metadata?.["ownerReferences"])
    ? (metadata["ownerReferences"] as readonly unknown[])
    : [];
  const user = getString(request["userInfo"], "username") ?? "somebody";
  if (isObject(owner)) return `${getString(owner, "kind") ?? ""}/${getString(owner, "name") ?? ""} (${user})`;
  const manager = getString(request["options"], "fieldManager");
  return manager === undefined ? user : `${user} with ${manager}`;
}

function imageLines({ request }: RecordedReview): readonly string[] {
  const lines: string[] = [];
  const pod = asPod(request.object);
  if (pod === undefined) return lines;
  visitImages(pod, (image) => {
    const lookup = index.lookUp(String(image));
    const registries = lookup.kind === "parsed" ? selectRegistries(lookup.covering, () => true) : [];
    const needs =
      registries.length === 0 ? "no registry" : registries.map((registry) => registry.name).join(", ");
    lines.push(`  image     ${String(image)} needs ${needs}`);
  });
  return lines;
}

function outcome(
  review: RecordedReview,
  response: ReviewResponse,
  { reason, durationMs }: LoggedReview,
): string {
  const time = `${durationMs.toFixed(2)} ms`;
  if (response.patch === undefined) return `nothing   ${SKIP_REASONS[reason as SkipReason]} (${time})`;
  const names = (pod: RecordedReview["request"]["object"]): readonly string[] =>
    (pod?.spec.imagePullSecrets ?? []).map((entry) => entry.name ?? "");
  const before = names(review.request.object);
  const added = names(patchedPod(review, response)).filter((name) => !before.includes(name));
  const kept = before.length === 0 ? "" : `, kept ${before.join(", ")}`;
  return `injected  ${added.join(", ")}${kept} (${time})`;
}

interface StartedServer {
  /** The webhook's address. */
  readonly ready: Promise<string>;
  readonly logged: (uid: string) => Promise<LoggedReview>;
  /** Ends with its process. */
  readonly stop: () => Promise<void>;
}

function startServer(certificatePath: string, keyPath: string): StartedServer {
  const ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
  const flags = ["--config", CONFIG, "--tls-cert", certificatePath, "--tls-key", keyPath, ...ports];
  const child = spawn(process.execPath, ["dist/main.js", "serve", "--standalone", ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const waiting = new Map<string, (line: LoggedReview) => void>();
  const ready = new Promise<string>((resolve, reject) => {
    void exit.then((status) => {
      reject(new Error(`the server ended with ${String(status)}`));
    });
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = JSON.parse(text) as LoggedReview & { readonly msg: string; readonly url: string };
      if (line.msg === "ready") resolve(line.url);
      if (line.msg === "review") waiting.get(line.uid)?.(line);
    });
  });
  const logged = (uid: string): Promise<LoggedReview> =>
    new Promise((resolve) => {
      waiting.set(uid, resolve);
    });
  return {
    ready,
    logged,
    async stop() {
      child.kill("SIGINT");
      await exit;
    },
  };
}

await main();
