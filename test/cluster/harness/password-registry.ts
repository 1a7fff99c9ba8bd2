import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "./run-command.ts";
import { startRegistry, type Credentials, type Registry, type RegistryOptions } from "./registry.ts";

export interface RegistryWithUsers extends Registry {
  /** Lets somebody in, or changes the password. */
  setUser(credentials: Credentials): Promise<void>;
}

/** A registry that asks for a user name and a password (HTTP Basic), from a file that it reads again when it changes. */
export async function startPasswordRegistry(
  options: Omit<RegistryOptions, "auth">,
): Promise<RegistryWithUsers> {
  const directory = join(options.directory, options.name);
  const file = join(directory, "htpasswd");
  await mkdir(directory, { recursive: true });
  await writeFile(file, "");
  const registry = await startRegistry({ ...options, auth: { kind: "basic" } });
  return {
    ...registry,
    async setUser({ username, password }) {
      // -B is bcrypt, the only hash that the registry knows; -i reads the password from standard input.
      await runCommand(options.programs.htpasswd, ["-iB", file, username], { input: password });
    },
  };
}
