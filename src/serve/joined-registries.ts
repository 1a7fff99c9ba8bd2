/** The registries of the file and of the cluster as one list, which changes with both. */
import type { Logger } from "pino";
import type { Configuration } from "../config/configuration.ts";
import { joinRegistryObjects, type JoinedRegistries } from "../config/registry-objects.ts";
import { readRegistryStatus } from "../config/status-schema.ts";
import { ALL_UNLISTED, type UnlistedCopies } from "../core/replication.ts";
import {
  createRegistryObjects,
  type RegistryObjects,
  type RegistryObjectsOptions,
} from "./registry-objects.ts";

export interface JoinedRegistriesOptions extends Omit<RegistryObjectsOptions, "onChange"> {
  readonly logger: Logger;
  /** The configuration of the file, with all registries. */
  readonly onJoined: (configuration: Configuration) => void;
}

export interface RegistryList {
  readonly objects: RegistryObjects;
  readonly joined: JoinedRegistries;
  readonly attachedServiceAccounts: readonly string[];
  /** Copies of registries that are not in the list, although there may be such. */
  readonly unlisted: UnlistedCopies;
  unreadyReasons(): readonly string[];
  setConfiguration(configuration: Configuration): void;
  close(): void;
}

export function joinRegistries(options: JoinedRegistriesOptions): RegistryList {
  const { logger, onJoined } = options;
  let configuration: Configuration | undefined;
  let joined: JoinedRegistries = { registries: [], faults: new Map() };
  /** By uid: what an object said when it was last used. */
  let goodSpecs: ReadonlyMap<string, unknown> = new Map();
  let isAsked = false;
  let isDue = false;

  /** Once for all changes that come at the same time, as those of a list do. */
  function joinSoon(): void {
    if (isDue) return;
    isDue = true;
    setImmediate(() => {
      isDue = false;
      join();
    });
  }

  function join(): void {
    if (configuration === undefined) return;
    const list = objects.list();
    const next = joinRegistryObjects(
      configuration,
      list.map((object) => ({ ...object, lastGoodSpec: goodSpecs.get(object.uid) })),
    );
    goodSpecs = new Map(
      list.flatMap(({ uid, name, spec }) => {
        const good = next.faults.has(name) ? goodSpecs.get(uid) : spec;
        return good === undefined ? [] : [[uid, good]];
      }),
    );
    for (const [registry, { reason, message }] of next.faults) {
      if (joined.faults.get(registry)?.message === message) continue;
      logger.warn({ registry, reason, error: message }, "a ClusterRegistry is not used as it is");
    }
    joined = next;
    onJoined({ ...configuration, registries: next.registries });
  }

  const objects = createRegistryObjects({ ...options, onChange: joinSoon });
  void objects.asked.then(() => {
    isAsked = true;
  });

  return {
    objects,
    get joined() {
      return joined;
    },
    get attachedServiceAccounts() {
      return configuration?.attachedServiceAccounts ?? [];
    },
    get unlisted() {
      if (!objects.isComplete) return ALL_UNLISTED;
      const listed = new Set(joined.registries.map(({ name }) => name));
      const unused = objects.list().filter(({ name }) => !listed.has(name));
      // What it wrote when it was used.
      return new Set(unused.flatMap(({ status }) => readRegistryStatus(status)?.secretName ?? []));
    },
    unreadyReasons: () => (isAsked ? [] : ["the ClusterRegistries of the cluster are not known yet"]),
    setConfiguration(next) {
      configuration = next;
      join();
    },
    close() {
      objects.close();
    },
  };
}
