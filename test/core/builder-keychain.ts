/**
 * A model of the readers in build pods, after github.com/google/go-containerregistry `pkg/authn/keychain.go` and
 * github.com/docker/cli `cli/config/credentials/file_store.go`.
 */
import type { Credential } from "../../src/core/credential.ts";
import { parseDockerConfig } from "../../src/core/docker-config.ts";

/**
 * The credentials of which a builder takes one for `domain/path`: none, one, or several where keys are cut to their hosts
 * and Go's order of a map's members decides.
 */
export function builderFinds(document: string, repository: string): readonly Credential[] {
  const { entries } = parseDockerConfig(document, "dockerconfigjson");
  const target = repository.replace(/^docker\.io\//, "index.docker.io/");
  const [host = ""] = target.split("/", 1);
  for (const key of [target, host === "index.docker.io" ? "https://index.docker.io/v1/" : host]) {
    const exact = entries.get(key);
    if (exact !== undefined) return [exact];
    const cut = [...entries].filter(([other]) => hostOf(other) === key);
    if (cut.length > 0) return cut.map(([, credential]) => credential);
  }
  return [];
}

function hostOf(key: string): string {
  const [host = ""] = key.replace(/^[a-z]+:\/\//, "").split("/", 1);
  return host;
}
