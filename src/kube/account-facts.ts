/** What the webhook knows of ServiceAccounts: those that enforce their list of Secrets, and what it lists. */
import { asArray, getString, type ServiceAccountFacts } from "../core/kubernetes.ts";
import type { ServiceAccountClient } from "../replicator/ports.ts";
import type { ServiceAccountMetadata } from "./service-accounts.ts";

export interface AccountFacts {
  /** Undefined for an account that enforces nothing, and for one that does not exist. */
  of(namespace: string, name: string): ServiceAccountFacts | undefined;
  /** `namespace/name` of those that are known. */
  keys(): Iterable<string>;
  onAccount(metadata: ServiceAccountMetadata): void;
  onAccountGone(namespace: string, name: string): void;
}

/** How long an account that could not be read is taken for one that lists nothing. */
const RETRY_MS = 5000;

const LISTS_NOTHING: ServiceAccountFacts = {
  isMountableSecretsEnforced: true,
  pullSecretNames: new Set(),
  mountableSecretNames: new Set(),
};

/**
 * The watch shows metadata alone, so an account that enforces its list is read. Until it is, it counts as one that lists
 * nothing: a pod without a pull secret can be created, one with a pull secret that is not listed cannot.
 */
export function keepAccountFacts(client: Pick<ServiceAccountClient, "read">): AccountFacts {
  const enforcing = new Map<string, { readonly version: string; facts: ServiceAccountFacts }>();

  const read = async (namespace: string, name: string, version: string): Promise<void> => {
    const entry = enforcing.get(`${namespace}/${name}`);
    // A newer event reads for itself.
    if (entry?.version !== version) return;
    try {
      const account = await client.read(namespace, name, "urgent");
      entry.facts = {
        isMountableSecretsEnforced: true,
        pullSecretNames: namesIn(account?.imagePullSecrets),
        mountableSecretNames: namesIn(account?.secrets),
      };
    } catch {
      setTimeout(() => void read(namespace, name, version), RETRY_MS).unref();
    }
  };

  return {
    of: (namespace, name) => enforcing.get(`${namespace}/${name}`)?.facts,
    keys: () => enforcing.keys(),
    onAccount({ namespace, name, resourceVersion, isMountableSecretsEnforced }) {
      const key = `${namespace}/${name}`;
      const known = enforcing.get(key);
      if (!isMountableSecretsEnforced) enforcing.delete(key);
      else if (known?.version !== resourceVersion) {
        const facts = known?.facts ?? LISTS_NOTHING;
        enforcing.set(key, { version: resourceVersion, facts });
        void read(namespace, name, resourceVersion);
      }
    },
    onAccountGone(namespace, name) {
      enforcing.delete(`${namespace}/${name}`);
    },
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
