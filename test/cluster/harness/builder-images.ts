/** Images of builders: real programs, with the paths and the environment that the originals give them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildGoTool } from "./build-go-tool.ts";
import { reportToStandardError, type Cluster } from "./cluster.ts";
import { requireDebianPrograms } from "./debian-programs.ts";
import { programFiles, type ImageContent, type TarEntry } from "./images.ts";
import { CRANE, KANIKO } from "./tools.ts";

/** They trust the authority that signs the certificates of the cluster's registries. */
type Trust = Pick<Cluster, "authority">;

/**
 * As kaniko's own Dockerfile makes it. Its slim variant lacks DOCKER_CONFIG and the directory that it names; its debug variant has
 * a few programs of busybox besides, here those of this machine.
 */
export async function kanikoImage(
  { authority }: Trust,
  variant: "usual" | "slim" | "debug" = "usual",
): Promise<ImageContent> {
  const program = join(await buildGoTool(KANIKO, reportToStandardError), "executor");
  const isSlim = variant === "slim";
  return {
    files: [
      { name: "kaniko/", mode: 0o777 },
      ...(isSlim ? [] : [{ name: "kaniko/.docker/" }]),
      { name: "kaniko/ssl/certs/ca-certificates.crt", content: authority.pem },
      { name: "kaniko/executor", content: await readFile(program), mode: 0o755 },
      ...(variant === "debug" ? await programsIn("busybox", ["sh", "cat"]) : []),
    ],
    config: {
      Entrypoint: ["/kaniko/executor"],
      Env: [
        ...["HOME=/root", "USER=root", "SSL_CERT_DIR=/kaniko/ssl/certs"],
        `PATH=/usr/local/bin:/kaniko${variant === "debug" ? ":/busybox" : ""}`,
        ...(isSlim ? [] : ["DOCKER_CONFIG=/kaniko/.docker/"]),
      ],
      ...(isSlim ? {} : { WorkingDir: "/workspace" }),
    },
  };
}

const AUTHORITIES = "etc/ssl/certs/ca-certificates.crt";

/** Pushes with crane instead of Python's client: both read `.docker/config.json` in the home directory that /etc/passwd says. */
export async function dockerizerImage({ authority }: Trust): Promise<ImageContent> {
  return {
    files: [
      { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\n" },
      { name: AUTHORITIES, content: authority.pem },
      await craneFile(),
    ],
    config: { Entrypoint: ["/usr/local/bin/crane"] },
  };
}

/**
 * A shell, and crane by the name of docker: both read `config.json` where DOCKER_CONFIG says, or else in the home directory, and
 * write it there when they log in. The entrypoint runs what it is given.
 */
export async function dockerImage({ authority }: Trust): Promise<ImageContent> {
  return {
    files: [
      ...(await programsIn("bin", ["sh", "sleep"])),
      { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\n" },
      { name: "usr/local/bin/docker-entrypoint.sh", content: '#!/bin/sh\nexec "$@"\n', mode: 0o755 },
      { name: AUTHORITIES, content: authority.pem },
      await craneFile("docker"),
    ],
    config: { Entrypoint: ["docker-entrypoint.sh"], Env: ["PATH=/usr/local/bin:/bin"] },
  };
}

async function craneFile(name = "crane"): Promise<TarEntry> {
  const program = join(await buildGoTool(CRANE, reportToStandardError), "crane");
  return { name: `usr/local/bin/${name}`, content: await readFile(program), mode: 0o755 };
}

/** It says itself where credentials are, as the original does. */
export async function skopeoImage({ authority }: Trust): Promise<ImageContent> {
  const { skopeo } = await requireDebianPrograms(["skopeo"], reportToStandardError);
  return {
    files: [
      ...(await programFiles(skopeo)),
      { name: AUTHORITIES, content: authority.pem },
      { name: "etc/containers/policy.json", content: '{"default":[{"type":"insecureAcceptAnything"}]}' },
      { name: "var/tmp/", mode: 0o1777 },
    ],
    config: { Entrypoint: [skopeo], Env: ["REGISTRY_AUTH_FILE=/tmp/auth.json"] },
  };
}

/** Without an entrypoint, as the original; buildah keeps images in a volume that its pod has to give it. */
export async function buildahImage({ authority }: Trust): Promise<ImageContent> {
  const { buildah } = await requireDebianPrograms(["buildah"], reportToStandardError);
  return {
    files: [
      ...(await programFiles(buildah)),
      ...(await programsIn("bin", ["sh"])),
      { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\n" },
      { name: AUTHORITIES, content: authority.pem },
      { name: "etc/containers/policy.json", content: '{"default":[{"type":"insecureAcceptAnything"}]}' },
      { name: "var/tmp/", mode: 0o1777 },
    ],
    config: { Entrypoint: [], Env: ["PATH=/usr/bin:/bin", "BUILDAH_ISOLATION=chroot"] },
  };
}

/** What Tekton's init containers need to place a step's script, and the program that starts it then. */
export async function tektonImage(): Promise<ImageContent> {
  // Tekton's own waits for the step before, and hands on how this one ended.
  const entrypoint = [
    "#!/bin/sh",
    'while [ "$1" != -entrypoint ]; do shift; done',
    "program=$2",
    "shift 3",
    'exec "$program" "$@"',
  ];
  return {
    files: [
      ...(await programsIn("bin", ["sh", "cp", "chmod", "base64"])),
      { name: "ko-app/entrypoint", content: `${entrypoint.join("\n")}\n`, mode: 0o755 },
    ],
    config: { Entrypoint: ["/bin/sh"], Env: ["PATH=/bin"] },
  };
}

/** A shell, to build other images from. */
export async function shellImage(): Promise<ImageContent> {
  return { files: await programFiles("/bin/sh"), config: { Entrypoint: ["/bin/sh"] } };
}

/** Programs of this machine in a directory of an image, and their libraries where they have to be. */
async function programsIn(directory: string, names: readonly string[]): Promise<readonly TarEntry[]> {
  const files = new Map<string, TarEntry>();
  for (const name of names) {
    const [program, ...libraries] = await programFiles(`/bin/${name}`);
    if (program !== undefined) files.set(name, { ...program, name: `${directory}/${name}` });
    for (const library of libraries) files.set(library.name, library);
  }
  return [...files.values()];
}
