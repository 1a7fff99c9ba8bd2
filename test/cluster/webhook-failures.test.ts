import { afterAll, beforeAll, expect, it } from "vitest";
import { createAuthority } from "./harness/certificates.ts";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace, createService } from "./harness/kubectl.ts";
import { podWith, pullSecretsOf, type PodObject } from "./harness/pods.ts";
import { CommandError } from "./harness/run-command.ts";
import {
  allow,
  startScriptedWebhook,
  type Answerer,
  type ScriptedWebhook,
} from "./harness/scripted-webhook.ts";
import { awaitWebhooks, webhookConfiguration } from "./harness/webhook-configuration.ts";

const PATCH = [{ op: "add", path: "/spec/imagePullSecrets", value: [{ name: "regcred" }] }];
const TIMEOUT_SECONDS = 1;

const ANSWERS: Readonly<Record<string, Answerer>> = {
  "/works": (response, { request }) => {
    allow(response, request.uid, PATCH);
  },
  "/hangs": () => undefined,
  "/hangs-up": (response) => response.destroy(),
  "/fails": (response) => response.writeHead(500).end("internal error"),
  "/is-no-json": (response) => response.writeHead(200).end("<html>"),
  "/mistakes-uid": (response) => {
    allow(response, "another", PATCH);
  },
};

/**
 * Under Ignore the pod is created as it was written, without a warning. Under Fail it is refused, and the message ends
 * as listed here.
 */
const FAILURES = [
  ["is down", { service: "down" }, /connect: connection refused/],
  [
    "has a certificate of another authority",
    { untrusted: true },
    /x509: certificate signed by unknown authority/,
  ],
  ["hangs", { path: "/hangs" }, /context deadline exceeded/],
  ["hangs up", { path: "/hangs-up" }, /EOF/],
  ["answers HTTP 500", { path: "/fails" }, /an error on the server \("internal error"\)/],
  ["does not answer JSON", { path: "/is-no-json" }, /couldn't get version\/kind; json parse error/],
  ["answers another uid", { path: "/mistakes-uid" }, /expected response.uid="[^"]+", got "another"/],
] as const;

interface Fault {
  readonly service?: string;
  readonly path?: string;
  readonly untrusted?: true;
}

await describeLevel("control-plane", "a pod, while the webhook does not work,", () => {
  let cluster: Cluster;
  let scripted: ScriptedWebhook;
  let otherAuthorityPem: string;

  beforeAll(async () => {
    cluster = await borrowCluster();
    scripted = await startScriptedWebhook(cluster, "scripted", ANSWERS);
    await createService(cluster.kubectl, { namespace: "scripted", name: "down" });
    otherAuthorityPem = (await createAuthority("another authority")).pem;
  });
  afterAll(async () => {
    await scripted.stop();
  });

  /** Registers a webhook for a namespace of its own, and creates a pod there. */
  async function createPod(failurePolicy: "Ignore" | "Fail", fault: Fault): Promise<PodObject> {
    const { kubectl, authority } = cluster;
    const namespace = `case-${String(Date.now())}`;
    const { service = "scripted", path = "/works", untrusted = false } = fault;
    await createNamespace(kubectl, namespace, { "pullpass.dev/inject": "enabled" });
    await kubectl.apply(
      webhookConfiguration({
        service: { namespace: "scripted", name: service, port: scripted.service.port },
        path,
        authorityPem: untrusted ? otherAuthorityPem : authority.pem,
        failurePolicy,
        timeoutSeconds: TIMEOUT_SECONDS,
      }),
    );
    await awaitWebhooks(kubectl);
    return kubectl.create<PodObject>(
      podWith("registry.example.com/team-a/app:v1", { name: "app", namespace }),
    );
  }

  it.each(["Ignore", "Fail"] as const)("would have its secret if it did work (%s)", async (policy) => {
    expect(pullSecretsOf(await createPod(policy, {}))).toEqual(["regcred"]);
  });

  it.each(FAILURES)("is created without its secret if it %s (Ignore)", async (_title, fault) => {
    const started = Date.now();
    expect(pullSecretsOf(await createPod("Ignore", fault))).toEqual([]);
    expect(Date.now() - started).toBeLessThan(TIMEOUT_SECONDS * 1000 + 5000);
  });

  it.each(FAILURES)("is refused if it %s (Fail)", async (_title, fault, message) => {
    const refusal = await createPod("Fail", fault).catch((error: unknown) => error);
    if (!(refusal instanceof CommandError)) throw new Error("the pod was created");
    expect(refusal.stderr).toContain('failed calling webhook "inject.pullpass.dev"');
    expect(refusal.stderr).toMatch(message);
  });
});
