import { join } from "node:path";
import { createAuthority } from "./certificates.ts";
import { claimNetwork } from "./claim-network.ts";
import { keepLogs, reportToStandardError } from "./cluster.ts";
import { NODE_PROGRAMS, requireDebianPrograms } from "./debian-programs.ts";
import { startPasswordRegistry, type RegistryWithUsers } from "./password-registry.ts";
import { startOrUndo } from "./teardown.ts";
import { startTokenRegistry, type TokenRegistry } from "./token-registry.ts";
import { startWatchdog } from "./watchdog.ts";

/** The two registries of a node without a node or a control plane. Nobody may do anything at them at first. */
export interface Registries {
  /** Where tests may write; it is removed with the registries. */
  readonly directory: string;
  readonly passwordRegistry: RegistryWithUsers;
  readonly tokenRegistry: TokenRegistry;
  stop(): Promise<void>;
}

export async function startRegistries(): Promise<Registries> {
  const programs = await requireDebianPrograms(NODE_PROGRAMS, reportToStandardError);
  return startOrUndo(async (teardown) => {
    const network = await claimNetwork();
    const { directory } = network;
    const watchdog = startWatchdog(directory, network.name);
    teardown.add(() => watchdog.release());
    teardown.add(() => keepLogs(network));
    const authority = await createAuthority("pullpass-test");
    const options = (name: string, lastByte: number) => ({
      name,
      host: network.address(lastByte),
      directory: join(directory, "registries"),
      logDirectory: join(directory, "log"),
      authority,
      programs,
      // Built from source with Go; nothing here is run, so that tests push content of their own.
      pause: "",
    });
    const passwordRegistry = await startPasswordRegistry(options("password", 11));
    teardown.add(() => passwordRegistry.stop());
    const tokenRegistry = await startTokenRegistry(options("token", 12));
    teardown.add(() => tokenRegistry.stop());
    return { directory, passwordRegistry, tokenRegistry, stop: () => teardown.run() };
  });
}
