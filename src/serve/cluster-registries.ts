/** From the registries of file and cluster to what the replicator writes, and back to the status of those of the cluster. */
import type { Environment } from "../config/credentials.ts";
import type { Replicator } from "../replicator/controller.ts";
import type { ClusterAccess, ClusterEvents, ClusterOptions, ClusterTelemetry } from "./cluster-access.ts";
import { CredentialSources } from "./credential-sources.ts";
import { createFaultReport, type FaultReport } from "./fault-report.ts";
import type { Informers } from "./informers.ts";
import { ProvidedCredentials } from "./provided-credentials.ts";
import { RegistryList } from "./registry-list.ts";
import { logInTo } from "./registry-login.ts";
import { RegistryStatusWriter } from "./registry-status.ts";
import { describeSecret, type WatchSecret } from "./watched-sources.ts";

export interface RegistryParts {
  readonly environment: Environment;
  readonly access: ClusterAccess;
  readonly events: ClusterEvents;
  readonly informers: Informers;
  readonly watchSecret: WatchSecret;
  readonly replicator: Replicator;
}

export interface ClusterRegistries {
  readonly registries: RegistryList;
  readonly faults: FaultReport;
  readonly provided: ProvidedCredentials;
  readonly sources: CredentialSources;
  readonly status: RegistryStatusWriter;
  close(): void;
}

export function watchSecretWith(informers: Informers): WatchSecret {
  return (secret, onChange) => {
    const path = `/api/v1/namespaces/${secret.namespace}/secrets`;
    const label = `secret ${describeSecret(secret)}`;
    return informers.watchObject({ label, path, name: secret.name }, onChange);
  };
}

export function connectRegistries(
  { namespace, pod, programDirectory }: ClusterOptions,
  { logger, metrics }: ClusterTelemetry,
  { environment, access, events, informers, watchSecret, replicator }: RegistryParts,
): ClusterRegistries {
  const onChange = (): void => void events.emit("change");
  const registries = new RegistryList({
    ...{ informers, namespace, logger },
    onJoined: (joined) => events.emit("registries", joined),
    onStatusChange: onChange,
  });
  const faults = createFaultReport(logger, access.recordEvent, {
    isLeading: () => access.election.isLeading(),
    isPod: pod !== undefined,
  });
  const provided = new ProvidedCredentials({
    ...{ apisFor: access.leaderApisFor, namespace, watchSecret, logger },
    programs: { directory: programDirectory ?? "", environment },
    onAnswer: metrics.countRefresh,
    onChange: () => events.emit("renewal"),
  });
  const sources = new CredentialSources({
    ...{ environment, ownNamespace: namespace, watchSecret, offers: registries.objects, provided },
    onChange(next, nextFaults) {
      faults.report(nextFaults, next);
      const { attachedServiceAccounts, unlisted } = registries;
      replicator.setDesiredState({ sources: next, attachedServiceAccounts, unlisted });
      onChange();
    },
  });
  events.on("renewal", () => {
    sources.refresh();
  });
  events.on("registries", (joined) => {
    provided.setRegistries(joined, registries.unlisted.size === 0);
    sources.setConfiguration(joined);
  });
  const status = new RegistryStatusWriter({
    ...{ apisFor: access.leaderApisFor, objects: registries.objects, provided, logger },
    joined: () => registries.joined,
    faults: faults.current,
    sources: () => sources.current(),
    countCopies: () => replicator.countCopies(),
    login(name, image) {
      const source = sources.current().find(({ registry }) => registry.name === name);
      return logInTo(source, image);
    },
  });
  events.on("change", () => {
    status.schedule();
  });
  return {
    ...{ registries, faults, provided, sources, status },
    close() {
      registries.close();
      sources.close();
      provided.close();
    },
  };
}
