/** Carries out what the plan says about the kept certificates; nothing is written here. */
import type { KeptCertificates, KeyPair } from "./kept-certificates.ts";
import type { RenewalAction } from "./plan-renewal.ts";
import type { RenewalTiming } from "./renewal-timing.ts";

/** What changes the Secret. */
export type KeepingAction = Exclude<RenewalAction, { readonly kind: "publish" | "wait" }>;

export interface IssuingOptions {
  /** Of the service, for the serving certificate. */
  readonly names: readonly string[];
  readonly timing: RenewalTiming;
  readonly now: Date;
}

/** What is kept afterwards. @throws if the plan was made from other facts, and there is no authority to issue by. */
export async function carryOut(
  action: KeepingAction,
  kept: KeptCertificates,
  { names, timing, now }: IssuingOptions,
): Promise<KeptCertificates> {
  if (action.kind === "forget-previous") return { ...kept, previous: undefined };
  // Loaded only here: it costs 30 MB, and most replicas never make a certificate.
  const { issueServing, makeAuthority } = await import("./authority.ts");
  const issueBy = (authority: KeyPair) => issueServing(authority, names, timing.servingLifetimeMs, now);
  switch (action.kind) {
    case "make-authority":
      return { ...kept, next: await makeAuthority(timing.authorityLifetimeMs, now) };
    case "switch-authority": {
      const authority = present(kept.next);
      const serving = await issueBy(authority);
      return { current: authority, next: undefined, previous: kept.current?.certificate, serving };
    }
    case "renew-serving":
      return { ...kept, serving: await issueBy(present(kept.current)) };
  }
}

function present(authority: KeyPair | undefined): KeyPair {
  if (authority === undefined) throw new Error("there is no authority to issue a certificate by");
  return authority;
}
