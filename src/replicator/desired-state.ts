/** What the configuration asks for, and which ServiceAccounts differ from it. */
import type { Namespace } from "../core/kubernetes.ts";
import {
  prepareCopies,
  type DesiredCopiesFor,
  type Digest,
  type Source,
  type UnlistedCopies,
} from "../core/replication.ts";
import type { AccountMetadata } from "./ports.ts";

export interface DesiredState {
  /** All registries, in configuration order. */
  readonly sources: readonly Source[];
  /** The ServiceAccounts in every opted-in namespace that get the pull secrets. */
  readonly attachedServiceAccounts: readonly string[];
  /** Where registries are missing from `sources` that may have copies. */
  readonly unlisted?: UnlistedCopies;
}

/** The state, prepared for questions about one namespace after another. */
export interface PreparedState extends DesiredState {
  readonly copiesFor: DesiredCopiesFor;
  /** Whether Pullpass attaches pull secrets to this ServiceAccount. */
  isAttached(namespace: Namespace, account: string): boolean;
  /** The names of the pull secrets to attach; empty for an account that is not attached. */
  pullSecretsFor(namespace: Namespace, account: string): readonly string[];
  /** The ServiceAccounts to read, because pull secrets may have to be attached or removed. */
  accountsOutOfSync(namespace: Namespace, known: ReadonlyMap<string, AccountMetadata>): readonly string[];
}

export function prepareState(state: DesiredState, digest: Digest): PreparedState {
  const copiesFor = prepareCopies(state.sources, digest, state.unlisted);

  const isAttached = ({ isOptedIn, serviceAccounts }: Namespace, account: string): boolean =>
    isOptedIn && (state.attachedServiceAccounts.includes(account) || serviceAccounts.includes(account));

  return {
    ...state,
    copiesFor,
    isAttached,
    pullSecretsFor: (namespace, account) =>
      isAttached(namespace, account) ? copiesFor(namespace).pullSecretNames : [],
    accountsOutOfSync(namespace, known) {
      const toAttach = [...state.attachedServiceAccounts, ...namespace.serviceAccounts];
      const attached = [...known.keys()].filter((name) => known.get(name)?.attached !== undefined);
      const digestOfAll = attachedDigest(copiesFor(namespace).pullSecretNames, digest);
      const desiredFor = (name: string) => (isAttached(namespace, name) ? digestOfAll : undefined);
      return [...new Set([...toAttach, ...attached])].filter(
        (name) => known.get(name)?.attached !== desiredFor(name),
      );
    },
  };
}

/** As in the metadata of an account to which these pull secrets are attached. */
export function attachedDigest(names: readonly string[], digest: Digest): string | undefined {
  return names.length === 0 ? undefined : digest(names.join(","));
}
