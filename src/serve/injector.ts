/** What gives pods their pull secrets, the webhook or a policy, and whether it does. */
import { OTHER_EXCLUDED_NAMESPACE } from "../core/admission-policy/render.ts";
import { MANAGER } from "../core/labels.ts";
import { createPolicyWriter, findPolicy, type PolicyWriter } from "../kube/resources/admission-policies.ts";
import { isRegistered } from "../kube/resources/evictions.ts";
import { PolicyKeeper, PolicyRemover } from "./admission-policy.ts";
import type { WatchedCluster } from "./cluster-access.ts";
import {
  clusterCertificates,
  type ClusterCertificateOptions,
  type ClusterCertificates,
} from "./cluster-certificates.ts";
import type { RegistryList } from "./registry-list.ts";
import type { WatchSecret } from "./watched-sources.ts";

export interface Injector {
  readonly certificates: ClusterCertificates | undefined;
  readonly policy: PolicyKeeper | PolicyRemover;
  readonly unreadyReasons: () => readonly string[];
  /** Pods get their pull secrets, in whatever way. */
  readonly isInjecting: () => Promise<boolean>;
  close(): void;
}

export function connectInjector(
  watched: WatchedCluster,
  registries: RegistryList,
  watchSecret: WatchSecret,
  tls: ClusterCertificateOptions | undefined,
): Injector {
  const { options, logger, access, informers, known } = watched;
  const writer = createPolicyWriter(access.leaderApisFor);
  const keeper = keepPolicy(watched, writer);
  const certificates = clusterCertificates(tls, {
    ...{ apisFor: access.leaderApisFor, namespace: options.namespace, logger, watchSecret },
    watchObject: (object, onChange) => informers.watchObject(object, onChange),
  });
  const unreadyReasons = (): readonly string[] =>
    [known, registries, certificates, keeper].flatMap((part) => part?.unreadyReasons() ?? []);
  const isInjecting = async (): Promise<boolean> =>
    unreadyReasons().length === 0 &&
    (options.mode === "policy" || (await isRegistered(access.leaderApisFor, MANAGER)));
  const policy =
    keeper ??
    new PolicyRemover({
      ...{ writer, isWebhookReady: isInjecting, logger },
      find: () => findPolicy(access.apisFor),
    });
  return { certificates, policy, unreadyReasons, isInjecting, close: () => keeper?.close() };
}

function keepPolicy(
  { options, logger, access, events, informers, known }: WatchedCluster,
  writer: PolicyWriter,
): PolicyKeeper | undefined {
  const { mode, namespace, excludedNamespaces } = options;
  if (mode === "webhook") return undefined;
  const keeper = new PolicyKeeper({
    ...{ writer, logger, watchObject: (object, onChange) => informers.watchObject(object, onChange) },
    excludedNamespaces: [...new Set([OTHER_EXCLUDED_NAMESPACE, namespace, ...excludedNamespaces])],
    warn: access.recordEvent,
  });
  known.accounts.subscribe((ofNamespace, name, account) => {
    keeper.setEnforcing(`${ofNamespace}/${name}`, account?.isMountableSecretsEnforced === true);
  });
  events.on("registries", ({ registries }) => {
    keeper.setRegistries(registries);
  });
  return keeper;
}
