import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { KubernetesObject } from "./kubectl.ts";

const DEPLOY = join(import.meta.dirname, "..", "..", "..", "deploy");

/** Pullpass as people install it without Helm. */
export const INSTALL_MANIFEST = join(DEPLOY, "install.yaml");
/** What they apply besides where ServiceAccounts are to get pull secrets. */
export const ATTACHMENT_MANIFEST = join(DEPLOY, "service-accounts.yaml");

const RIGHTS = ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];

/** The objects of one manifest; default: of both. */
export async function installManifest(...manifests: readonly string[]): Promise<readonly KubernetesObject[]> {
  const files = manifests.length === 0 ? [INSTALL_MANIFEST, ATTACHMENT_MANIFEST] : manifests;
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return texts
    .flatMap((text) => parseAllDocuments(text))
    .map((document) => document.toJS() as KubernetesObject);
}

/** Pullpass's ServiceAccount and all that it may do. */
export async function rightsOf(...manifests: readonly string[]): Promise<readonly KubernetesObject[]> {
  return (await installManifest(...manifests)).filter(({ kind = "" }) => RIGHTS.includes(kind));
}
