import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { createStringPool } from "../../src/kube/string-pool.ts";

it("gives back equal texts, whatever it has forgotten", () => {
  const pool = createStringPool(10);
  for (const text of ["", "a", "longer than it may hold", "a", "b".repeat(10), "a"])
    expect(pool(text)).toBe(text);
});

it.each([
  ["one text where 20,000 objects hold an equal one", "held.push(pool(text(0)))"],
  ["few of 20,000 texts that nobody holds any more", "pool(text(i))"],
])("keeps %s", (_what, statement) => {
  // A process of its own can be made to collect its garbage. Without interning it would hold 200 MB.
  const program = `
    import { createStringPool } from "./src/kube/string-pool.ts";
    const pool = createStringPool();
    const held = [];
    const text = (number) => Buffer.from(String(number).padEnd(10_000)).toString("latin1");
    for (let i = 0; i < 20_000; i++) ${statement};
    gc();
    console.log(process.memoryUsage().heapUsed);
    // Both are held until here.
    pool(held.join(""));
  `;
  const args = ["--expose-gc", "--input-type=module", `--eval=${program}`];
  const output = execFileSync(process.execPath, args, { encoding: "utf8" });
  expect(Number(output)).toBeLessThan(50_000_000);
});
