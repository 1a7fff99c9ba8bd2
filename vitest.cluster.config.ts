import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/cluster/**/*.test.ts"],
    // Several clusters at once are safe, but on a small machine only slow.
    fileParallelism: false,
    // The kernel ends the daemons with the process that started them, which a thread is not.
    pool: "forks",
    testTimeout: 60_000,
    // Where nothing is built yet, the first hook builds it.
    hookTimeout: 30 * 60_000,
  },
});
