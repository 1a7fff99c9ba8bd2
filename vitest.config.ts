import { defineConfig } from "vitest/config";

/** Set by test/cluster/node-chart.test.ts, in a network namespace of its own. */
const isRouted = process.env["PULLPASS_ROUTED"] === "1";

export default defineConfig({
  test: {
    coverage: {
      provider: "v8",
      include: ["src/core/**/*.ts", "src/admission/**/*.ts"],
      thresholds: { branches: 100 },
      reporter: ["text-summary", "json-summary"],
    },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/cluster/**"],
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "cluster",
          // Real daemons on a busy machine are late at times. The reporter says which test was tried again.
          retry: 1,
          include: [isRouted ? "test/cluster/**/*.routed.ts" : "test/cluster/**/*.test.ts"],
          // Several clusters at once are safe, but on a small machine only slow.
          fileParallelism: false,
          // The kernel ends the daemons with the process that started them, which a thread is not.
          pool: "forks",
          testTimeout: 60_000,
          // Where nothing is built yet, the first hook builds it.
          hookTimeout: 30 * 60_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
