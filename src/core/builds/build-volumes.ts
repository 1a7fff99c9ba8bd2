/** The volumes that build containers mount. */
import { asArray, isObject, getString, type JsonObject, type Pod } from "../kubernetes.ts";
import { BUILD_SECRET_NAME } from "../replication.ts";

/** Readable for every user of the container, who may be anybody: 0444. */
const READABLE = 0o444;

/** The build secret: a Secret of type dockerconfigjson, whose one key becomes the file that builders look for. */
const BUILD_SECRET_SOURCE: JsonObject = {
  secret: {
    secretName: BUILD_SECRET_NAME,
    items: [{ key: ".dockerconfigjson", path: "config.json" }],
    defaultMode: READABLE,
  },
};

/**
 * A connection's Secret. Polyaxon mounts it as it is, so its key is `config.json`; one that kubelet uses as well has
 * `.dockerconfigjson`. Which of them is only known in the cluster, and `items` with a key that is not there fail the mount.
 * So the Secret is projected twice: one source may lack its key, the other is the Secret as it is, which has to exist. Where
 * both keys are there, the later source wins: `config.json`. Never optional as a whole: the pod waits until the Secret is there.
 */
function connectionSource(secretName: string): JsonObject {
  return {
    projected: {
      sources: [
        {
          secret: {
            name: secretName,
            items: [{ key: ".dockerconfigjson", path: "config.json" }],
            optional: true,
          },
        },
        { secret: { name: secretName } },
      ],
      defaultMode: READABLE,
    },
  };
}

const SECRET_VOLUME = "pullpass-build";
const SCRATCH_VOLUME = "pullpass-docker";

/** Names of volumes for one pod: those that are there already are used again, new ones clash with none. */
export class BuildVolumes {
  /** Of the pod's volumes, by the Secret in them: those that are called like ours. */
  readonly #ours = new Map<string, string>();
  /** The Secrets in the pod's other volumes. */
  readonly #carried = new Set<string>();
  readonly #taken = new Set<string>();
  readonly #added: JsonObject[] = [];
  /** How many names were tried already, by what they begin with. */
  readonly #tried = new Map<string, number>();

  constructor(pod: Pod) {
    for (const volume of asArray(pod.spec["volumes"])) {
      const name = getString(volume, "name") ?? "";
      this.#taken.add(name);
      const isOurs = isNameOf(SECRET_VOLUME, name);
      for (const secretName of secretsIn(volume)) {
        if (secretName === undefined) continue;
        if (!isOurs) this.#carried.add(secretName);
        else if (!this.#ours.has(secretName)) this.#ours.set(secretName, name);
      }
    }
  }

  /** Volumes that the pod lacks, in the order in which they were asked for. */
  added(): readonly JsonObject[] {
    return this.#added;
  }

  /** The name of a volume with that Secret in it. */
  nameForSecret(secretName: string, isBuildSecret: boolean): string {
    return this.#ours.getOrInsertComputed(secretName, () =>
      this.#add(SECRET_VOLUME, isBuildSecret ? BUILD_SECRET_SOURCE : connectionSource(secretName)),
    );
  }

  /** The name of an empty volume that can be written to, another one for each container. */
  nameForScratch(): string {
    return this.#add(SCRATCH_VOLUME, { emptyDir: {} });
  }

  /** Whether the pod has the Secret in a volume that is not one of ours. */
  carries(secretName: string): boolean {
    return this.#carried.has(secretName);
  }

  #add(base: string, source: JsonObject): string {
    let count = this.#tried.get(base) ?? 0;
    let name: string;
    do {
      count++;
      name = count === 1 ? base : `${base}-${count.toString()}`;
    } while (this.#taken.has(name));
    this.#tried.set(base, count);
    this.#added.push({ name, ...source });
    return name;
  }
}

function isNameOf(base: string, name: string): boolean {
  return name === base || (name.startsWith(`${base}-`) && /^\d+$/.test(name.slice(base.length + 1)));
}

/** The names of the Secrets in a volume. */
function secretsIn(volume: unknown): readonly (string | undefined)[] {
  if (!isObject(volume)) return [];
  const { projected } = volume;
  const sources = isObject(projected) ? asArray(projected["sources"]) : [];
  return [
    getString(volume["secret"], "secretName"),
    ...sources.map((source) => (isObject(source) ? getString(source["secret"], "name") : undefined)),
  ];
}
