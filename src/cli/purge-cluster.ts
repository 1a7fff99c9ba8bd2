/** Removes from a cluster what Pullpass wrote there, after it was uninstalled. */
import { CERTIFICATES_LABEL, MANAGED_BY_LABEL, MANAGER, PROVIDER_ANSWERS_LABEL } from "../core/labels.ts";
import type { JsonObject } from "../core/kubernetes.ts";
import { POLICY_NAME } from "../core/admission-policy/render.ts";
import { createApis } from "../kube/api.ts";
import { isConflict, isNotFound } from "../kube/errors.ts";
import { listObjects, type Collection } from "../kube/list.ts";
import { POLICIES_PATH, POLICY_BINDINGS_PATH } from "../kube/resources/admission-policies.ts";
import { WEBHOOK_CONFIGURATIONS_PATH } from "../kube/resources/certificates.ts";
import { isWrittenByUs } from "../kube/resources/copies.ts";
import { readMetadata } from "../kube/resources/metadata.ts";
import {
  createServiceAccountClient,
  readServiceAccountMetadata,
} from "../kube/resources/service-accounts.ts";
import type { Transport } from "../kube/transport.ts";
import { reconcileAccount } from "../replicator/reconcile.ts";
import { count } from "./count.ts";

export interface PurgeNames {
  /** Where Pullpass ran; undefined: wherever its certificates and its Lease are found. */
  readonly namespace: string | undefined;
  /** The MutatingWebhookConfiguration. */
  readonly webhook: string;
  readonly lease: string;
}

/** What was removed, and what was not. */
export interface Purged {
  readonly copies: number;
  readonly accounts: number;
  /** `namespace/name` of the Secrets that have the label of a copy, but were not written by Pullpass. */
  readonly left: readonly string[];
}

/** Something writes again what was removed. */
export class StillRunningError extends Error {
  override readonly name = "StillRunningError";
}

/**
 * What the chart and install.yaml have outside of the namespace, besides the webhook. Helm removes it, unless
 * the namespace was deleted instead, with all that Helm knew in it.
 */
export const LEFT_OUTSIDE: readonly string[] = [
  ...["pullpass-secrets", "pullpass-service-accounts", "pullpass-registry-credentials"].flatMap((name) => [
    `/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/${name}`,
    `/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/${name}`,
  ]),
  ...[
    ...["pullpass", "pullpass-certificate", "pullpass-policy", "pullpass-service-accounts", "pullpass-heal"],
    // Of a hook, which stays where it failed.
    "pullpass-policy-switch",
  ].flatMap((name) => [
    `/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/${name}`,
    `/apis/rbac.authorization.k8s.io/v1/clusterroles/${name}`,
  ]),
  // Of those roles people made the bindings.
  ...["pullpass-registry-admin", "pullpass-registry-view"].map(
    (name) => `/apis/rbac.authorization.k8s.io/v1/clusterroles/${name}`,
  ),
];

/** Nobody changes an account more than once or twice between our reading and our patching it. */
const ATTEMPTS = 10;

/**
 * Removes the webhook and the policy first, so that no pod names a Secret that goes; then the copies; then what was added to
 * ServiceAccounts; then the certificates, the answers of providers and the lease; and last, if nothing came back, the rights of Pullpass. What
 * is gone already is not an error, so that a purge that broke off can be run again.
 *
 * @throws StillRunningError if copies come back; KubeApiError, KubeUnreachableError
 */
export async function purgeCluster(
  transport: Transport,
  { namespace, webhook, lease }: PurgeNames,
): Promise<Purged> {
  await remove(transport, `${WEBHOOK_CONFIGURATIONS_PATH}/${webhook}`);
  for (const path of [POLICY_BINDINGS_PATH, POLICIES_PATH]) await remove(transport, `${path}/${POLICY_NAME}`);
  const query = { labelSelector: `${MANAGED_BY_LABEL}=${MANAGER}` };
  const labelled: Collection = { path: "/api/v1/secrets", query };
  const copies = (await list(transport, labelled, readSecret)).filter((secret) => secret.isWrittenByUs);
  await removeSecrets(transport, copies);
  const accountCount = await detachAll(transport);
  // Those of cert-manager, too, which leaves them behind.
  const path = namespace === undefined ? "/api/v1/secrets" : `/api/v1/namespaces/${namespace}/secrets`;
  const labelledBy = (labelSelector: string): Promise<readonly FoundSecret[]> =>
    list(transport, { path, query: { labelSelector } }, readSecret);
  await removeSecrets(transport, await labelledBy(CERTIFICATES_LABEL));
  const answers = await labelledBy(PROVIDER_ANSWERS_LABEL);
  await removeSecrets(
    transport,
    answers.filter((secret) => secret.isWrittenByUs),
  );
  const namespaces = namespace === undefined ? await namespacesWithLease(transport, lease) : [namespace];
  for (const name of namespaces)
    await remove(transport, `/apis/coordination.k8s.io/v1/namespaces/${name}/leases/${lease}`);
  const left = await list(transport, labelled, readSecret);
  const copiesLeft = left.filter((secret) => secret.isWrittenByUs).length;
  if (copiesLeft > 0) {
    throw new StillRunningError(
      `${count(copiesLeft, "copy was", "copies were")} written again: is Pullpass still running? Uninstall it, then purge`,
    );
  }
  for (const path of LEFT_OUTSIDE) await remove(transport, path);
  return { copies: copies.length, accounts: accountCount, left: left.map(({ id }) => id) };
}

interface FoundSecret {
  /** `namespace/name` */
  readonly id: string;
  readonly path: string;
  readonly uid: string;
  readonly isWrittenByUs: boolean;
}

function readSecret(secret: JsonObject): FoundSecret {
  const { namespace, name, uid } = readMetadata(secret);
  return {
    id: `${namespace}/${name}`,
    path: `/api/v1/namespaces/${namespace}/secrets/${name}`,
    uid,
    isWrittenByUs: isWrittenByUs(secret),
  };
}

async function removeSecrets(transport: Transport, secrets: readonly FoundSecret[]): Promise<void> {
  await Promise.all(secrets.map(({ path, uid }) => remove(transport, path, uid)));
}

function namespacesWithLease(transport: Transport, lease: string): Promise<readonly string[]> {
  const query = { fieldSelector: `metadata.name=${lease}` };
  const leases = { path: "/apis/coordination.k8s.io/v1/leases", query };
  return list(transport, leases, (object) => readMetadata(object).namespace);
}

/** Takes off what Pullpass added, and nothing else. */
async function detachAll(transport: Transport): Promise<number> {
  const accounts = createServiceAccountClient(createApis(transport));
  const attached = await list(transport, { path: "/api/v1/serviceaccounts" }, (object) => {
    const account = readServiceAccountMetadata(object);
    const { namespace, name } = readMetadata(object);
    return account.attached === undefined ? undefined : { namespace, name };
  });
  await Promise.all(
    attached.map(async (account) => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const { kind } = await reconcileAccount(accounts, account, [], "low");
        if (kind !== "conflict") return;
      }
      throw new StillRunningError(
        `ServiceAccount ${account.namespace}/${account.name} keeps being changed by others`,
      );
    }),
  );
  return attached.length;
}

/** As {@link listObjects}, of metadata alone. */
function list<T>(
  transport: Transport,
  collection: Collection,
  read: (object: JsonObject) => T | undefined,
): Promise<readonly T[]> {
  return listObjects(transport, { ...collection, metadataOnly: true }, read);
}

/** With a uid: that object, and not another one that has its name by now. */
async function remove(transport: Transport, path: string, uid?: string): Promise<void> {
  const body = {
    apiVersion: "v1",
    kind: "DeleteOptions",
    ...(uid === undefined ? {} : { preconditions: { uid } }),
  };
  try {
    await transport.request({ method: "DELETE", path, body, priority: "low" });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
