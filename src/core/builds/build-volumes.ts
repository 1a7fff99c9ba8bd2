/** The volumes that build containers mount. */
import { elementsOf, isObject, textOf, type JsonObject, type Pod } from "../kubernetes.ts";
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

/** Names of volumes for one pod: those that are there already are used again, new ones clash with none. */
export class BuildVolumes {
  readonly #present: readonly JsonObject[];
  readonly #added = new Map<string, JsonObject>();

  constructor(pod: Pod) {
    this.#present = elementsOf(pod.spec["volumes"]).filter(isObject);
  }

  /** Volumes that the pod lacks, in the order in which they were asked for. */
  added(): readonly JsonObject[] {
    return [...this.#added.values()];
  }

  /** The name of a volume with that Secret in it. */
  nameForSecret(secretName: string, isBuildSecret: boolean): string {
    const key = `secret ${secretName}`;
    const isOurs = (volume: JsonObject): boolean =>
      isNameOf(SECRET_VOLUME, textOf(volume, "name") ?? "") && secretsIn(volume).includes(secretName);
    const known = textOf(this.#added.get(key) ?? this.#present.find(isOurs), "name");
    if (known !== undefined) return known;
    return this.#add(SECRET_VOLUME, key, isBuildSecret ? BUILD_SECRET_SOURCE : connectionSource(secretName));
  }

  /** The name of an empty volume that can be written to, another one for each container. */
  nameForScratch(): string {
    return this.#add(SCRATCH_VOLUME, `scratch ${this.#added.size.toString()}`, { emptyDir: {} });
  }

  /** Whether the pod has the Secret in a volume that is not one of ours. */
  carries(secretName: string): boolean {
    return this.#present.some(
      (volume) =>
        secretsIn(volume).includes(secretName) && !isNameOf(SECRET_VOLUME, textOf(volume, "name") ?? ""),
    );
  }

  #add(base: string, key: string, source: JsonObject): string {
    const taken = [...this.#present, ...this.#added.values()].map((volume) => textOf(volume, "name"));
    let name = base;
    for (let count = 2; taken.includes(name); count++) name = `${base}-${count.toString()}`;
    this.#added.set(key, { name, ...source });
    return name;
  }
}

const SECRET_VOLUME = "pullpass-build";
const SCRATCH_VOLUME = "pullpass-docker";

function isNameOf(base: string, name: string): boolean {
  return name === base || (name.startsWith(`${base}-`) && /^\d+$/.test(name.slice(base.length + 1)));
}

/** The names of the Secrets in a volume. */
function secretsIn(volume: JsonObject): readonly (string | undefined)[] {
  const { projected } = volume;
  const sources = isObject(projected) ? elementsOf(projected["sources"]) : [];
  return [
    textOf(volume["secret"], "secretName"),
    ...sources.map((source) => (isObject(source) ? textOf(source["secret"], "name") : undefined)),
  ];
}
