import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { InvalidConfigurationError } from "../../src/config/diagnostics.ts";
import { readConfiguration, readToWatch, watchConfiguration } from "../../src/config/read.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

function registryNamed(name: string): string {
  return `registries: [{ name: ${name}, address: a.com }]\n`;
}

/** What a server would have taken over, and what it would have logged, since it started. */
function watched(
  files: readonly string[],
  whileItStarts: () => void = () => undefined,
): { readonly seen: readonly string[] } {
  const seen: string[] = [];
  const { content } = readToWatch(files);
  whileItStarts();
  const watch = watchConfiguration(files, content, () => undefined, {
    onReload: ({ registries }) => void seen.push(registries.map(({ name }) => name).join(",")),
    onFailure: (error) => void seen.push(error.message),
  });
  onTestFinished(() => {
    watch.close();
  });
  return { seen };
}

function waitFor(assertion: () => void): Promise<void> {
  return vi.waitFor(assertion, { timeout: 5000, interval: 20 });
}

/** As kubelet fills a mounted ConfigMap: a directory of its own, which one link is renamed to. */
function mount(directory: string, generation: string, text: string): void {
  mkdirSync(path.join(directory, generation));
  writeFileSync(path.join(directory, generation, "pullpass.yaml"), text);
  symlinkSync(generation, path.join(directory, "..data_tmp"));
  renameSync(path.join(directory, "..data_tmp"), path.join(directory, "..data"));
}

describe("readConfiguration", () => {
  it("reads files, and names all that it cannot read", () => {
    const directory = temporaryDirectory({ "a.yaml": registryNamed("a") });
    expect(readConfiguration([path.join(directory, "a.yaml")]).registries).toHaveLength(1);
    const absent = ["b.yaml", "c.yaml"].map((file) => path.join(directory, file));
    const message = absent
      .map((file) => `${file}: cannot be read: ENOENT: no such file or directory`)
      .join("\n");
    expect(() => readConfiguration(absent)).toThrow(InvalidConfigurationError);
    expect(() => readConfiguration(absent)).toThrow(message);
  });
});

describe("a configuration file in another encoding", () => {
  it.each([
    ["Latin-1", Buffer.from(`${registryNamed("a")}# Lösung\n# schön\n`, "latin1"), 2],
    ["UTF-16", Buffer.from(`\ufeff${registryNamed("a")}`, "utf16le"), 1],
    ["UTF-8 that is cut", Buffer.from(`\n\n${registryNamed("ä")}`).subarray(0, 24), 3],
  ])("is refused in %s, with its line", (_title, bytes, line) => {
    const file = path.join(temporaryDirectory({ "pullpass.yaml": bytes }), "pullpass.yaml");
    expect(() => readConfiguration([file])).toThrow(`${file}:${line.toString()}: is not UTF-8`);
  });

  it("is read with a byte order mark", () => {
    const file = path.join(
      temporaryDirectory({ "pullpass.yaml": `\ufeff${registryNamed("a")}` }),
      "pullpass.yaml",
    );
    expect(readConfiguration([file]).registries).toHaveLength(1);
  });
});

describe("watchConfiguration", () => {
  it("sees a file that is written, and one that is put in its place", async () => {
    const directory = temporaryDirectory({ "pullpass.yaml": registryNamed("one") });
    const file = path.join(directory, "pullpass.yaml");
    const { seen } = watched([file]);
    writeFileSync(file, registryNamed("two"));
    await waitFor(() => {
      expect(seen).toEqual(["two"]);
    });
    writeFileSync(`${file}.new`, registryNamed("three"));
    renameSync(`${file}.new`, file);
    await waitFor(() => {
      expect(seen).toEqual(["two", "three"]);
    });
  });

  it("sees what changed before it began", () => {
    const file = path.join(temporaryDirectory({ "pullpass.yaml": registryNamed("one") }), "pullpass.yaml");
    const { seen } = watched([file], () => {
      writeFileSync(file, registryNamed("two"));
    });
    expect(seen).toEqual(["two"]);
  });

  it("sees every swap of a mounted ConfigMap", async () => {
    const directory = temporaryDirectory();
    mount(directory, "..1", registryNamed("one"));
    symlinkSync(path.join("..data", "pullpass.yaml"), path.join(directory, "pullpass.yaml"));
    const { seen } = watched([path.join(directory, "pullpass.yaml")]);
    for (const [generation, name] of [
      ["..2", "two"],
      ["..3", "three"],
      ["..4", "four"],
    ] as const) {
      mount(directory, generation, registryNamed(name));
      await waitFor(() => {
        expect(seen.at(-1)).toBe(name);
      });
    }
    expect(seen).toEqual(["two", "three", "four"]);
  });

  it("reports a wrong file once, and goes on with the next good one", async () => {
    const directory = temporaryDirectory({ "pullpass.yaml": registryNamed("one") });
    const file = path.join(directory, "pullpass.yaml");
    const { seen } = watched([file]);
    writeFileSync(file, "registries: [");
    await waitFor(() => {
      expect(seen).toHaveLength(1);
    });
    writeFileSync(path.join(directory, "unrelated"), "");
    writeFileSync(file, registryNamed("two"));
    await waitFor(() => {
      expect(seen).toHaveLength(2);
    });
    rmSync(file);
    await waitFor(() => {
      expect(seen).toHaveLength(3);
    });
    writeFileSync(file, "");
    await waitFor(() => {
      expect(seen).toHaveLength(4);
    });
    expect(seen.map((text) => text.replace(file, "FILE"))).toEqual([
      expect.stringMatching(/^FILE:1: YAML: /),
      "two",
      "FILE: cannot be read: ENOENT: no such file or directory",
      "FILE: is empty; write `registries: []` if there are none",
    ]);
  });

  it("says nothing while the files hold the same", async () => {
    const directory = temporaryDirectory({ "a.yaml": registryNamed("one"), "b.yaml": registryNamed("two") });
    const file = path.join(directory, "a.yaml");
    const { seen } = watched([file, path.join(directory, "b.yaml")]);
    writeFileSync(file, registryNamed("one"));
    writeFileSync(path.join(directory, "unrelated"), "");
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(seen).toEqual([]);
  });

  it("looks without being told where a directory cannot be watched", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const file = path.join(temporaryDirectory(), "later", "pullpass.yaml");
    mkdirSync(path.dirname(file));
    writeFileSync(file, registryNamed("one"));
    const { seen } = watched([file], () => {
      rmSync(path.dirname(file), { recursive: true });
    });
    mkdirSync(path.dirname(file));
    writeFileSync(file, registryNamed("two"));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(seen).toEqual([`${file}: cannot be read: ENOENT: no such file or directory`, "two"]);
  });
});
