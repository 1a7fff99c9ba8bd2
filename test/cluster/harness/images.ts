import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CommandError, runCommand } from "./run-command.ts";

/** One entry of a tar archive. A name that ends with `/` is a directory. */
export interface TarEntry {
  readonly name: string;
  readonly content?: Buffer | string;
  readonly mode?: number;
}

const BLOCK = 512;

/**
 * Makes a POSIX ustar archive. Nothing in it depends on the clock or on a user, so that equal entries have equal
 * digests.
 */
export function writeTar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const content = Buffer.from(entry.content ?? "");
    const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
    return [header(entry, content.length), content, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header({ name, mode }: TarEntry, size: number): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long for a tar header`);
  const isDirectory = name.endsWith("/");
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  block.write(name, 0);
  block.write(`${octal(mode ?? (isDirectory ? 0o755 : 0o644), 7)}\0`, 100);
  block.write(`${octal(0, 7)}\0`, 108);
  block.write(`${octal(0, 7)}\0`, 116);
  block.write(`${octal(size, 11)}\0`, 124);
  block.write(`${octal(0, 11)}\0`, 136);
  block.write(isDirectory ? "5" : "0", 156);
  block.write("ustar\x0000", 257);
  // The checksum counts itself as eight spaces.
  block.fill(" ", 148, 156);
  const checksum = block.reduce((sum, byte) => sum + byte, 0);
  block.write(`${octal(checksum, 6)}\0 `, 148);
  return block;
}

const OCI = "application/vnd.oci.image";

/** How an image is started, as in the `config` of OCI's format. */
export interface ImageConfig {
  readonly Entrypoint: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

/** What is in an image: its layers as tar archives, or the files of its one layer. */
export type ImageContent =
  | { readonly layers: readonly Buffer[]; readonly config: ImageConfig }
  | { readonly files: readonly TarEntry[]; readonly config: ImageConfig };

/** An image that waits for a signal to end. */
export async function pauseImage(pauseProgram: string): Promise<ImageContent> {
  const files = [{ name: "pause", content: await readFile(pauseProgram), mode: 0o755 }];
  return { files, config: { Entrypoint: ["/pause"] } };
}

/**
 * Makes an image from nothing. Where it is made of files, another one holds the image's name, so that every image is
 * another one, and pulling one never brings a part of another.
 */
function imageEntries(name: string, content: ImageContent): readonly TarEntry[] {
  const layers =
    "layers" in content
      ? content.layers
      : [writeTar([...content.files, { name: "image-name", content: `${name}\n` }])];
  const blobs: TarEntry[] = [];
  const addBlob = (mediaType: string, content: Buffer | string) => {
    const hex = createHash("sha256").update(content).digest("hex");
    blobs.push({ name: `blobs/sha256/${hex}`, content });
    return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(content) };
  };
  const descriptors = layers.map((layer) => addBlob(`${OCI}.layer.v1.tar`, layer));
  const config = addBlob(
    `${OCI}.config.v1+json`,
    JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      config: content.config,
      rootfs: { type: "layers", diff_ids: descriptors.map(({ digest }) => digest) },
    }),
  );
  const manifest = addBlob(
    `${OCI}.manifest.v1+json`,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      config,
      layers: descriptors,
    }),
  );
  // The first annotation is read by containerd and the second one by skopeo.
  const annotations = { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": "latest" };
  return [
    { name: "oci-layout", content: JSON.stringify({ imageLayoutVersion: "1.0.0" }) },
    {
      name: "index.json",
      content: JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
    },
    ...blobs,
  ];
}

/** Writes an image to a directory that tools call an OCI layout; its tag there is `latest`. */
export async function writeImageLayout(directory: string, name: string, image: ImageContent): Promise<void> {
  for (const { name: path, content = "" } of imageEntries(name, image)) {
    const file = join(directory, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  }
}

/** Writes an image to a file that `ctr images import` takes. */
export async function writeImageArchive(file: string, name: string, image: ImageContent): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, writeTar(imageEntries(name, image)));
}

/** A program of this machine and the libraries that it is linked with, each at its own path, for an image. */
export async function programFiles(program: string): Promise<readonly TarEntry[]> {
  const paths = [program, ...(await librariesOf(program))];
  return Promise.all(
    paths.map(async (path) => ({ name: path.slice(1), content: await readFile(path), mode: 0o755 })),
  );
}

/** Lines of ldd are `name => /path (address)`, or `/path (address)` for the loader; the kernel's own has no path. */
async function librariesOf(program: string): Promise<readonly string[]> {
  try {
    const { stdout } = await runCommand("ldd", [program]);
    return [...stdout.matchAll(/(?:^|=>)\s*(\/\S+) \(/gm)].map(([, path = ""]) => path);
  } catch (error) {
    // A program that is linked statically has none.
    if (error instanceof CommandError) return [];
    throw error;
  }
}
