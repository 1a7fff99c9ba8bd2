/** Logs in to registries with the credentials that Pullpass has for them, for whoever asks for it on a ClusterRegistry. */
import { readRegistryStatus } from "../config/status-schema.ts";
import { CHECK_REQUESTED_ANNOTATION } from "../core/labels.ts";
import { formatTime, type LoginReason, type LoginResult } from "../core/registry-status.ts";
import type { Source } from "../core/replication.ts";
import { checkLogin, isTlsFailure, type LoginOutcome } from "../registry/login.ts";
import { planLogins } from "../registry/plan-logins.ts";
import type { ClusterRegistry } from "../kube/resources/cluster-registries.ts";

/** Logs in with a registry's credentials, by its name. Does not throw. */
export type LogIn = (registry: string) => Promise<Omit<LoginResult, "at">>;

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

/** Registries lock accounts that log in too often. */
const LOGIN_INTERVAL_MS = 10_000;

export interface LoginRequests {
  /** Of the login that somebody asked for, once it is over; undefined before, and where nobody asked. */
  resultOf(object: ClusterRegistry): LoginResult | undefined;
  /** Objects with another uid do not exist any more. */
  forgetOthers(uids: ReadonlySet<string>): void;
}

/** Logs in once for each request, one registry after the other. `onResult` is called after each. */
export function createLoginRequests(login: LogIn, onResult: () => void): LoginRequests {
  const requests = new Map<
    string,
    { readonly requestedAt: string; result: LoginResult | undefined; at: number }
  >();
  let last: Promise<unknown> = Promise.resolve();

  const start = ({ name, uid }: ClusterRegistry, requestedAt: string): void => {
    const request = { requestedAt, result: requests.get(uid)?.result, at: Date.now() };
    requests.set(uid, request);
    last = last.then(async () => {
      const outcome = await login(name);
      request.result = { ...outcome, at: outcome.reason === "NotAsked" ? undefined : formatTime(Date.now()) };
      onResult();
    });
  };

  return {
    resultOf(object) {
      const { uid, checkRequestedAt, status } = object;
      if (checkRequestedAt === undefined) return undefined;
      const time = Date.parse(checkRequestedAt);
      if (Number.isNaN(time)) {
        return {
          reason: "NotAsked",
          message: `${CHECK_REQUESTED_ANNOTATION} is not a time in RFC 3339`,
          at: undefined,
        };
      }
      const known = requests.get(uid);
      if (known?.requestedAt === checkRequestedAt) return known.result;
      // Another replica has answered it. Its answer's time has whole seconds.
      const lastLoginAt = readRegistryStatus(status)?.credentials?.lastLoginAt;
      if (known === undefined && lastLoginAt !== undefined && Date.parse(lastLoginAt) > time - 1000)
        return undefined;
      const waitMs = (known?.at ?? -Infinity) + LOGIN_INTERVAL_MS - Date.now();
      if (waitMs > 0) setTimeout(onResult, waitMs).unref();
      else start(object, checkRequestedAt);
      return known?.result;
    },
    forgetOthers(uids) {
      for (const uid of requests.keys()) if (!uids.has(uid)) requests.delete(uid);
    },
  };
}
