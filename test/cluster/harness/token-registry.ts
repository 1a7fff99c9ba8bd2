import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RegistryWithUsers } from "./password-registry.ts";
import { startRegistry, type Credentials, type RegistryOptions } from "./registry.ts";
import { startTokenServer, type TokenRequest } from "./token-server.ts";

export interface TokenRegistry extends RegistryWithUsers {
  /** What its token server was asked, oldest first. */
  readonly tokenRequests: readonly TokenRequest[];
  /** Lets somebody in, everywhere or only into some repositories. */
  setUser(credentials: Credentials, mayAccess?: (repository: string) => boolean): Promise<void>;
}

/** A registry that sends clients to a token server with their password, as Docker Hub does. */
export async function startTokenRegistry(options: Omit<RegistryOptions, "auth">): Promise<TokenRegistry> {
  const { name, host, authority } = options;
  const directory = join(options.directory, name);
  const certificateFile = join(directory, "token-signer.crt");
  const names = { service: `registry of ${host}`, issuer: "pullpass tests" };
  const signing = await authority.issue({ commonName: `${name}-token-signer` });
  await mkdir(directory, { recursive: true });
  await writeFile(certificateFile, signing.certificatePem);
  const serving = await authority.issue({ commonName: `${name}-token-server`, hosts: [host] });
  const tokenServer = await startTokenServer({ ...names, host, serving, signing });
  try {
    const auth = { kind: "token", realm: tokenServer.realm, certificateFile, ...names } as const;
    const registry = await startRegistry({ ...options, auth });
    return {
      ...registry,
      tokenRequests: tokenServer.requests,
      setUser(credentials, mayAccess) {
        tokenServer.setUser(credentials, mayAccess);
        return Promise.resolve();
      },
      async stop() {
        await registry.stop();
        await tokenServer.stop();
      },
    };
  } catch (error: unknown) {
    await tokenServer.stop();
    throw error;
  }
}
