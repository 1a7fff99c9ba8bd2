/** Images of builders: real programs, with the paths and the environment that the originals give them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildGoTool } from "./build-go-tool.ts";
import { reportToStandardError, type Cluster } from "./cluster.ts";
import { requireDebianPrograms } from "./debian-programs.ts";
import type { ImageContent } from "./images.ts";
import { programFiles } from "./program-files.ts";
import { CRANE, KANIKO } from "./tools.ts";
import type { TarEntry } from "./write-tar.ts";

/** They trust the authority that signs the certificates of the cluster's registries. */
type Trust = Pick<Cluster, "authority">;

/** As kaniko's own Dockerfile makes it. Its slim variant lacks DOCKER_CONFIG and the directory that it names. */
export async function kanikoImage(
  { authority }: Trust,
  variant: "usual" | "slim" = "usual",
): Promise<ImageContent> {
  const program = join(await buildGoTool(KANIKO, reportToStandardError), "executor");
  const isSlim = variant === "slim";
  return {
    files: [
      { name: "kaniko/", mode: 0o777 },
      ...(isSlim ? [] : [{ name: "kaniko/.docker/" }]),
      { name: "kaniko/ssl/certs/ca-certificates.crt", content: authority.pem },
      { name: "kaniko/executor", content: await readFile(program), mode: 0o755 },
    ],
    config: {
      Entrypoint: ["/kaniko/executor"],
      Env: [
        ...["HOME=/root", "USER=root", "PATH=/usr/local/bin:/kaniko", "SSL_CERT_DIR=/kaniko/ssl/certs"],
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

/** A shell, and crane instead of the docker command: both read `config.json` where DOCKER_CONFIG says. */
export async function dockerImage({ authority }: Trust): Promise<ImageContent> {
  return {
    files: [
      ...(await programFiles("/bin/sh")),
      { name: AUTHORITIES, content: authority.pem },
      await craneFile(),
    ],
    config: { Entrypoint: ["/bin/sh"], Env: ["PATH=/usr/local/bin:/bin"] },
  };
}

async function craneFile(): Promise<TarEntry> {
  const program = join(await buildGoTool(CRANE, reportToStandardError), "crane");
  return { name: "usr/local/bin/crane", content: await readFile(program), mode: 0o755 };
}

/** It says itself where credentials are, as the original does. */
export async function skopeoImage({ authority }: Trust): Promise<ImageContent> {
  const { skopeo } = await requireDebianPrograms(reportToStandardError);
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

/** A shell, to build other images from. */
export async function shellImage(): Promise<ImageContent> {
  return { files: await programFiles("/bin/sh"), config: { Entrypoint: ["/bin/sh"] } };
}
