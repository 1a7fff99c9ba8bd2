/** A configuration with credentials in files, as mounted Secrets are. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";

export interface BenchConfiguration {
  readonly configFile: string;
  /** Puts another password in the file of the first registry, as an admin would. */
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
  let rotations = 0;
  return {
    configFile,
    async rotate() {
      const next = path.join(directory, "next");
      rotations++;
      await writeFile(next, `made-up-password-${rotations.toString()}`);
      await rename(next, passwordFile(0));
    },
  };
}
