import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import {
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { parseDockerfile, runBuildStage, type Stage } from "./build-stage.ts";
import { aloneOnThisMachine, cacheDirectory } from "./cache.ts";
import type { ImageConfig } from "./images.ts";
import { runCommand } from "./run-command.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
/** What the build reads; `.dockerignore` lets nothing else through. */
const CONTEXT = ["Dockerfile", "package.json", "package-lock.json", ".npmrc"];
const CONTEXT_DIRECTORIES = ["src", "deploy/image"];

const IMAGE_LIFETIME_MS = 24 * 3600 * 1000;

export interface BuiltImage {
  readonly config: ImageConfig;
  readonly layers: readonly Buffer[];
  /** The image's files, as a container sees them. */
  readonly rootDirectory: string;
  /** Bytes of the layers, one for each COPY. */
  readonly layerSizes: readonly number[];
}

/**
 * Builds the image as its Dockerfile says, without an engine: the stages are run one after the other, and the last one
 * becomes layers. What was built from equal files is kept.
 */
export async function buildImage(report: (line: string) => void): Promise<BuiltImage> {
  const target = join(cacheDirectory(), `image-${await contextHash()}`);
  await aloneOnThisMachine("the image", report, async () => {
    if (existsSync(target)) return;
    report("the image: building it, once");
    await removeOldImages();
    const temporary = await mkdtemp(join(cacheDirectory(), "image-building-"));
    try {
      await build(temporary);
      await rename(join(temporary, "image"), target);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  });
  const config = JSON.parse(await readFile(join(target, "config.json"), "utf8")) as ImageConfig;
  const names = (await readdir(target)).filter((name) => name.endsWith(".tar")).sort();
  const layers = await Promise.all(names.map((name) => readFile(join(target, name))));
  return {
    config,
    layers,
    layerSizes: layers.map(({ length }) => length),
    rootDirectory: join(target, "root"),
  };
}

async function build(directory: string): Promise<void> {
  const stages = parseDockerfile(await readFile(join(ROOT, "Dockerfile"), "utf8"));
  const [buildStage, finalStage, ...others] = stages;
  if (buildStage === undefined || finalStage?.base !== "scratch" || others.length > 0) {
    throw new Error("the Dockerfile has to have a build stage, and one from scratch");
  }
  const version = process.versions.node;
  if (!buildStage.base.startsWith(`node:${version}-`)) {
    throw new Error(`the Dockerfile builds from ${buildStage.base}, and this is Node ${version}`);
  }
  const stageDirectory = join(directory, "stage");
  await mkdir(stageDirectory);
  const built = await runBuildStage({
    stage: buildStage,
    context: ROOT,
    node: await realpath(process.execPath),
    directory: stageDirectory,
  });
  await writeFinalStage(finalStage, buildStage.name ?? "", built, join(directory, "image"));
}

/** Writes `root`, what is in the image; `N.tar`, its layers; and `config.json`, how it is started. */
async function writeFinalStage(stage: Stage, from: string, built: string, directory: string): Promise<void> {
  const root = join(directory, "root");
  await mkdir(root, { recursive: true });
  const config: Record<string, unknown> & { Env: string[]; Labels: Record<string, string> } = {
    // As Docker has it where an image says nothing.
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    Labels: {},
  };
  let layer = 0;
  for (const { name, flags, value } of stage.instructions) {
    if (name === "COPY") {
      if (flags["from"] !== from) throw new Error(`COPY ${value} is not from the stage ${from}`);
      const layerDirectory = join(directory, "layer");
      const sources = value.split(/ +/);
      const target = sources.pop() ?? "";
      for (const source of sources) {
        const isDirectory = (await stat(join(built, source))).isDirectory();
        const place = join(
          layerDirectory,
          target,
          !isDirectory && target.endsWith("/") ? basename(source) : "",
        );
        await mkdir(dirname(place), { recursive: true });
        await cp(join(built, source), place, { recursive: true, verbatimSymlinks: true, filter: isThere });
      }
      const tar = join(directory, `${String(layer)}.tar`);
      layer += 1;
      await runCommand("tar", [
        ...["--create", `--file=${tar}`, `--directory=${layerDirectory}`, "--sort=name", "--mtime=@0"],
        ...["--owner=0", "--group=0", "--numeric-owner", "."],
      ]);
      await runCommand("tar", ["--extract", `--file=${tar}`, `--directory=${root}`]);
      await rm(layerDirectory, { recursive: true });
    } else if (name === "ENV") config.Env.push(...value.split(/ +/));
    else if (name === "LABEL") {
      for (const [, key = "", text = ""] of value.matchAll(/(\S+?)="([^"]*)"/g)) config.Labels[key] = text;
    } else if (name === "USER") config["User"] = value;
    else if (name === "WORKDIR") config["WorkingDir"] = value;
    else if (name === "EXPOSE") {
      config["ExposedPorts"] = Object.fromEntries(value.split(" ").map((port) => [`${port}/tcp`, {}]));
    } else if (name === "ENTRYPOINT") config["Entrypoint"] = JSON.parse(value);
    else throw new Error(`${name} is not expected in the final stage`);
  }
  await writeFile(join(directory, "config.json"), JSON.stringify(config));
}

/** An overlay has a device where something was removed or renamed. */
async function isThere(source: string): Promise<boolean> {
  return !(await lstat(source)).isCharacterDevice();
}

/** Another clone of this repository may be using one that is newer. */
async function removeOldImages(): Promise<void> {
  for (const name of (await readdir(cacheDirectory())).filter((file) => file.startsWith("image-"))) {
    const path = join(cacheDirectory(), name);
    if (Date.now() - (await stat(path)).mtimeMs > IMAGE_LIFETIME_MS) await rm(path, { recursive: true });
  }
}

async function contextHash(): Promise<string> {
  const hash = createHash("sha256").update(process.arch);
  const inDirectories = await Promise.all(
    CONTEXT_DIRECTORIES.map(async (directory) => {
      const names = await readdir(join(ROOT, directory), { recursive: true });
      return names.map((name) => join(directory, name));
    }),
  );
  for (const file of [...CONTEXT, ...inDirectories.flat().sort()]) {
    if ((await stat(join(ROOT, file))).isFile()) hash.update(file).update(await readFile(join(ROOT, file)));
  }
  return hash.digest("hex").slice(0, 12);
}
