/** Keeps the MutatingAdmissionPolicy of the registries in the cluster, or takes it away: the leader alone. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import {
  POLICY_KUBERNETES_VERSION,
  POLICY_NAME,
  renderAdmissionPolicy,
  type AdmissionPolicy,
} from "../core/admission-policy/render.ts";
import { createBackOff } from "../core/back-off.ts";
import { messageOf } from "../core/error-message.ts";
import { PolicyTooLargeError } from "../core/admission-policy/limits.ts";
import type { Registry } from "../core/registry.ts";
import { createInterruptibleSleep } from "../kube/interruptible-sleep.ts";
import {
  POLICIES_PATH,
  POLICY_BINDINGS_PATH,
  type FoundPolicy,
  type PolicyWriter,
} from "../kube/resources/admission-policies.ts";
import type { Warn } from "../replicator/ports.ts";
import type { Informers } from "./informers.ts";

export interface PolicyKeeperOptions {
  readonly excludedNamespaces: readonly string[];
  /** Its writes are sent only while this replica leads. */
  readonly writer: PolicyWriter;
  readonly watchObject: Informers["watchObject"];
  readonly warn: Warn;
  readonly logger: Logger;
}

export interface PolicyKeeper {
  /** Why pods do not get their pull secrets by the policy yet. */
  unreadyReasons(): readonly string[];
  setRegistries(registries: readonly Registry[]): void;
  /** The pods of such a ServiceAccount may only name Secrets that it lists, and a policy cannot read the list. */
  setEnforcing(account: string, isEnforcing: boolean): void;
  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void;
  close(): void;
}

/** From a change to the write, so that several changes make one. */
const DELAY_MS = 200;
const RETRY = { firstMs: 1_000, maxMs: 60_000 } as const;

export function createPolicyKeeper(options: PolicyKeeperOptions): PolicyKeeper {
  const { excludedNamespaces, writer, watchObject, warn, logger } = options;
  const pause = createInterruptibleSleep();
  const enforcing = new Set<string>();
  let registries: readonly Registry[] | undefined;
  let isDue = false;

  function schedule(): void {
    isDue = true;
    pause.interrupt();
  }

  /** Undefined if there is nothing to write. */
  function render(): AdmissionPolicy | undefined {
    if (registries === undefined) return undefined;
    try {
      const excludedAccounts = [...enforcing].toSorted();
      return renderAdmissionPolicy(registries, { name: POLICY_NAME, excludedNamespaces, excludedAccounts });
    } catch (error) {
      if (!(error instanceof PolicyTooLargeError)) throw error;
      warn({ reason: "PolicyTooLarge", message: `${error.message}; the last one that did stays in force` });
      return undefined;
    }
  }

  async function keep(): Promise<void> {
    const policy = render();
    if (policy === undefined) return;
    const outcome = await writer.apply(policy);
    if (outcome === "not-leading") return;
    if (outcome === "not-served") {
      const message = `the API server has no MutatingAdmissionPolicies: --mode=policy needs Kubernetes ${POLICY_KUBERNETES_VERSION} or later`;
      warn({ reason: "PolicyNotServed", message });
      return;
    }
    logger.info({ policy: POLICY_NAME, registries: registries?.length }, "the policy is up to date");
  }

  async function untilDue(signal: AbortSignal): Promise<void> {
    while (!isDue && !signal.aborted) await pause.sleep(RETRY.maxMs);
  }

  async function run(signal: AbortSignal): Promise<void> {
    const backOff = createBackOff(RETRY);
    while (!signal.aborted) {
      try {
        isDue = false;
        await keep();
        backOff.reset();
        await untilDue(signal);
      } catch (error) {
        // An API server of 1.36 refuses the first apply now and then (kubernetes/kubernetes#134808).
        const message = `failed to write the policy; retrying: ${messageOf(error)}`;
        warn({ reason: "PolicyNotWritten", message });
        await sleep(backOff.next());
      }
      await sleep(DELAY_MS);
    }
  }

  const watched = [
    { label: "MutatingAdmissionPolicy", path: POLICIES_PATH },
    { label: "MutatingAdmissionPolicyBinding", path: POLICY_BINDINGS_PATH },
  ].map(({ label, path }) => {
    const object: { state: "not known" | "missing" | "there"; readonly label: string; close: () => void } = {
      state: "not known",
      label: `${label} ${POLICY_NAME}`,
      close: () => undefined,
    };
    // What somebody changed or deleted is put back; after our own write there is nothing to write.
    const watch = watchObject({ label, path, name: POLICY_NAME }, (current) => {
      object.state = current === "missing" ? "missing" : "there";
      schedule();
    });
    object.close = () => {
      watch.close();
    };
    return object;
  });
  return {
    unreadyReasons: () =>
      watched.flatMap(({ label, state }) => (state === "there" ? [] : [`the ${label} is ${state}`])),
    setRegistries(next) {
      registries = next;
      schedule();
    },
    setEnforcing(account, isEnforcing) {
      if (enforcing.has(account) === isEnforcing) return;
      if (isEnforcing) enforcing.add(account);
      else enforcing.delete(account);
      schedule();
    },
    start(signal) {
      signal.addEventListener("abort", schedule);
      void run(signal);
    },
    close() {
      for (const { close } of watched) close();
    },
  };
}

/** Every API server goes by what is registered within about a second; until then by neither, if the policy went first. */
const IN_FORCE_MS = 5_000;
/** Where no webhook is ever registered, nobody has to be asked every second. */
const WEBHOOK_CHECK = { firstMs: 2_000, maxMs: 60_000 } as const;

export interface PolicyRemoverOptions {
  readonly find: () => Promise<FoundPolicy>;
  /** Sends its writes only while this replica leads. */
  readonly writer: Pick<PolicyWriter, "remove">;
  readonly isWebhookReady: () => Promise<boolean>;
  readonly logger: Pick<Logger, "warn">;
}

export interface PolicyRemover {
  /** This replica leads until `signal`. Resolves once there is nothing to remove. */
  start(signal: AbortSignal): Promise<void>;
}

/**
 * Takes away what another mode left, no sooner than the webhook does what the policy did. It looks at once, and not when this
 * replica leads: an upgrade to another mode writes its policy first, and this replica may yet come to lead before it is stopped.
 */
export function createPolicyRemover(options: PolicyRemoverOptions): PolicyRemover {
  const { find, writer, isWebhookReady, logger } = options;
  const foundFirst = find().catch(() => undefined);
  return {
    async start(signal) {
      const backOff = createBackOff(WEBHOOK_CHECK);
      let lastError: string | undefined;
      while (!signal.aborted) {
        try {
          const left = (await foundFirst) ?? (await find());
          if (left.policy === undefined && left.binding === undefined) return;
          if (await isWebhookReady()) {
            await sleep(IN_FORCE_MS, undefined, { signal });
            await writer.remove(left);
            return;
          }
        } catch (error) {
          const message = messageOf(error);
          // What ends the leadership ends the wait, too.
          const isNews = message !== lastError && !(error instanceof Error && error.name === "AbortError");
          lastError = message;
          if (isNews)
            logger.warn(
              { error: message },
              "failed to remove the policy that another mode may have left; retrying",
            );
        }
        await sleep(backOff.next());
      }
    },
  };
}
