import { spawn } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildImage, type BuiltImage } from "./build-image.ts";
import { reportToStandardError } from "./cluster.ts";
import { describeLevel } from "./describe-level.ts";
import { runCommand } from "./run-command.ts";

/** In the image's files and as its user; /tmp is a directory of the test. */
const IN_IMAGE = `
root=$1 tmp=$2
shift 2
mount --bind "$tmp" "$root/tmp"
exec chroot --userspec=65532:65532 "$root" "$@"
`;
/** Nothing of this machine's, such as where its certificates are. */
const ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", NODE_ENV: "production" };
const MEBIBYTE = 2 ** 20;
const STARTS = 5;

await describeLevel("node", "the image", () => {
  let image: BuiltImage;
  let directory: string;

  beforeAll(async () => {
    image = await buildImage(reportToStandardError);
    directory = await mkdtemp(join(tmpdir(), "pullpass-image-"));
    await writeFile(join(directory, "pullpass.yaml"), "registries: []\n", { mode: 0o644 });
    await runCommand("chmod", ["755", directory]);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const command = (args: readonly string[]): readonly string[] => [
    ...["--mount", "--propagation", "private", "--", "sh", "-ec", IN_IMAGE, "sh"],
    ...[image.rootDirectory, directory, ...args],
  ];
  const run = (...args: readonly string[]) => runCommand("unshare", command(args), { env: ENVIRONMENT });
  const node = "/usr/local/bin/node";
  const pullpass = (...args: readonly string[]) => [...image.config.Entrypoint, ...args];

  it("runs Pullpass, as nobody in particular", async () => {
    expect(image.config).toMatchObject({ User: "65532:65532" });
    const { version } = JSON.parse(await readFile("package.json", "utf8")) as { version: string };
    expect((await run(...pullpass("--version"))).stdout).toBe(`${version}\n`);
    expect(image.config).toMatchObject({ Labels: { "org.opencontainers.image.version": version } });
  });

  it("holds Node, its libraries, Pullpass and what it needs, and no shell", async () => {
    const files = await readdir(image.rootDirectory, { recursive: true });
    expect(files.filter((file) => /^(?:usr\/)?(?:local\/)?s?bin\/[^/]+$/.test(file))).toEqual([
      "usr/local/bin/node",
    ]);
    expect(files.filter((file) => file.startsWith("var/lib/dpkg/status.d/")).sort()).toEqual(
      ["libatomic1", "libc6", "libgcc-s1", "libstdc++6"].map((name) => `var/lib/dpkg/status.d/${name}`),
    );
    expect(files.filter((file) => /\.map$|\.[cm]?ts$/.test(file))).toEqual([]);
    const packages = JSON.parse(await readFile("package.json", "utf8")) as {
      readonly dependencies: Readonly<Record<string, string>>;
      readonly devDependencies: Readonly<Record<string, string>>;
    };
    const has = (name: string) => files.includes(`app/node_modules/${name}/package.json`);
    expect(Object.keys(packages.dependencies).filter((name) => !has(name))).toEqual([]);
    expect(Object.keys(packages.devDependencies).filter(has)).toEqual([]);
  });

  it("lists what it needs in an SBOM, where a label says", async () => {
    const place = image.config.Labels?.["dev.pullpass.sbom"] ?? "";
    const sbom = JSON.parse(await readFile(join(image.rootDirectory, place), "utf8")) as {
      readonly spdxVersion: string;
      readonly packages: readonly { readonly packageFileName: string }[];
    };
    expect(sbom.spdxVersion).toBe("SPDX-2.3");
    const listed = sbom.packages.map(({ packageFileName }) => packageFileName).filter((name) => name !== "");
    const modules = await readdir(join(image.rootDirectory, "app/node_modules"), { recursive: true });
    const isPackage = /^(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/@]+\/package\.json$/;
    const installed = modules.filter((file) => isPackage.test(file));
    expect(new Set(listed)).toEqual(
      new Set(installed.map((file) => `node_modules/${file.slice(0, -"/package.json".length)}`)),
    );
  });

  it("says that it reads no kubeconfig", async () => {
    const purge = run(...pullpass("purge", "--yes", "--kubeconfig=/tmp/kubeconfig"));
    await expect(purge).rejects.toThrow("which this installation was made without");
  });

  it("is ready within a second, and not much larger than Node alone", async () => {
    const alone = await medianOf(() => run(node, "--eval", "0"));
    const serving = await medianOf(() =>
      untilListening(
        command(
          pullpass(
            "serve",
            "--standalone",
            "--tls-self-signed",
            "--config=/tmp/pullpass.yaml",
            "--listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
          ),
        ),
      ),
    );
    const sizes = image.layers.map((layer) => ({ plain: layer.length, packed: gzipSync(layer).length }));
    const total = (kind: "plain" | "packed", from = 0) =>
      (sizes.slice(from).reduce((sum, size) => sum + size[kind], 0) / MEBIBYTE).toFixed(1);
    process.stderr.write(
      `image: ${total("plain")} MiB, ${total("packed")} MiB to pull, ` +
        `of which ${total("plain", 1)} and ${total("packed", 1)} MiB are not Node and its libraries\n` +
        `start: ${String(serving)} ms until it listens, ${String(alone)} ms of which are Node's\n`,
    );
    expect(serving).toBeLessThan(1000);
    expect(Number(total("plain", 1))).toBeLessThan(20);
  });
});

/** Milliseconds. */
async function medianOf(start: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < STARTS; count += 1) {
    const startedAt = performance.now();
    await start();
    times.push(performance.now() - startedAt);
  }
  return Math.round(times.sort((a, b) => a - b)[Math.floor(STARTS / 2)] ?? 0);
}

/** Runs `unshare` until the program in it says that it listens, and then ends it. */
async function untilListening(args: readonly string[]): Promise<void> {
  const child = spawn("unshare", args, { env: ENVIRONMENT, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const listening = new Promise<void>((resolve) => {
    let log = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      log += chunk;
      if (log.includes('"msg":"listening"')) resolve();
    });
  });
  await Promise.race([
    listening,
    ended.then(() => {
      throw new Error("it ended before it listened");
    }),
  ]);
  child.kill("SIGKILL");
  await ended;
}
