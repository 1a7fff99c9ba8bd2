import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeTar, type TarEntry } from "./write-tar.ts";

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

/** An image that waits until it is told to end. */
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
