import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Set by test/cluster/node-chart.test.ts, in a network namespace of its own. */
const isRouted = process.env["PULLPASS_ROUTED"] === "1";

/** They measure time or memory: nothing else runs beside them, nor does coverage, which slows our code and not the engine's. */
const ALONE = ["test/admission/review-time.test.ts", "test/cluster/node-memory-limit.test.ts"];

/** If they began last, the others would be done long before them. One of them measures the memory of a process that has done nothing else. */
const LONGEST = [
  "cluster/node-chart",
  "cluster/node-changing-password",
  "cluster/node-registry-objects",
  "cluster/node-memory-stored",
  "cluster/node-heal",
  "cluster/heal",
  "serve/serve-start",
  "admission/fuzz",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => rankOf(one) - rankOf(other));
  }
}

function rankOf({ moduleId }: TestSpecification): number {
  const rank = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
  return rank === -1 ? LONGEST.length : rank;
}

/** Many tests start the built program, which costs 0.25 s of processor time with it and 0.42 s without. */
const COMPILE_CACHE = { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/pullpass") };

const REAL_CLUSTER = {
  // Go programs that live for a minute collect garbage less often: API servers take most of the processor's time.
  env: { ...COMPILE_CACHE, GOGC: "400" },
  // The kernel ends the daemons with the process that started them, which a thread is not.
  pool: "forks",
  testTimeout: 60_000,
  // Where nothing is built yet, the first hook builds it.
  hookTimeout: 30 * 60_000,
} as const;

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    // Tests of one file build on each other: what failed first is what there is to see.
    bail: process.env["CI"] === undefined ? 0 : 1,
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
          exclude: ["test/cluster/**", "test/web/**", ...ALONE],
          testTimeout: 30_000,
          env: COMPILE_CACHE,
          // A third of the time, otherwise, is taken by imports; whatever a file changes outside of itself it puts back.
          isolate: false,
          // Some wait for seconds: two workers would leave a core idle.
          maxWorkers: 4,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...REAL_CLUSTER,
          name: "cluster",
          include: ["test/cluster/*.test.ts"],
          // One control plane serves many files (harness/borrow-cluster.ts).
          isolate: false,
          exclude: ["test/cluster/node*.test.ts", ...ALONE],
          // Most of them wait most of the time.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...REAL_CLUSTER,
          name: "alone",
          include: [...ALONE],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...REAL_CLUSTER,
          name: "web",
          include: ["test/web/*.test.ts"],
          // Chromium takes a core by itself, half of the time.
          maxWorkers: 2,
          testTimeout: 120_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...REAL_CLUSTER,
          name: "node",
          include: [isRouted ? "test/cluster/*.routed.ts" : "test/cluster/node*.test.ts"],
          exclude: [...ALONE],
          // Two already take both cores; with three a node with its first pod once took 21 s instead of 11.
          maxWorkers: 2,
          testTimeout: 120_000,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
