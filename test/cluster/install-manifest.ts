import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { KubernetesObject } from "./kubectl.ts";

/** Pullpass as people install it without Helm. */
export const INSTALL_MANIFEST = join(import.meta.dirname, "..", "..", "deploy", "install.yaml");

const RIGHTS = ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];

export async function installManifest(): Promise<readonly KubernetesObject[]> {
  const documents = parseAllDocuments(await readFile(INSTALL_MANIFEST, "utf8"));
  return documents.map((document) => document.toJS() as KubernetesObject);
}

/** Its ServiceAccount and all that this account may do; those of one name where it is given. */
export async function rightsOf(name?: string): Promise<readonly KubernetesObject[]> {
  const objects = await installManifest();
  return objects.filter(
    ({ kind = "", metadata }) => RIGHTS.includes(kind) && (name === undefined || metadata?.name === name),
  );
}
