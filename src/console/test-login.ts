/**
 * Tries credentials at their registry. Those that Pullpass has it tries itself, when it is asked. Those that are typed are tried from
 * where the console runs, and never at what only the console can reach.
 */
import { BlockList, isIPv6 } from "node:net";
import { addressCovers, InvalidAddressError, parseAddress, splitRepository } from "../core/address.ts";
import {
  formatImageReference,
  parseImageReference,
  InvalidImageReferenceError,
  repositoryName,
  type ImageReference,
} from "../core/image-reference.ts";
import { checkLogin, type LoginReport } from "../registry/login.ts";
import { planLogins } from "../registry/plan-logins.ts";
import type { Restrictions } from "../registry/request.ts";
import type { RegistryEdits } from "../kube/resources/registry-edits.ts";
import type { TestLoginAnswer, TestLoginRequest } from "./api.ts";
import type { ClusterView } from "./cluster-view.ts";
import { readTypedCredentials } from "./credentials.ts";
import { ConsoleError } from "./errors.ts";

/** Without an image: the login alone. The state of the registry has the answer, once there is one. */
export async function requestTest(
  { view, edits }: { readonly view: ClusterView; readonly edits: Pick<RegistryEdits, "requestLogin"> },
  name: string,
  image: string,
): Promise<object> {
  await view.registries.ready();
  const registry = view.joined().registries.find((each) => each.name === name && each.list === "objects");
  if (image !== "" && registry !== undefined) {
    const repository = repositoryName(readImage(image));
    if (!addressCovers(registry.address, splitRepository(repository)))
      throw invalidImage(`${registry.address.text} does not cover ${repository}`);
  }
  await edits.requestLogin(name, new Date().toISOString(), image);
  return {};
}

/** A network in CIDR notation, such as `10.0.0.0/8`. */
export type Network = string;

/** Cloud metadata, this machine, and what is no address of one host. No registry is there. */
const NEVER: readonly Network[] = [
  ...[
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "192.0.0.0/24",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
  ],
  // The last two carry IPv4 addresses, and fd00:ec2::254 is a cloud's metadata.
  ...["::/127", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::254/128", "64:ff9b::/96", "2002::/16"],
];
/** Services of the cluster and of its network. Registries may be there, as may be everything that trusts its neighbours. */
const PRIVATE: readonly Network[] = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "fc00::/7",
];

export interface TestLoginPolicy {
  /** On a person's own machine, where they can connect to it anyway. */
  readonly isPrivateAllowed: boolean;
  /** Networks that an admin lets Test login into, whatever is said above. */
  readonly allowed: readonly Network[];
}

/*
 * address is in      | the console runs      | Test login
 * an allowed network |                       | connects
 * NEVER              |                       | does not
 * PRIVATE            | in the cluster        | does not
 * PRIVATE            | on a person's machine | connects
 * any other          |                       | connects
 */
export function loginRestrictions({ isPrivateAllowed, allowed }: TestLoginPolicy): Restrictions {
  const [open, never, secluded] = [allowed, NEVER, PRIVATE].map(networks);
  const isIn = (list: BlockList | undefined, address: string): boolean =>
    list?.check(address, isIPv6(address) ? "ipv6" : "ipv4") === true;
  return {
    refusalOf(address) {
      if (isIn(open, address)) return undefined;
      if (isIn(never, address)) return "has a loopback, link-local or reserved address, which is not asked";
      if (!isPrivateAllowed && isIn(secluded, address))
        return "has a private address, which is not asked unless --test-login-allow names its network";
      return undefined;
    },
  };
}

/** @throws RangeError for what is not a network */
export function networks(list: readonly Network[]): BlockList {
  const blocks = new BlockList();
  for (const network of list) {
    const [, address = "", prefix = ""] = /^([0-9a-f.:]+)\/(\d{1,3})$/i.exec(network) ?? [];
    try {
      blocks.addSubnet(address, Number(prefix), isIPv6(address) ? "ipv6" : "ipv4");
    } catch {
      throw new RangeError(`${network} is not a network, such as 10.0.0.0/8`);
    }
  }
  return blocks;
}

/** Registries answer in well under a second. */
const TIMEOUT_MS = 8_000;

export async function testLogin(
  { address, username, credentials, image }: TestLoginRequest,
  restrictions: Restrictions,
): Promise<TestLoginAnswer> {
  const typed = readTypedCredentials(credentials, address, username === "" ? undefined : username);
  if (typed.kind === "unusable")
    throw new ConsoleError(422, "invalid", "some fields are not right", [typed.problem]);
  const images = image === "" ? [] : [readImage(image)];
  const registry = { address: parse(address), hosts: [] };
  const sentences: string[] = [];
  for (const step of planLogins(registry, typed.credentials, images)) {
    if (step.kind === "pass-over") return { works: false, sentence: `Not tried: ${step.reason}.` };
    const { authority } = step.address;
    const startedAt = performance.now();
    const report = await checkLogin(
      { authority, credential: step.credential, images: step.images },
      TIMEOUT_MS,
      restrictions,
    );
    const answer = describeReport(authority, report);
    if (!answer.works) return answer;
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    sentences.push(`${answer.sentence}, ${seconds} s`);
  }
  return { works: true, sentence: `${sentences.join("; ")}.` };
}

export function describeReport(authority: string, { login, pulls }: LoginReport): TestLoginAnswer {
  if (login.kind === "refused") return no(`${authority} refused the credentials: ${login.reason}.`);
  if (login.kind === "not-reached") return no(`${authority} was not reached: ${login.reason}.`);
  if (login.kind === "unusable-answer") return no(`${authority} gave no usable answer: ${login.reason}.`);
  const how =
    login.kind === "works"
      ? `${authority} accepted the credentials (${login.flow})`
      : `${authority} asks for no credentials`;
  for (const { image, outcome } of pulls) {
    if (outcome.kind === "allowed")
      return { works: true, sentence: `${how}, and they may pull ${image.path}` };
    if (outcome.kind === "not-there") return no(`${how}, and has no ${formatImageReference(image)}.`);
    if (outcome.kind !== "refused")
      return no(`${how}, but cannot tell whether they may pull ${image.path}: ${outcome.reason}.`);
    return no(`${how}, and they may not pull ${image.path}: ${outcome.reason}.`);
  }
  return { works: true, sentence: how };
}

const no = (sentence: string): TestLoginAnswer => ({ works: false, sentence });

function parse(address: string): ReturnType<typeof parseAddress> {
  try {
    return parseAddress(address);
  } catch (error) {
    if (!(error instanceof InvalidAddressError)) throw error;
    throw new ConsoleError(422, "invalid", error.message, [
      { field: "spec.address", message: error.message },
    ]);
  }
}

function readImage(image: string): ImageReference {
  try {
    return parseImageReference(image);
  } catch (error) {
    if (!(error instanceof InvalidImageReferenceError)) throw error;
    throw invalidImage(error.message);
  }
}

function invalidImage(message: string): ConsoleError {
  return new ConsoleError(422, "invalid", message);
}
