/** Which registry an image needs, whatever the namespace, and why. */
import { coversOnAnotherPort, splitRepository } from "./address.ts";
import { repositoryName, type ImageReference } from "./image-reference.ts";
import { escapeControls } from "./quote.ts";
import { selectRegistries, type Registry, type RegistryIndex } from "./registry.ts";

/** One image and what was found for it. */
export interface Explanation {
  readonly image: string;
  /** Undefined if the image is not a reference; `reason` says why. */
  readonly reference: ImageReference | undefined;
  readonly registries: readonly Registry[];
  readonly reason: string;
}

/** Namespaces are left out of account: every registry counts that any namespace may have. */
export function explainImage(image: string, index: RegistryIndex): Explanation {
  const lookup = index.lookUp(image);
  if (lookup.kind === "invalid")
    return { image, reference: undefined, registries: [], reason: lookup.reason };
  const registries = selectRegistries(lookup.covering, () => true);
  const reason = reasonFor(registries) ?? reasonAgainst(lookup.reference, index);
  return { image, reference: lookup.reference, registries, reason };
}

/** One line of JSON, the form of which is fixed. */
export function explanationJson({ image, reference, registries, reason }: Explanation): string {
  return JSON.stringify({
    image,
    valid: reference !== undefined,
    reference:
      reference === undefined
        ? null
        : {
            domain: reference.domain,
            path: reference.path,
            tag: reference.tag ?? null,
            digest: reference.digest ?? null,
          },
    registries: registries.map(({ name, address, secretName }) => ({
      name,
      address: address.text,
      secret: secretName,
    })),
    reason,
  });
}

/** Lines for people. */
export function explanationText({ image, reference, registries, reason }: Explanation): string {
  const lines = [escapeControls(image)];
  if (reference !== undefined) lines.push(`  reads as   ${describeReference(reference)}`);
  for (const registry of registries) {
    lines.push(
      `  needs      ${registry.name} (${registry.address.text}), pull secret ${registry.secretName}`,
    );
  }
  lines.push(`  because    ${reason}`);
  return lines.join("\n");
}

function describeReference({ domain, path, tag, digest }: ImageReference): string {
  const parts = [domain === "" ? "no registry" : `registry ${domain}`, `repository ${path}`];
  if (tag !== undefined) parts.push(`tag ${tag}`);
  if (digest !== undefined) parts.push(`digest ${digest}`);
  return parts.join(", ");
}

function reasonAgainst(reference: ImageReference, { registries }: RegistryIndex): string {
  const repository = splitRepository(repositoryName(reference));
  const other = registries.find(({ address }) => coversOnAnotherPort(address, repository));
  const hint =
    other === undefined
      ? ""
      : `; ${other.name} is for ${other.address.authority}, and the image says ${repository.authority}: ports are compared as written`;
  return `no configured registry covers it; it is pulled without credentials${hint}`;
}

function reasonFor([first, ...others]: readonly Registry[]): string | undefined {
  if (first === undefined) return undefined;
  const { text, isWildcard, path } = first.address;
  const extent = path === "" ? "every repository of the host" : `the repositories under ${path}`;
  const host = isWildcard ? `${extent}, for every host like ${first.address.authority}` : extent;
  const shared =
    others.length === 0 ? "" : `; ${(others.length + 1).toString()} registries have this address`;
  return `${text} is the most specific address that covers it: ${host}${shared}`;
}
