/** The ClusterRegistries of the cluster, from when their CRD appears until it goes, and the Secrets that they may refer to. */
import { fieldsMissingFrom, REGISTRY_API, REGISTRY_CRD_NAME } from "../config/registry-crd.ts";
import { asArray, isObject, type JsonObject } from "../core/kubernetes.ts";
import { CREDENTIALS_LABEL } from "../core/labels.ts";
import type { Informer } from "../kube/informer.ts";
import {
  readClusterRegistry,
  readOfferedSecret,
  type ClusterRegistry,
  type OfferedSecret,
} from "../kube/resources/cluster-registries.ts";
import type { Informers, ObjectWatch } from "./informers.ts";

export interface RegistryObjectsOptions {
  readonly informers: Pick<Informers, "create" | "stop" | "watchObject">;
  /** Pullpass's own, where the Secrets are. */
  readonly namespace: string;
  /** Something of the registries or of their credentials may be different. */
  readonly onChange: () => void;
  /** Nothing but the status of an object, or a request for a login, is different. */
  readonly onStatusChange: () => void;
}

interface Collections {
  readonly objects: Informer<ClusterRegistry>;
  readonly secrets: Informer<OfferedSecret>;
}

const CRD = {
  label: "cluster registry definition",
  path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
  name: REGISTRY_CRD_NAME,
};
const OBJECTS_LABEL = "cluster registries";
const SECRETS_LABEL = "offered secrets";

export class RegistryObjects {
  /** Resolves once the API server has said which objects there are, or has refused to. */
  readonly asked: Promise<unknown>;
  readonly #options: RegistryObjectsOptions;
  readonly #crdWatch: ObjectWatch;
  #crd: JsonObject | "missing" | "unknown" = "unknown";
  #missingFields: readonly string[] = [];
  #collections: Collections | undefined;

  constructor(options: RegistryObjectsOptions) {
    this.#options = options;
    this.#crdWatch = options.informers.watchObject(CRD, (crd) => {
      this.#takeCrd(crd);
    });
    this.asked = this.#crdWatch.asked.then(() =>
      Promise.all([this.#collections?.objects.asked, this.#collections?.secrets.asked]),
    );
  }

  /** The list holds every object that there is. */
  get isComplete(): boolean {
    return this.#crd === "missing" || this.#collections?.objects.isSynced === true;
  }

  /** Fields that the CRD in the cluster lacks, so that the API server drops them; see {@link fieldsMissingFrom}. */
  get missingFields(): readonly string[] {
    return this.#missingFields;
  }

  list(): readonly ClusterRegistry[] {
    return [...(this.#collections?.objects.store.in("").values() ?? [])];
  }

  /** Takes what was written, before the watch reports it. */
  put(object: ClusterRegistry): void {
    this.#collections?.objects.store.set("", object.name, object);
  }

  /** By its name. `missing` is known: it is not there, or not offered. */
  offeredSecret(name: string): OfferedSecret | "missing" | "unknown" {
    const secrets = this.#collections?.secrets;
    const secret = secrets?.store.get(this.#options.namespace, name);
    return secret ?? (secrets?.isSynced === true ? "missing" : "unknown");
  }

  close(): void {
    this.#crdWatch.close();
    this.#closeCollections();
  }

  #takeCrd(crd: JsonObject | "missing"): void {
    this.#crd = crd;
    const isServed = crd !== "missing" && servesObjects(crd);
    this.#missingFields = isServed ? fieldsMissingFrom(crd) : [];
    if (isServed) this.#collections ??= this.#openCollections();
    else this.#closeCollections();
    this.#options.onChange();
  }

  #openCollections(): Collections {
    const { informers, namespace, onChange, onStatusChange } = this.#options;
    const objects = informers.create(OBJECTS_LABEL, {
      collection: { path: `/apis/${REGISTRY_API.group}/${REGISTRY_API.version}/${REGISTRY_API.plural}` },
      project: readClusterRegistry,
    });
    objects.subscribe((_namespace, _name, current, previous) => {
      const isSameSpec = current?.uid === previous?.uid && current?.generation === previous?.generation;
      if (isSameSpec) onStatusChange();
      else onChange();
    });
    const secrets = informers.create(SECRETS_LABEL, {
      collection: {
        path: `/api/v1/namespaces/${namespace}/secrets`,
        query: { labelSelector: `${CREDENTIALS_LABEL}=true` },
      },
      project: readOfferedSecret,
    });
    secrets.subscribe(onChange);
    for (const informer of [objects, secrets]) {
      void informer.synced.then(onChange);
      informer.start();
    }
    return { objects, secrets };
  }

  #closeCollections(): void {
    const { informers } = this.#options;
    informers.stop(OBJECTS_LABEL);
    informers.stop(SECRETS_LABEL);
    this.#collections = undefined;
  }
}

/** The API server serves the version of the objects that Pullpass reads. */
function servesObjects({ spec, status }: JsonObject): boolean {
  const versions = asArray(isObject(spec) ? spec["versions"] : undefined);
  const conditions = asArray(isObject(status) ? status["conditions"] : undefined);
  return (
    versions.some(
      (version) =>
        isObject(version) && version["name"] === REGISTRY_API.version && version["served"] === true,
    ) &&
    conditions.some(
      (condition) =>
        isObject(condition) && condition["type"] === "Established" && condition["status"] === "True",
    )
  );
}
