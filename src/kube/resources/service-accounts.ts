/** ServiceAccounts: what their metadata says, what the webhook has to know of them, and how their pull secrets change. */
import { PatchStrategy, setHeaderOptions, type V1ServiceAccount } from "@kubernetes/client-node";
import type { ServiceAccount } from "../../core/attachment.ts";
import { asArray, getString, type ServiceAccountInfo } from "../../core/kubernetes.ts";
import { ATTACHED_ANNOTATION, enforcesMountableSecrets, MANAGER } from "../../core/labels.ts";
import type { ServiceAccountClient } from "../../replicator/ports.ts";
import type { ApisFor } from "../api.ts";
import { createBackOff } from "../../core/back-off.ts";
import { causesOf, hasStatus, isConflict, isNotFound, KubeNotSentError } from "../errors.ts";
import { digest } from "./copies.ts";
import { readMetadata, type ApiObject } from "./metadata.ts";

/** What the metadata of a ServiceAccount says. */
export interface ServiceAccountMetadata {
  readonly version: number;
  readonly isMountableSecretsEnforced: boolean;
  /** The digest of the annotation that lists the pull secrets that Pullpass added; undefined if it added none. */
  readonly attached: string | undefined;
}

/** Reads a ServiceAccount or its PartialObjectMetadata. */
export function readServiceAccountMetadata(account: ApiObject): ServiceAccountMetadata {
  const { version, annotations } = readMetadata(account);
  const attached = getString(annotations, ATTACHED_ANNOTATION);
  return {
    version,
    isMountableSecretsEnforced: enforcesMountableSecrets(annotations),
    attached: attached === undefined ? undefined : digest(attached),
  };
}

export function createServiceAccountClient(apisFor: ApisFor): ServiceAccountClient {
  return {
    async read(namespace, name, priority) {
      try {
        return readServiceAccount(
          await apisFor(priority).core.readNamespacedServiceAccount({ namespace, name }),
        );
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },

    async patch(namespace, name, operations, priority) {
      try {
        const account = await apisFor(priority).core.patchNamespacedServiceAccount(
          { namespace, name, body: operations, fieldManager: MANAGER },
          setHeaderOptions("Content-Type", PatchStrategy.JsonPatch),
        );
        return { kind: "patched", version: readMetadata(account).version };
      } catch (error) {
        if (error instanceof KubeNotSentError) return { kind: "not-leading" };
        if (isNotFound(error)) return { kind: "gone" };
        // A `test` that fails, as any operation that does not apply, is answered by 422 without a cause; a patch that
        // leads to an invalid object, which no second try makes valid, by 422 with causes.
        if (isConflict(error) || (hasStatus(error, 422) && causesOf(error).length === 0))
          return { kind: "conflict" };
        throw error;
      }
    },
  };
}

function readServiceAccount(account: V1ServiceAccount): ServiceAccount {
  const { resourceVersion, annotations } = readMetadata(account);
  const { imagePullSecrets, secrets } = account;
  return {
    resourceVersion,
    imagePullSecrets,
    secrets,
    annotations: Object.keys(annotations).length === 0 ? undefined : annotations,
  };
}

/** Accounts that enforce their list of Secrets, for the webhook. */
export interface ServiceAccountCache {
  /** Undefined for an account that enforces nothing, and for one that does not exist. */
  readonly get: (namespace: string, name: string) => ServiceAccountInfo | undefined;
  /** To be called with every change; undefined: the account is gone. */
  readonly update: (namespace: string, name: string, metadata: ServiceAccountMetadata | undefined) => void;
  close(): void;
}

export interface ServiceAccountCacheOptions {
  readonly client: Pick<ServiceAccountClient, "read">;
  /** Called when an account cannot be read for the first time; it is read again after a while. */
  readonly onFailure: (account: string, error: unknown) => void;
}

const LISTS_NOTHING: ServiceAccountInfo = {
  isMountableSecretsEnforced: true,
  pullSecretNames: new Set(),
  mountableSecretNames: new Set(),
};

/**
 * The watch shows metadata alone, so an account that enforces its list is read. Until it is, it counts as one that lists
 * nothing: a pod without a pull secret can be created, one with a pull secret that is not listed cannot.
 */
export function createServiceAccountCache(options: ServiceAccountCacheOptions): ServiceAccountCache {
  const enforcing = new Map<string, { readonly version: number; facts: ServiceAccountInfo }>();

  async function read(namespace: string, name: string, version: number): Promise<void> {
    const key = `${namespace}/${name}`;
    const backOff = createBackOff({ firstMs: 5_000, maxMs: 5 * 60_000 });
    // A newer change reads for itself.
    for (let tries = 0; enforcing.get(key)?.version === version; tries++) {
      try {
        const facts = await readEnforced(options.client, namespace, name);
        const entry = enforcing.get(key);
        if (entry?.version === version) entry.facts = facts;
        return;
      } catch (error) {
        if (tries === 0) options.onFailure(key, error);
        await new Promise((resolve) => setTimeout(resolve, backOff.next()).unref());
      }
    }
  }

  return {
    get: (namespace, name) => enforcing.get(`${namespace}/${name}`)?.facts,
    update(namespace, name, metadata) {
      const key = `${namespace}/${name}`;
      const known = enforcing.get(key);
      if (metadata?.isMountableSecretsEnforced !== true) {
        enforcing.delete(key);
      } else if (known?.version !== metadata.version) {
        enforcing.set(key, { version: metadata.version, facts: known?.facts ?? LISTS_NOTHING });
        void read(namespace, name, metadata.version);
      }
    },
    close() {
      enforcing.clear();
    },
  };
}

async function readEnforced(
  client: Pick<ServiceAccountClient, "read">,
  namespace: string,
  name: string,
): Promise<ServiceAccountInfo> {
  const account = await client.read(namespace, name, "high");
  return {
    isMountableSecretsEnforced: true,
    pullSecretNames: namesIn(account?.imagePullSecrets),
    mountableSecretNames: namesIn(account?.secrets),
  };
}

/** Nobody checks what an account lists: a megabyte of it, or a name of that length. No Secret has a longer name than this. */
const MAX_NAMES = 256;
const MAX_NAME_LENGTH = 253;

export function namesIn(list: unknown): ReadonlySet<string> {
  const names = asArray(list)
    .map((entry) => getString(entry, "name"))
    .filter((name) => name !== undefined)
    .filter(({ length }) => length <= MAX_NAME_LENGTH);
  return new Set(names.slice(0, MAX_NAMES));
}
