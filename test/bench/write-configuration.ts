/** Configurations with credentials in files, as mounted Secrets are, and with credentials that a program hands out. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";

export interface BenchConfiguration {
  readonly configFile: string;
  /** Further flags of `pullpass serve`. */
  readonly flags: readonly string[];
  /** Puts another password in the file of the first registry, as an admin would; a program hands it out for all of them. */
  readonly rotate: () => Promise<void>;
}

export async function writeConfiguration(
  directory: string,
  registryCount: number,
): Promise<BenchConfiguration> {
  await mkdir(directory, { recursive: true });
  const passwordFile = (index: number): string => path.join(directory, `password-${index.toString()}`);
  const indexes = Array.from({ length: registryCount }, (_, index) => index);
  for (const index of indexes) await writeFile(passwordFile(index), "made-up-password");
  const registries = indexes.map((index) => ({
    name: `registry-${index.toString()}`,
    address: `registry-${index.toString()}.example.com/team`,
    auth: { type: "BasicAuth", username: "made-up-user", passwordFrom: { file: passwordFile(index) } },
  }));
  const configFile = path.join(directory, "pullpass.yaml");
  // JSON is YAML.
  await writeFile(configFile, JSON.stringify({ registries }));
  return { configFile, flags: [], rotate: rotation(passwordFile(0)) };
}

/** Runs once a minute for each registry, and hands out what is in a file. */
export async function writeProviderConfiguration(
  directory: string,
  registryCount: number,
): Promise<BenchConfiguration> {
  await mkdir(directory, { recursive: true });
  const passwordFile = path.join(directory, "password");
  const rotate = rotation(passwordFile);
  await rotate();
  const name = "made-up-provider";
  const apiVersion = "credentialprovider.kubelet.k8s.io/v1";
  const program = `#!/bin/sh
read -r request
host=\${request#*\\"image\\":\\"} host=\${host%%/*}
read -r password < ${passwordFile}
printf '{"kind":"CredentialProviderResponse","apiVersion":"${apiVersion}","cacheKeyType":"Registry",'
printf '"cacheDuration":"1m","auth":{"%s":{"username":"made-up-user","password":"%s"}}}' "$host" "$password"
`;
  await writeFile(path.join(directory, name), program, { mode: 0o755 });
  const matchImages = ["*.example.com"];
  const configFile = path.join(directory, "pullpass.yaml");
  await writeFile(
    configFile,
    JSON.stringify({
      providers: [{ name, apiVersion, matchImages, defaultCacheDuration: "1m" }],
      registries: Array.from({ length: registryCount }, (_, index) => ({
        name: `registry-${index.toString()}`,
        address: `registry-${index.toString()}.example.com`,
        auth: { type: "Provider", provider: name },
        use: ["pull"],
      })),
    }),
  );
  return { configFile, flags: [`--credential-provider-bin-dir=${directory}`], rotate };
}

function rotation(passwordFile: string): () => Promise<void> {
  let rotations = 0;
  return async () => {
    rotations++;
    await writeFile(`${passwordFile}.new`, `made-up-password-${rotations.toString()}\n`);
    await rename(`${passwordFile}.new`, passwordFile);
  };
}
