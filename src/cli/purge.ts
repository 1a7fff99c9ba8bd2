/** Removes from a cluster what Pullpass wrote there, after it was uninstalled. */
import { CERTIFICATES_LABEL, MANAGED_BY_LABEL, MANAGER } from "../core/labels.ts";
import type { JsonObject } from "../core/kubernetes.ts";
import { WEBHOOK_CONFIGURATIONS_PATH } from "../kube/certificate-writer.ts";
import type { KubeClient } from "../kube/client.ts";
import { leasesPath } from "../kube/lease.ts";
import { listPages, type Collection } from "../kube/list-pages.ts";
import { readMetadata } from "../kube/read-metadata.ts";
import { hasStatus } from "../kube/refusals.ts";
import { secretPath, secretsPath } from "../kube/secrets.ts";
import { createServiceAccountClient, readServiceAccountMetadata } from "../kube/service-accounts.ts";
import { reconcileAccount } from "../replicator/reconcile-account.ts";

export interface PurgeNames {
  /** Where Pullpass ran; undefined: wherever its certificates and its Lease are found. */
  readonly namespace: string | undefined;
  /** The MutatingWebhookConfiguration. */
  readonly webhook: string;
  readonly lease: string;
}

/** What was removed. */
export interface Purged {
  readonly copies: number;
  readonly accounts: number;
}

/** Something writes again what was removed. */
export class StillRunningError extends Error {
  override readonly name = "StillRunningError";
}

/**
 * What the chart and install.yaml have outside of the namespace, besides the webhook. Helm removes it; nobody does where
 * the namespace was deleted instead, with all that Helm knew in it.
 */
const LEFT_OUTSIDE: readonly string[] = [
  ...["pullpass-secrets", "pullpass-service-accounts"].flatMap((name) => [
    `/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/${name}`,
    `/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/${name}`,
  ]),
  ...["pullpass", "pullpass-certificate", "pullpass-service-accounts"].flatMap((name) => [
    `/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/${name}`,
    `/apis/rbac.authorization.k8s.io/v1/clusterroles/${name}`,
  ]),
];

/** Whoever changes an account between reading and patching it does so once or twice, and not forever. */
const ATTEMPTS = 10;

/**
 * Removes the webhook first, so that no pod names a Secret that goes; then the copies; then what was added to
 * ServiceAccounts; then the certificates and the lease; and at last, where nothing came back, the rights of Pullpass. What
 * is gone already is no error, so that a purge that broke off can be run again.
 *
 * @throws StillRunningError if copies come back; KubeApiError, KubeUnreachableError
 */
export async function purge(client: KubeClient, { namespace, webhook, lease }: PurgeNames): Promise<Purged> {
  await remove(client, `${WEBHOOK_CONFIGURATIONS_PATH}/${webhook}`);
  const query = { labelSelector: `${MANAGED_BY_LABEL}=${MANAGER}` };
  const copies: Collection = { path: "/api/v1/secrets", query };
  const copyCount = await removeSecrets(client, copies);
  const accountCount = await detachAll(client);
  // Those of cert-manager, too, which leaves them behind.
  const certificates = { labelSelector: CERTIFICATES_LABEL };
  const secrets = namespace === undefined ? "/api/v1/secrets" : secretsPath(namespace);
  await removeSecrets(client, { path: secrets, query: certificates });
  const places = namespace === undefined ? await namespacesWithLease(client, lease) : [namespace];
  for (const place of places) await remove(client, `${leasesPath(place)}/${lease}`);
  const left = await list(client, copies);
  if (left.length > 0) {
    throw new StillRunningError(
      `${left.length.toString()} copies were written again: is Pullpass still running? Uninstall it, then purge`,
    );
  }
  for (const path of LEFT_OUTSIDE) await remove(client, path);
  return { copies: copyCount, accounts: accountCount };
}

async function removeSecrets(client: KubeClient, collection: Collection): Promise<number> {
  const secrets = (await list(client, collection)).map(readMetadata);
  await Promise.all(
    secrets.map(({ namespace, name, uid }) => remove(client, secretPath(namespace, name), uid)),
  );
  return secrets.length;
}

async function namespacesWithLease(client: KubeClient, lease: string): Promise<readonly string[]> {
  const query = { fieldSelector: `metadata.name=${lease}` };
  const leases = await list(client, { path: "/apis/coordination.k8s.io/v1/leases", query });
  return leases.map((object) => readMetadata(object).namespace);
}

/** Takes off what Pullpass added, and nothing else. */
async function detachAll(client: KubeClient): Promise<number> {
  const accounts = createServiceAccountClient(client);
  const all = (await list(client, { path: "/api/v1/serviceaccounts" })).map(readServiceAccountMetadata);
  const attached = all.filter((account) => account.attached !== undefined);
  await Promise.all(
    attached.map(async (account) => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const { kind } = await reconcileAccount(accounts, account, [], "background", () => true);
        if (kind !== "conflict") return;
      }
      throw new StillRunningError(
        `ServiceAccount ${account.namespace}/${account.name} is changed by others again and again`,
      );
    }),
  );
  return attached.length;
}

async function list(client: KubeClient, collection: Collection): Promise<readonly JsonObject[]> {
  const objects: JsonObject[] = [];
  await listPages(
    client,
    { ...collection, metadataOnly: true },
    (object) => objects.push(object),
    () => undefined,
  );
  return objects;
}

/** With a uid: that object, and none that has its name by now. */
async function remove(client: KubeClient, path: string, uid?: string): Promise<void> {
  const body = {
    apiVersion: "v1",
    kind: "DeleteOptions",
    ...(uid === undefined ? {} : { preconditions: { uid } }),
  };
  try {
    await client.request({ method: "DELETE", path, body, lane: "background" });
  } catch (error) {
    if (!hasStatus(error, 404, 409)) throw error;
  }
}
