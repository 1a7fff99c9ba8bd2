import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runPullpass } from "../cli/run-pullpass.ts";
import { startCluster, type Cluster } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { createNamespace, createPullSecret } from "./harness/kubectl.ts";

/** Nobody listens there. */
const ADDRESS = "127.0.0.1:9";

await describeLevel("control-plane", "check --login with credentials in Secrets", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
    await createNamespace(cluster.kubectl, "pullpass");
    await createPullSecret(cluster.kubectl, {
      ...{ namespace: "pullpass", name: "there", server: ADDRESS },
      ...{ username: "made-up-user", password: "made-up-password" },
    });
  });
  afterAll(() => cluster.stop());

  it("reads them from the cluster, and says which it could not read", async () => {
    const { directory } = cluster.network;
    const registry = (name: string) => ({ name, address: ADDRESS, auth: { type: "Secret", name } });
    const config = join(directory, "pullpass.yaml");
    // JSON is YAML.
    await writeFile(config, JSON.stringify({ registries: [registry("there"), registry("missing")] }));
    const flags = ["--config", config, "--kubeconfig", cluster.kubeconfig, "--namespace", "pullpass"];
    const { stdout, stderr, status } = runPullpass(["check", "--login", ...flags], directory);
    expect(stdout).toContain(`there: ${ADDRESS}: not reached: connect ECONNREFUSED ${ADDRESS}\n`);
    expect(stdout).toContain(`missing: ${ADDRESS}: not asked: Secret pullpass/missing does not exist\n`);
    expect(status).toBe(1);
    expect(stdout + stderr).not.toContain("made-up");
  });
});
