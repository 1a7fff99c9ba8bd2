/** What gives pods their pull secrets in a cluster. `policy+webhook`: the policy, and the webhook what its builders need. */
export type Mode = "webhook" | "policy" | "policy+webhook";

/** Of an object of the cluster, to whoever asks for it. */
export type Presence = "there" | "missing" | "not-readable";

export interface FoundMode {
  readonly mode: Mode;
  /** A sentence, where the mode is not what was found alone. */
  readonly assumption?: string;
}

/*
 * the policy   | the webhook  | the mode       | assumed
 * there        | there        | policy+webhook |
 * there        | missing      | policy         |
 * there        | not readable | policy         | no webhook
 * missing      | there        | webhook        |
 * missing      | missing      | webhook        | that it will be registered: now pods get nothing
 * missing      | not readable | webhook        | the webhook
 * not readable | there        | webhook        | no policy
 * not readable | missing      | policy         | the policy
 * not readable | not readable | webhook        | the webhook, and no policy
 */
export function findMode(policy: Presence, webhook: Presence): FoundMode {
  if (policy === "there") {
    if (webhook === "there") return { mode: "policy+webhook" };
    if (webhook === "missing") return { mode: "policy" };
    return assume("policy", "Whether there is a webhook beside the policy is not known; none is assumed.");
  }
  if (policy === "missing") {
    if (webhook === "there") return { mode: "webhook" };
    if (webhook === "missing")
      return assume(
        "webhook",
        "Neither Pullpass's webhook nor its policy is there, so pods get nothing now; this is what the webhook would do.",
      );
    return assume("webhook", "Whether Pullpass's webhook is there is not known; it is assumed.");
  }
  if (webhook === "there")
    return assume("webhook", "Whether there is a policy beside the webhook is not known; none is assumed.");
  if (webhook === "missing")
    return assume(
      "policy",
      "Whether Pullpass's policy is there is not known; it is assumed, because there is no webhook.",
    );
  return assume(
    "webhook",
    "Whether Pullpass's webhook or its policy gives pods their pull secrets is not known; the webhook is assumed.",
  );
}

function assume(mode: Mode, assumption: string): FoundMode {
  return { mode, assumption };
}
