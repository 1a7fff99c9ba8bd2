/** Tries the credentials that Pullpass has at their registry, for whoever asks for it on a ClusterRegistry. */
import { readRegistryStatus } from "../config/status-schema.ts";
import { addressCovers, splitRepository } from "../core/address.ts";
import {
  formatImageReference,
  IMAGE_REFERENCE_FAULTS,
  readImageReference,
  repositoryName,
  type ImageReference,
} from "../core/image-reference.ts";
import {
  formatTime,
  type CheckRequest,
  type LoginReason,
  type LoginResult,
  type Outcome,
  type PullReason,
} from "../core/registry-status.ts";
import type { ReplicatedRegistry } from "../core/registry.ts";
import type { Source } from "../core/replication.ts";
import type { ClusterRegistry } from "../kube/resources/cluster-registries.ts";
import { checkLogin, isTlsFailure, type Failure, type PullOutcome } from "../registry/login.ts";
import { planLogins } from "../registry/plan-logins.ts";

export type LoginAnswer = Pick<LoginResult, "reason" | "message" | "pull">;

/** Logs in with a registry's credentials, by its name, and asks whether they may pull the image. Does not throw. */
export type LogIn = (registry: string, image: string | undefined) => Promise<LoginAnswer>;

/*
 * image         | who is asked                                                        | PullSucceeded
 * none          | each of the registry's hosts; the first where it fails decides      |
 * not covered   | the same                                                            | NotAsked, because of the image
 * covered       | its host, with each credential for it; the first that may pull wins | what the registry says
 *
 * Does not throw.
 */
export async function logInTo(source: Source | undefined, image: string | undefined): Promise<LoginAnswer> {
  if (source === undefined || typeof source.credentials === "string") {
    return { ...NO_CREDENTIALS, pull: image === undefined ? undefined : NO_CREDENTIALS };
  }
  const { registry, credentials } = source;
  if (image === undefined) return tryLogins(registry, credentials);
  const reference = coveredImage(image, registry);
  if (typeof reference !== "string") return tryPull(registry, credentials, reference);
  return { ...(await tryLogins(registry, credentials)), pull: { reason: "NotAsked", message: reference } };
}

const NO_CREDENTIALS = {
  reason: "NotAsked",
  message: "Pullpass has no credentials to log in with",
} as const;

type Credentials = Exclude<Source["credentials"], string>;

async function tryLogins(registry: ReplicatedRegistry, credentials: Credentials): Promise<LoginAnswer> {
  const hosts: string[] = [];
  for (const step of planLogins(registry, credentials, [])) {
    if (step.kind === "pass-over") return { reason: "NotAsked", message: step.reason, pull: undefined };
    const { authority } = step.address;
    const { login } = await checkLogin({ authority, credential: step.credential, images: [] });
    if (login.kind !== "works" && login.kind !== "asks-for-none") {
      return { ...failed(authority, login), pull: undefined };
    }
    hosts.push(login.kind === "works" ? authority : `${authority}, which asks for no login`);
  }
  return { reason: "Succeeded", message: `The login works at ${hosts.join("; ")}`, pull: undefined };
}

/** Kubelet, too, tries one credential after the other. */
async function tryPull(
  registry: ReplicatedRegistry,
  credentials: Credentials,
  image: ImageReference,
): Promise<LoginAnswer> {
  let first: LoginAnswer | undefined;
  for (const step of planLogins(registry, credentials, [image])) {
    if (step.kind === "pass-over") {
      const notAsked = { reason: "NotAsked", message: step.reason } as const;
      first ??= { ...notAsked, pull: notAsked };
    } else if (step.images.length > 0) {
      const { authority } = step.address;
      const { login, pulls } = await checkLogin({ authority, credential: step.credential, images: [image] });
      const isIn = login.kind === "works" || login.kind === "asks-for-none";
      const outcome: Outcome<LoginReason> = isIn
        ? { reason: "Succeeded", message: `The login works at ${authority}` }
        : failed(authority, login);
      const pull = pulls.map((each) => pullOutcome(authority, image, each.outcome))[0] ?? outcome;
      const answer = { ...outcome, pull };
      if (pull.reason !== "Unauthorized") return answer;
      first ??= answer;
    }
  }
  return first ?? { ...NO_CREDENTIALS, pull: NO_CREDENTIALS };
}

/** A string says why the image is not asked about. */
function coveredImage(image: string, { address }: ReplicatedRegistry): ImageReference | string {
  const reference = readImageReference(image);
  if (typeof reference === "string")
    return `The image is not a reference: ${IMAGE_REFERENCE_FAULTS[reference]}`;
  const repository = repositoryName(reference);
  if (addressCovers(address, splitRepository(repository))) return reference;
  return `The registry's address, ${address.text}, does not cover ${repository}`;
}

function failed(authority: string, failure: Failure): Outcome<LoginReason> {
  const { kind, reason } = failure;
  const code = kind === "refused" ? "Unauthorized" : isTlsFailure(failure) ? "TLSFailed" : "NotReached";
  return { reason: code, message: `${authority}: ${reason}` };
}

function pullOutcome(authority: string, image: ImageReference, outcome: PullOutcome): Outcome<PullReason> {
  const text = formatImageReference(image);
  if (outcome.kind === "allowed") return { reason: "Succeeded", message: `The credentials may pull ${text}` };
  if (outcome.kind === "not-there")
    return { reason: "ImageNotFound", message: `The registry has no ${text}` };
  if (outcome.kind !== "refused") return failed(authority, outcome);
  return { reason: "Unauthorized", message: `The credentials may not pull ${text}: ${outcome.reason}` };
}

/** Registries lock accounts that log in too often. */
const LOGIN_INTERVAL_MS = 10_000;

export interface LoginRequests {
  /** Of the login that somebody asked for, once it is over; undefined before, where nobody asked, and where the status has it. */
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

  const start = ({ name, uid }: ClusterRegistry, check: CheckRequest): void => {
    const { requestedAt, image } = check;
    const request = { requestedAt, result: requests.get(uid)?.result, at: Date.now() };
    requests.set(uid, request);
    last = last.then(async () => {
      const answer = await login(name, image);
      const at = answer.reason === "NotAsked" ? undefined : formatTime(Date.now());
      request.result = { ...answer, at, check };
      onResult();
    });
  };

  return {
    resultOf(object) {
      const { uid, check, status } = object;
      if (check === undefined) return undefined;
      if ("fault" in check) {
        return {
          ...{ reason: "NotAsked", message: check.fault },
          ...{ at: undefined, pull: undefined, check: undefined },
        };
      }
      // Maybe another replica has answered it, and this one knows only what came before.
      if (readRegistryStatus(status)?.check?.requestedAt === check.requestedAt) return undefined;
      const known = requests.get(uid);
      if (known?.requestedAt === check.requestedAt) return known.result;
      const waitMs = (known?.at ?? -Infinity) + LOGIN_INTERVAL_MS - Date.now();
      if (waitMs > 0) setTimeout(onResult, waitMs).unref();
      else start(object, check);
      return known?.result;
    },
    forgetOthers(uids) {
      for (const uid of requests.keys()) if (!uids.has(uid)) requests.delete(uid);
    },
  };
}
