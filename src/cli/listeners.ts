/** What becomes of what the watches tell. */
import type { Namespace } from "../core/kubernetes.ts";
import type { ExistingCopy } from "../core/replication.ts";
import type { AccountFacts } from "../kube/account-facts.ts";
import type { Intern } from "../kube/intern.ts";
import type { ServiceAccountMetadata } from "../kube/service-accounts.ts";
import type { ReflectorListener } from "../kube/reflector.ts";
import type { Replicator } from "../replicator/controller.ts";

/** `optInTimes` gets when each namespace opted in, by `now`: those that had done so before the first list are not in it. */
export function namespaceListener(
  namespaces: Map<string, Namespace>,
  optInTimes: Map<string, number>,
  replicator: Replicator,
  now: () => number,
): ReflectorListener<Namespace> {
  let isFirstList = true;
  const set = (name: string, namespace: Namespace): void => {
    if (!namespace.isOptedIn) optInTimes.delete(name);
    else if (!isFirstList && namespaces.get(name)?.isOptedIn !== true) optInTimes.set(name, now());
    namespaces.set(name, namespace);
  };
  const remove = (name: string): void => {
    namespaces.delete(name);
    optInTimes.delete(name);
    replicator.onNamespaceGone(name);
  };
  return {
    onRelist(facts) {
      for (const name of namespaces.keys()) if (!facts.has(name)) remove(name);
      for (const [name, namespace] of facts) set(name, namespace);
      isFirstList = false;
      for (const name of facts.keys()) replicator.onNamespace(name);
    },
    onChange(name, namespace) {
      set(name, namespace);
      replicator.onNamespace(name);
    },
    onRemove: remove,
  };
}

/** Names are interned: what is cut out of a key keeps all of the key in memory, and all namespaces have the same few. */
export function copyListener(replicator: Replicator, intern: Intern): ReflectorListener<ExistingCopy> {
  const { copies } = replicator;
  const remove = (namespace: string, name: string): void => {
    copies.remove(namespace, name);
    replicator.onCopy(namespace);
  };
  const set = (key: string, copy: ExistingCopy): void => {
    const [namespace, name] = namesIn(key);
    if (copies.set(namespace, intern(name), copy)) replicator.onCopy(namespace);
  };
  return {
    onRelist(facts, resourceVersion) {
      // A Map may lose entries while it is gone through.
      for (const namespace of copies.namespaces()) {
        for (const [name, { version }] of copies.in(namespace)) {
          // What we wrote after the list was made is not in it.
          const isOlder = version <= Number(resourceVersion);
          if (isOlder && !facts.has(`${namespace}/${name}`)) remove(namespace, name);
        }
      }
      for (const [key, copy] of facts) set(key, copy);
    },
    onChange: set,
    onRemove(key, { uid }) {
      const [namespace, name] = namesIn(key);
      if (copies.in(namespace).get(name)?.uid === uid) remove(namespace, name);
    },
  };
}

export function accountListener(
  replicator: Replicator,
  accountFacts: AccountFacts,
): ReflectorListener<ServiceAccountMetadata> {
  const { attached } = replicator;
  const onChange = (_: string, account: ServiceAccountMetadata): void => {
    const { namespace, name, resourceVersion } = account;
    accountFacts.onAccount(account);
    replicator.onAccount(namespace, name, { version: Number(resourceVersion), attached: account.attached });
  };
  const remove = (namespace: string, name: string): void => {
    accountFacts.onAccountGone(namespace, name);
    replicator.onAccountGone(namespace, name);
  };
  return {
    onRelist(facts) {
      const known = [...attached.namespaces()].flatMap((namespace) =>
        [...attached.in(namespace).keys()].map((name) => `${namespace}/${name}`),
      );
      for (const key of [...known, ...accountFacts.keys()]) if (!facts.has(key)) remove(...namesIn(key));
      for (const [key, account] of facts) onChange(key, account);
    },
    onChange,
    onRemove(key) {
      remove(...namesIn(key));
    },
  };
}

/** Names of objects hold no slash. */
function namesIn(key: string): readonly [namespace: string, name: string] {
  const [namespace = "", name = ""] = key.split("/");
  return [namespace, name];
}
