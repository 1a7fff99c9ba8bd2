/** What a person may do, as far as a page offers it. */
import { REGISTRY_API } from "../config/registry-crd.ts";
import type { ApisFor } from "../kube/api.ts";
import { mayI } from "../kube/resources/self-reviews.ts";
import type { Right, Rights } from "./api.ts";

interface Attributes {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  /** In Pullpass's own namespace. */
  readonly isOwn?: true;
}

const REGISTRIES = { group: REGISTRY_API.group, resource: REGISTRY_API.plural };
const SECRETS = { group: "", resource: "secrets", isOwn: true } as const;

/** What a page offers, and what the API server asks for it. */
const RIGHTS: Readonly<Record<Right, Attributes>> = {
  createRegistries: { ...REGISTRIES, verb: "create" },
  updateRegistries: { ...REGISTRIES, verb: "patch" },
  deleteRegistries: { ...REGISTRIES, verb: "delete" },
  createSecrets: { ...SECRETS, verb: "create" },
  updateSecrets: { ...SECRETS, verb: "patch" },
  deleteSecrets: { ...SECRETS, verb: "delete" },
  labelNamespaces: { group: "", resource: "namespaces", verb: "patch" },
};

/** It decides which buttons there are, and nothing else: the API server decides what is done. */
export async function readRights(apisFor: ApisFor, ownNamespace: string): Promise<Rights> {
  const entries = Object.entries(RIGHTS).map(async ([right, { isOwn, ...attributes }]) => {
    const isAllowed = await mayI(apisFor, { ...attributes, ...(isOwn && { namespace: ownNamespace }) });
    return [right, isAllowed] as const;
  });
  return Object.fromEntries(await Promise.all(entries)) as Rights;
}
