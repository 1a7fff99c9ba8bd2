import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseAddress } from "../../src/core/address.ts";
import type { CredentialProvider } from "../../src/core/credential-provider.ts";
import { temporaryDirectory } from "../config/temporary-directory.ts";

/** A directory of programs, each a shell script. `$0.X` are files of its own. */
export function programs(scripts: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory();
  for (const [name, script] of Object.entries(scripts)) {
    const file = path.join(directory, name);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  }
  return directory;
}

/** What a script wrote to `$0.NAME`. */
export function noteOf(directory: string, program: string, name: string): string {
  return readFileSync(path.join(directory, `${program}.${name}`), "utf8");
}

export const PROVIDER: CredentialProvider = {
  ...{ name: "provider", protocol: "kubelet", matchImages: ["registry.example.com"] },
  ...{ defaultCacheDurationMs: 3_600_000, gracePeriodMs: 600_000, args: [], env: [] },
};

export const REQUEST = {
  address: parseAddress("registry.example.com"),
  image: "registry.example.com/pullpass",
};

/** An answer as kubelet takes it, with changes; `undefined` takes a member away. */
export function answer(changes: object = {}): string {
  return JSON.stringify({
    kind: "CredentialProviderResponse",
    apiVersion: "credentialprovider.kubelet.k8s.io/v1",
    cacheKeyType: "Registry",
    cacheDuration: "6h0m0s",
    auth: { "registry.example.com": { username: "user", password: "made-up" } },
    ...changes,
  });
}
