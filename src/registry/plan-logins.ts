/** Decides which hosts are asked whether the credentials of a registry work. */
import { addressCovers, parseAddress, splitRepository, type Address } from "../core/address.ts";
import type { AddressedCredential } from "../core/credential.ts";
import { repositoryName, type ImageReference } from "../core/image-reference.ts";
import type { ReplicatedRegistry } from "../core/registry.ts";

/** One host that is asked, or the reason why a registry is not. */
export type LoginStep =
  | {
      readonly kind: "ask";
      /** The registry's own address, or a concrete one where that has a `*`. */
      readonly address: Address;
      readonly credential: AddressedCredential;
      readonly images: readonly ImageReference[];
    }
  | { readonly kind: "pass-over"; readonly reason: string; readonly isFailure: boolean };

/**
 * The steps for one registry, at least one.
 *
 * the registry's address | the credential's address | asked
 * without *              |                          | the registry's address
 * with *                 | without *                | the credential's address
 * with *                 | with *                   | each of `hosts`, and each image's host, that it covers
 */
export function planLogins(
  registry: Pick<ReplicatedRegistry, "address" | "hosts">,
  credentials: readonly AddressedCredential[],
  images: readonly ImageReference[],
): readonly LoginStep[] {
  const steps = credentials.flatMap((credential) =>
    addressesToAsk(registry, credential, images).map((address) => ({
      kind: "ask" as const,
      address,
      credential,
      images: images.filter((image) => serves(credential, address, image)),
    })),
  );
  if (steps.length === 0) return [passOver("the address has a *, and hosts lists none")];
  const left = images.filter((image) => !steps.some((step) => step.images.includes(image)));
  return [
    ...steps,
    ...left.map((image) => passOver(`its source has nothing for ${repositoryName(image)}`, true)),
  ];
}

export function passOver(reason: string, isFailure = false): LoginStep {
  return { kind: "pass-over", reason, isFailure };
}

function addressesToAsk(
  { address, hosts }: Pick<ReplicatedRegistry, "address" | "hosts">,
  credential: AddressedCredential,
  images: readonly ImageReference[],
): readonly Address[] {
  if (!address.isWildcard) return [address];
  if (!credential.address.isWildcard) return [credential.address];
  const listed = hosts.filter((host) => !host.isWildcard && coversHostOf(credential.address, host));
  const more = images
    .filter((image) => covers(credential.address, repositoryName(image)))
    .map((image) => parseAddress(image.domain));
  const known = new Set(listed.map((host) => host.authority));
  const added = more.filter(({ authority }) => !known.has(authority) && known.add(authority));
  return [...listed, ...added];
}

function serves(credential: AddressedCredential, asked: Address, image: ImageReference): boolean {
  return asked.authority === image.domain && covers(credential.address, repositoryName(image));
}

function covers(address: Address, repository: string): boolean {
  return addressCovers(address, splitRepository(repository));
}

/** Paths do not matter: `hosts` of `*.example.com/team-a` are hosts. */
function coversHostOf(address: Address, host: Address): boolean {
  return covers({ ...address, path: "" }, `${host.authority}/`);
}
