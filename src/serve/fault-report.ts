/** What is wrong with the credentials of registries: in the log, in Events, and in a metric. */
import type { Logger } from "pino";
import type { CredentialsReason } from "../core/registry-status.ts";
import type { Source } from "../core/replication.ts";
import type { ClusterWarning, Warn } from "../replicator/ports.ts";

/** Why a registry's credentials cannot be read, renewed or used any more; nothing secret. */
export interface SourceFault {
  readonly registry: string;
  readonly reason: CredentialsReason;
  readonly message: string;
  /** The Secret that is the source, if one is. */
  readonly secret: Source["secret"];
}

export interface FaultReport {
  /** The registries whose credentials cannot be read now. */
  registries(): ReadonlySet<string>;
  readonly current: () => readonly SourceFault[];
  /** Takes the current faults. Every replica logs each new one, and each source that can be read again. */
  report(faults: readonly SourceFault[], sources: readonly Source[]): void;
  /** Writes Events, as the replica that starts to write does, too. */
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
  const reported = new Set<string>();
  const warnOfAll = (): void => {
    for (const fault of current) {
      const { secret } = fault;
      warn({ ...describeForPeople(fault), ...(secret === undefined || isPod ? {} : { secret }) });
    }
  };
  return {
    registries: () => registries,
    current: () => current,
    report(faults, sources) {
      const before = new Set(current.map(describeFault));
      current = faults;
      const faulty = new Set(faults.map(({ registry }) => registry));
      const sourceOf = new Map(sources.map((source) => [source.registry.name, source]));
      registries = new Set([...faulty].filter((name) => sourceOf.get(name)?.credentials === "unreadable"));
      for (const registry of reported) {
        const source = sourceOf.get(registry);
        if (source?.credentials === "unreadable" || faulty.has(registry)) continue;
        reported.delete(registry);
        if (source !== undefined) logger.info({ registry }, "credentials can be read again");
      }
      for (const registry of faulty) reported.add(registry);
      const news = faults.filter((fault) => !before.has(describeFault(fault)));
      for (const fault of news) logger.error(fault, LOG_MESSAGES[fault.reason] ?? LOG_MESSAGE);
      // What was reported before is not reported again: see the recorder of Events.
      if (news.length > 0 && isLeading()) warnOfAll();
    },
    warn: warnOfAll,
  };
}

const LOG_MESSAGE = "cannot read registry credentials; keeping the existing copies";
const LOG_MESSAGES: Readonly<Partial<Record<CredentialsReason, string>>> = {
  ProviderFailed: "a credential provider failed; keeping the existing copies and retrying",
  Expired: "registry credentials expired; keeping the existing copies",
};

/** As the reason and the message of an Event. */
function describeForPeople({
  registry,
  reason,
  message,
}: SourceFault): Pick<ClusterWarning, "reason" | "message"> {
  switch (reason) {
    case "ProviderFailed":
      return { reason, message: `Registry ${registry}: ${message}. Copies stay as they are.` };
    case "Expired":
      return {
        reason: "CredentialsExpired",
        message: `The credentials of registry ${registry} do not work any more: ${message}. Copies stay as they are.`,
      };
    default:
      return {
        reason: "CredentialsUnreadable",
        message: `The credentials of registry ${registry} cannot be read: ${message}. Copies stay as they are.`,
      };
  }
}

function describeFault({ registry, message }: SourceFault): string {
  return `${registry}: ${message}`;
}
