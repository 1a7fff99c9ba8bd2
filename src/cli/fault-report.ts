/** Tells whoever has to know that credentials cannot be read, and that they can be read again. */
import type { Logger } from "pino";
import type { Source } from "../core/replication.ts";
import type { Warn } from "../replicator/ports.ts";
import type { SourceFault } from "./sources.ts";

export interface FaultReport {
  /** The registries whose credentials cannot be had now. */
  registries(): ReadonlySet<string>;
  /** Takes over the faults of the moment. Every replica logs each new one, and each source that can be read again. */
  report(faults: readonly SourceFault[], sources: readonly Source[]): void;
  /** Writes Events; the replica that begins to write does, too. */
  warn(): void;
}

/**
 * Events come from the replica that writes, once for all of them. They are Pullpass's pod's, where `kubectl describe`
 * shows them; without a pod, the Secret's, if the source is one.
 */
export function createFaultReport(
  logger: Logger,
  warn: Warn,
  { isLeading, isPod }: { readonly isLeading: () => boolean; readonly isPod: boolean },
): FaultReport {
  let current: readonly SourceFault[] = [];
  let registries: ReadonlySet<string> = new Set();
  /** Registries whose fault is in the log, and not yet that it is over. */
  const unreadable = new Set<string>();
  const warnOfAll = (): void => {
    for (const { registry, message, secret } of current) {
      warn({
        reason: "CredentialsUnreadable",
        message: `The credentials of registry ${registry} cannot be had: ${message}. Copies stay as they are.`,
        ...(secret === undefined || isPod ? {} : { secret }),
      });
    }
  };
  return {
    registries: () => registries,
    report(faults, sources) {
      const before = new Set(current.map(describeFault));
      current = faults;
      registries = new Set(faults.map(({ registry }) => registry));
      for (const registry of unreadable) {
        const source = sources.find(({ registry: { name } }) => name === registry);
        if (source?.credentials === "unreadable") continue;
        unreadable.delete(registry);
        if (source !== undefined) logger.info({ registry }, "credentials can be read again");
      }
      for (const registry of registries) unreadable.add(registry);
      const news = faults.filter((fault) => !before.has(describeFault(fault)));
      for (const fault of news) logger.error(fault, "credentials cannot be had; copies stay as they are");
      // What was told before is not told again: see the recorder of Events.
      if (news.length > 0 && isLeading()) warnOfAll();
    },
    warn: warnOfAll,
  };
}

function describeFault({ registry, message }: SourceFault): string {
  return `${registry}: ${message}`;
}
