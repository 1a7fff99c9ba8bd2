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
import type { Informers, ObjectWatch } from "./informers.ts";

export interface PolicyKeeperOptions {
  readonly excludedNamespaces: readonly string[];
  /** Its writes are sent only while this replica leads. */
  readonly writer: PolicyWriter;
  readonly watchObject: Informers["watchObject"];
  readonly warn: Warn;
  readonly logger: Logger;
}

/** From a change to the write, so that several changes make one. */
const DELAY_MS = 200;
const RETRY = { firstMs: 1_000, maxMs: 60_000 } as const;

const WATCHED = [
  ["MutatingAdmissionPolicy", POLICIES_PATH],
  ["MutatingAdmissionPolicyBinding", POLICY_BINDINGS_PATH],
] as const;

export class PolicyKeeper {
  readonly #options: PolicyKeeperOptions;
  readonly #pause = createInterruptibleSleep();
  readonly #watches: readonly ObjectWatch[];
  readonly #states = new Map<string, "not known" | "missing" | "there">();
  readonly #enforcing = new Set<string>();
  #registries: readonly Registry[] | undefined;
  #isDue = false;

  constructor(options: PolicyKeeperOptions) {
    this.#options = options;
    this.#watches = WATCHED.map(([label, path]) => {
      this.#states.set(label, "not known");
      // What somebody changed or deleted is put back; after our own write there is nothing to write.
      return options.watchObject({ label, path, name: POLICY_NAME }, (current) => {
        this.#states.set(label, current === "missing" ? "missing" : "there");
        this.#schedule();
      });
    });
  }

  /** Why pods do not get their pull secrets by the policy yet. */
  unreadyReasons(): readonly string[] {
    return [...this.#states].flatMap(([label, state]) =>
      state === "there" ? [] : [`the ${label} ${POLICY_NAME} is ${state}`],
    );
  }

  setRegistries(registries: readonly Registry[]): void {
    this.#registries = registries;
    this.#schedule();
  }

  /**
   * The pods of such a ServiceAccount may only name Secrets that it lists, and a policy cannot read the list. So do those of a namespace
   * that has not opted in: when it does, pods may come before the policy is written again, and would be refused.
   */
  setEnforcing(account: string, isEnforcing: boolean): void {
    if (this.#enforcing.has(account) === isEnforcing) return;
    if (isEnforcing) this.#enforcing.add(account);
    else this.#enforcing.delete(account);
    this.#schedule();
  }

  /** This replica leads until `signal`. */
  start(signal: AbortSignal): void {
    signal.addEventListener("abort", () => {
      this.#schedule();
    });
    void this.#run(signal);
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
  }

  #schedule(): void {
    this.#isDue = true;
    this.#pause.interrupt();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const backOff = createBackOff(RETRY);
    while (!signal.aborted) {
      try {
        this.#isDue = false;
        await this.#keep();
        backOff.reset();
        await this.#untilDue(signal);
      } catch (error) {
        // An API server of 1.36 refuses the first apply now and then (kubernetes/kubernetes#134808).
        const message = `failed to write the policy; retrying: ${messageOf(error)}`;
        this.#options.warn({ reason: "PolicyNotWritten", message });
        await sleep(backOff.next());
      }
      await sleep(DELAY_MS);
    }
  }

  async #untilDue(signal: AbortSignal): Promise<void> {
    while (!this.#isDue && !signal.aborted) await this.#pause.sleep(RETRY.maxMs);
  }

  async #keep(): Promise<void> {
    const { writer, warn, logger } = this.#options;
    const policy = this.#render();
    if (policy === undefined) return;
    const outcome = await writer.apply(policy);
    if (outcome === "not-leading") return;
    if (outcome === "not-served") {
      const message = `the API server has no MutatingAdmissionPolicies: --mode=policy needs Kubernetes ${POLICY_KUBERNETES_VERSION} or later`;
      warn({ reason: "PolicyNotServed", message });
      return;
    }
    logger.info({ policy: POLICY_NAME, registries: this.#registries?.length }, "the policy is up to date");
  }

  /** Undefined if there is nothing to write. */
  #render(): AdmissionPolicy | undefined {
    if (this.#registries === undefined) return undefined;
    const { excludedNamespaces, warn } = this.#options;
    try {
      const excludedAccounts = [...this.#enforcing].toSorted();
      const names = { name: POLICY_NAME, excludedNamespaces, excludedAccounts };
      return renderAdmissionPolicy(this.#registries, names);
    } catch (error) {
      if (!(error instanceof PolicyTooLargeError)) throw error;
      warn({ reason: "PolicyTooLarge", message: `${error.message}; the last one that did stays in force` });
      return undefined;
    }
  }
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

/**
 * Takes away what another mode left, no sooner than the webhook does what the policy did. It looks at once, and not when this
 * replica leads: an upgrade to another mode writes its policy first, and this replica may yet come to lead before it is stopped.
 */
export class PolicyRemover {
  readonly #options: PolicyRemoverOptions;
  readonly #foundFirst: Promise<FoundPolicy | undefined>;

  constructor(options: PolicyRemoverOptions) {
    this.#options = options;
    this.#foundFirst = options.find().catch(() => undefined);
  }

  /** This replica leads until `signal`. Resolves once there is nothing to remove. */
  async start(signal: AbortSignal): Promise<void> {
    const { find, writer, isWebhookReady, logger } = this.#options;
    const backOff = createBackOff(WEBHOOK_CHECK);
    let lastError: string | undefined;
    while (!signal.aborted) {
      try {
        const left = (await this.#foundFirst) ?? (await find());
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
  }
}
