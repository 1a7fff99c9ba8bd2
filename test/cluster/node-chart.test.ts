import { spawn } from "node:child_process";
import { once } from "node:events";
import { beforeAll, expect, it } from "vitest";
import { buildGoTool } from "./harness/build-go-tool.ts";
import { buildImage } from "./harness/build-image.ts";
import { reportToStandardError } from "./harness/cluster.ts";
import { describeLevel } from "./harness/describe-level.ts";
import { nodeParts, requestedRelease } from "./harness/parts.ts";
import { CERT_MANAGER, CREDENTIAL_PLUGINS, HELM } from "./harness/tools.ts";

await describeLevel("node", "the chart on a node", () => {
  beforeAll(async () => {
    // What follows has no network to build anything with.
    await nodeParts(requestedRelease(), reportToStandardError);
    await buildGoTool(HELM, reportToStandardError);
    await buildGoTool(CERT_MANAGER, reportToStandardError);
    await buildGoTool(CREDENTIAL_PLUGINS, reportToStandardError);
    await buildImage(reportToStandardError);
  });

  it(
    "passes node-chart.routed.ts in a network namespace of its own, with kube-proxy",
    { timeout: 10 * 60_000 },
    async () => {
      const vitest = [process.execPath, "node_modules/vitest/vitest.mjs", "run", "--project", "node"];
      const script = 'ip link set lo up && echo 1 > /proc/sys/net/ipv4/ip_forward && exec "$@"';
      const child = spawn("unshare", ["--net", "--", "sh", "-ec", script, "sh", ...vitest], {
        env: { ...process.env, PULLPASS_ROUTED: "1" },
        stdio: ["ignore", "inherit", "inherit"],
      });
      expect(await once(child, "close")).toEqual([0, null]);
    },
  );
});
