import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { borrowCluster } from "./harness/borrow-cluster.ts";
import type { Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import { apiClient, podWith, pullSecretsOf, type PodObject } from "./harness/pods.ts";
import { CommandError } from "./harness/run-command.ts";
import { IS_STANDALONE, startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { waitUntil } from "../wait-until.ts";

const IMAGE = "registry.example.com/team-a/app:v1";
const MAX_ANNOTATIONS_BYTES = 256 * 1024;

await describeLevel("control-plane", "a pod that something is wrong with", () => {
  let cluster: Cluster;
  let webhook: RunningWebhook;

  beforeAll(async () => {
    cluster = await borrowCluster();
    webhook = await startWebhook(cluster, {
      registries: [{ name: "team-a", address: "registry.example.com/team-a" }],
      // The hardest case: whatever the webhook cannot answer is refused.
      failurePolicy: "Fail",
    });
    await createNamespace(cluster.kubectl, "with-us", { "pullpass.dev/inject": "enabled" });
    await createNamespace(cluster.kubectl, "without-us");
  });
  afterAll(async () => {
    await webhook.stop();
  });

  interface Outcome {
    readonly refusal?: string;
    readonly secrets?: readonly (string | undefined)[];
    readonly warnings: readonly string[];
  }

  /** What a person sees who creates the pod, apart from the namespace's name. */
  async function create(namespace: string, image: string, metadata: object, spec: object): Promise<Outcome> {
    const manifest = JSON.stringify(podWith(image, { name: "app", namespace, ...metadata }, spec));
    const args = ["create", "--filename=-", "--output=json", "--dry-run=server"];
    const linesOf = (text: string) => text.trim().split("\n").filter(Boolean);
    const isWarning = (line: string) => line.startsWith("Warning: ");
    try {
      const { stdout, stderr } = await cluster.kubectl.run(args, manifest);
      const secrets = pullSecretsOf(JSON.parse(stdout) as PodObject);
      return { secrets, warnings: linesOf(stderr).filter(isWarning) };
    } catch (error: unknown) {
      if (!(error instanceof CommandError)) throw error;
      const lines = linesOf(error.stderr);
      const refusal = lines.filter((line) => !isWarning(line)).join("\n");
      return { refusal, warnings: lines.filter(isWarning) };
    }
  }

  async function createWithAndWithoutUs(image: string, metadata: object = {}, spec: object = {}) {
    return {
      withUs: await create("with-us", image, metadata, spec),
      withoutUs: await create("without-us", image, metadata, spec),
    };
  }

  const UNREADABLE = "it is not of the form [host[:port]/]path[:tag][@digest]";
  it.each([
    ["in capitals", "registry.example.com/Team-A/app:v1", "the repository has to be lower case"],
    ["with two tags", "registry.example.com/team-a/app:v1:v2", UNREADABLE],
    ["with half a digest", "registry.example.com/team-a/app@sha256:0123", UNREADABLE],
    ["with a scheme", "https://registry.example.com/team-a/app:v1", UNREADABLE],
    ["too long", "a".repeat(300), "the repository is longer than 255 characters"],
  ])("has an image name %s: it is created as without us, with a warning", async (_title, image, reason) => {
    const { withUs, withoutUs } = await createWithAndWithoutUs(image);
    expect(withoutUs).toEqual({ secrets: [], warnings: [] });
    const warning = `Warning: spec.containers[0].image: not an image reference: ${reason}`;
    expect(withUs).toEqual({ secrets: [], warnings: [warning] });
  });

  it.each([
    ["no image", "", {}, {}],
    ["an image with a space", " registry.example.com/team-a/app:v1", {}, {}],
    ["no containers", IMAGE, {}, { containers: [] }],
    ["a label that is none", IMAGE, { labels: { "pullpass.dev/inject": "not a label" } }, {}],
    ["too many annotations", IMAGE, { annotations: { a: "x".repeat(MAX_ANNOTATIONS_BYTES) } }, {}],
    ["a service account that is not there", IMAGE, {}, { serviceAccountName: "absent" }],
  ])("has %s: it is refused with the same words as without us", async (_title, image, metadata, spec) => {
    const { withUs, withoutUs } = await createWithAndWithoutUs(image, metadata, spec);
    expect(withoutUs.refusal).toBeDefined();
    expect(withUs.refusal).toBe(withoutUs.refusal?.replaceAll("without-us", "with-us"));
  });

  it("asks for a registry that is not there: it has a warning, and the secrets that its images need", async () => {
    const annotations = { "pullpass.dev/registries": "team-z" };
    const { withUs } = await createWithAndWithoutUs(IMAGE, { annotations });
    expect(withUs).toEqual({
      secrets: ["pullpass-team-a"],
      warnings: ['Warning: pullpass.dev/registries: this namespace has no registry "team-z"'],
    });
  });

  it("has all the annotations that it may have: it gets its secret and no more annotations", async () => {
    const annotations = { a: "x".repeat(MAX_ANNOTATIONS_BYTES - 1) };
    const { withUs } = await createWithAndWithoutUs(IMAGE, { annotations });
    expect(withUs).toEqual({ secrets: ["pullpass-team-a"], warnings: [] });
  });

  it("has a megabyte of environment: it gets its secret", async () => {
    const environment = Array.from({ length: 1200 }, (_, index) => ({
      name: `VARIABLE_${String(index)}`,
      value: "€".repeat(300),
    }));
    const containers = [{ name: "main", image: IMAGE, env: environment }];
    const { withUs } = await createWithAndWithoutUs(IMAGE, {}, { containers });
    expect(withUs).toEqual({ secrets: ["pullpass-team-a"], warnings: [] });
  });

  it("is as large as etcd takes it, and six times as large as JSON: it is created, with a warning", async () => {
    const post = await apiClient(cluster);
    // Go writes \u003c, in reviews and in what kubectl sends.
    const containers = [{ name: "main", image: IMAGE, env: [{ name: "A", value: "<".repeat(1_300_000) }] }];
    const pod = podWith(IMAGE, { name: "large" }, { containers });
    const { status, headers, body } = await post("/api/v1/namespaces/with-us/pods", pod);
    expect(status).toBe(201);
    expect(pullSecretsOf(JSON.parse(body) as PodObject)).toEqual([]);
    expect(headers["warning"]).toContain("pullpass: nothing injected: the pod is too large to be read");
  });

  describe("has an account that allows only what it lists", () => {
    beforeAll(async () => {
      const { kubectl } = cluster;
      for (const namespace of ["with-us", "without-us"]) {
        await kubectl.run(["create", "serviceaccount", "strict", `--namespace=${namespace}`]);
        // One of the texts besides "true" that the API server takes for true.
        const enforce = "kubernetes.io/enforce-mountable-secrets=1";
        await kubectl.run(["annotate", "serviceaccount", "strict", enforce, `--namespace=${namespace}`]);
      }
    });
    const createAsStrict = () => createWithAndWithoutUs(IMAGE, {}, { serviceAccountName: "strict" });

    it.skipIf(IS_STANDALONE)("none of ours: it is created without a secret, with a warning", async () => {
      const { withUs, withoutUs } = await createAsStrict();
      expect(withoutUs).toEqual({ secrets: [], warnings: [] });
      const warning =
        "Warning: the service account does not list pull secret pullpass-team-a, so the pod may not name it";
      expect(withUs).toEqual({ secrets: [], warnings: [warning] });
    });

    it.skipIf(IS_STANDALONE)("and ours among it: it gets its secret", async () => {
      const patch = '--patch={"imagePullSecrets":[{"name":"pullpass-team-a"}]}';
      await cluster.kubectl.run(["patch", "serviceaccount", "strict", "--namespace=with-us", patch]);
      await waitUntil("the webhook to know of it", async () => {
        const { withUs } = await createAsStrict();
        return withUs.secrets?.join() === "pullpass-team-a" && withUs.warnings.length === 0;
      });
    });

    // A known limit of --standalone: without a Kubernetes API nothing is known of accounts.
    it.runIf(IS_STANDALONE)("none of ours: it is refused because of us", async () => {
      const { withUs, withoutUs } = await createAsStrict();
      expect(withoutUs).toEqual({ secrets: [], warnings: [] });
      expect(withUs.refusal).toContain("service account strict does not reference that imagePullSecret");
    });
  });
});
