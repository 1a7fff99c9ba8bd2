import type { Kubectl } from "./kubectl.ts";
import type { Credentials } from "./registry.ts";

export interface PullSecret extends Credentials {
  readonly name: string;
  readonly namespace?: string;
  /** The key under which the credentials stand: a registry's host, or Docker Hub's own `https://index.docker.io/v1/`. */
  readonly server: string;
}

export async function createPullSecret(kubectl: Kubectl, secret: PullSecret): Promise<void> {
  const { name, namespace = "default", server, username, password } = secret;
  await kubectl.run([
    ...["create", "secret", "docker-registry", name, `--namespace=${namespace}`],
    ...[`--docker-server=${server}`, `--docker-username=${username}`, `--docker-password=${password}`],
  ]);
}
