/** Logs in to a registry with the credentials that Pullpass has for it, for whoever asked for it on a ClusterRegistry. */
import type { LoginReason, LoginResult } from "../core/registry-status.ts";
import type { Source } from "../core/replication.ts";
import { checkLogin, isTlsFailure, type LoginOutcome } from "../registry/login.ts";
import { planLogins } from "../registry/plan-logins.ts";

/** The first of its hosts where the login fails decides. Does not throw. */
export async function logInTo(source: Source | undefined): Promise<Omit<LoginResult, "at">> {
  if (source === undefined || typeof source.credentials === "string") {
    return { reason: "NotAsked", message: "Pullpass has no credentials to log in with" };
  }
  const hosts: string[] = [];
  for (const step of planLogins(source.registry, source.credentials, [])) {
    if (step.kind === "pass-over") return { reason: "NotAsked", message: step.reason };
    const { authority } = step.address;
    const { login } = await checkLogin({ authority, credential: step.credential, images: [] });
    if (login.kind !== "works" && login.kind !== "asks-for-none") {
      return { reason: reasonOf(login), message: `${authority}: ${login.reason}` };
    }
    hosts.push(login.kind === "works" ? authority : `${authority}, which asks for no login`);
  }
  return { reason: "Succeeded", message: `The login works at ${hosts.join("; ")}` };
}

function reasonOf(failure: Exclude<LoginOutcome, { kind: "works" | "asks-for-none" }>): LoginReason {
  if (failure.kind === "refused") return "Unauthorized";
  return isTlsFailure(failure) ? "TLSFailed" : "NotReached";
}
