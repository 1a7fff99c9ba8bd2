import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAuthority } from "./harness/certificates.ts";
import { startCluster, type Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace } from "./harness/kubectl.ts";
import {
  apiClient,
  pullSecretsOf,
  startCreatingPods,
  type Creation,
  type PodObject,
} from "./harness/pods.ts";
import { startWebhook, type RunningWebhook } from "./harness/start-webhook.ts";
import { awaitWebhooks, webhookConfiguration } from "./harness/webhook-configuration.ts";

await describeLevel(
  "control-plane",
  "a change of the serving certificate, under Fail, refuses no pod",
  () => {
    let cluster: Cluster;
    let webhook: RunningWebhook;

    beforeAll(async () => {
      cluster = await startCluster();
      webhook = await startWebhook(cluster, {
        registries: [{ name: "team-a", address: "registry.example.com/team-a" }],
        failurePolicy: "Fail",
      });
      await createNamespace(cluster.kubectl, "team-a", { "pullpass.dev/inject": "enabled" });
    });
    afterAll(async () => {
      await webhook.stop();
      await cluster.stop();
    });

    async function trust(authorityPem: string): Promise<void> {
      await cluster.kubectl.apply(webhookConfiguration({ ...webhook.registration, authorityPem }));
      await awaitWebhooks(cluster.kubectl);
    }

    function expectAllInjected(creations: readonly Creation[]): void {
      expect(creations.length).toBeGreaterThan(10);
      for (const { status, body } of creations) {
        expect({ status, body }).toMatchObject({ status: 201 });
        expect(pullSecretsOf(JSON.parse(body) as PodObject)).toEqual(["pullpass-team-a"]);
      }
    }

    it("if the same authority issued the new one", async () => {
      const creating = startCreatingPods(await apiClient(cluster), "team-a");
      await sleep(200);
      await webhook.swapCertificate(cluster.authority);
      await sleep(200);
      expectAllInjected(await creating.stop());
    });

    it("if both authorities are trusted while one replaces the other", async () => {
      const next = await createAuthority("the next authority");
      const creating = startCreatingPods(await apiClient(cluster), "team-a");
      await trust(cluster.authority.pem + next.pem);
      await webhook.swapCertificate(next);
      await trust(next.pem);
      await sleep(200);
      expectAllInjected(await creating.stop());
    });
  },
);
