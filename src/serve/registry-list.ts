/** The registries of the file and of the cluster as one list, which changes with both. */
import type { Logger } from "pino";
import type { Configuration } from "../config/configuration.ts";
import { joinRegistryObjects, type JoinedRegistries } from "../config/registry-objects.ts";
import { readRegistryStatus } from "../config/status-schema.ts";
import { ALL_UNLISTED, type UnlistedCopies } from "../core/replication.ts";
import { RegistryObjects, type RegistryObjectsOptions } from "./registry-objects.ts";

export interface RegistryListOptions extends Omit<RegistryObjectsOptions, "onChange"> {
  readonly logger: Logger;
  /** The configuration of the file, with all registries. */
  readonly onJoined: (configuration: Configuration) => void;
}

export class RegistryList {
  readonly objects: RegistryObjects;
  readonly #options: RegistryListOptions;
  #configuration: Configuration | undefined;
  #joined: JoinedRegistries = { registries: [], faults: new Map() };
  /** By uid: what an object said when it was last used. */
  #goodSpecs: ReadonlyMap<string, unknown> = new Map();
  #isAsked = false;
  #isDue = false;

  constructor(options: RegistryListOptions) {
    this.#options = options;
    const onChange = (): void => {
      this.#joinSoon();
    };
    this.objects = new RegistryObjects({ ...options, onChange });
    void this.objects.asked.then(() => {
      this.#isAsked = true;
    });
  }

  get joined(): JoinedRegistries {
    return this.#joined;
  }

  get attachedServiceAccounts(): readonly string[] {
    return this.#configuration?.attachedServiceAccounts ?? [];
  }

  /** Copies of registries that are not in the list, although there may be such. */
  get unlisted(): UnlistedCopies {
    if (!this.objects.isComplete) return ALL_UNLISTED;
    const listed = new Set(this.#joined.registries.map(({ name }) => name));
    const unused = this.objects.list().filter(({ name }) => !listed.has(name));
    // What it wrote when it was used.
    return new Set(unused.flatMap(({ status }) => readRegistryStatus(status)?.secretName ?? []));
  }

  unreadyReasons(): readonly string[] {
    return this.#isAsked ? [] : ["the ClusterRegistries of the cluster are not known yet"];
  }

  setConfiguration(configuration: Configuration): void {
    this.#configuration = configuration;
    this.#join();
  }

  close(): void {
    this.objects.close();
  }

  /** Once for all changes that come at the same time, as those of a list do. */
  #joinSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#join();
    });
  }

  #join(): void {
    if (this.#configuration === undefined) return;
    const { logger, onJoined } = this.#options;
    const list = this.objects.list();
    const joined = joinRegistryObjects(
      this.#configuration,
      list.map((object) => ({ ...object, lastGoodSpec: this.#goodSpecs.get(object.uid) })),
    );
    this.#goodSpecs = new Map(
      list.flatMap(({ uid, name, spec }) => {
        const good = joined.faults.has(name) ? this.#goodSpecs.get(uid) : spec;
        return good === undefined ? [] : [[uid, good]];
      }),
    );
    for (const [registry, { reason, message }] of joined.faults) {
      if (this.#joined.faults.get(registry)?.message === message) continue;
      logger.warn({ registry, reason, error: message }, "a ClusterRegistry is not used as it is");
    }
    this.#joined = joined;
    onJoined({ ...this.#configuration, registries: joined.registries });
  }
}
