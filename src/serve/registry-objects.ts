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
import type { Informers } from "./informers.ts";

export interface RegistryObjectsOptions {
  readonly informers: Pick<Informers, "create" | "stop" | "watchObject">;
  /** Pullpass's own, where the Secrets are. */
  readonly namespace: string;
  /** Something of the registries or of their credentials may be different. */
  readonly onChange: () => void;
  /** Nothing but the status of an object, or a request for a login, is different. */
  readonly onStatusChange: () => void;
}

export interface RegistryObjects {
  /** Resolves once the API server has said which objects there are, or has refused to. */
  readonly asked: Promise<unknown>;
  /** The list holds every object that there is. */
  readonly isComplete: boolean;
  /** Fields that the CRD in the cluster lacks, so that the API server drops them; see {@link fieldsMissingFrom}. */
  readonly missingFields: readonly string[];
  list(): readonly ClusterRegistry[];
  /** Takes what was written, before the watch reports it. */
  put(object: ClusterRegistry): void;
  /** By its name. `missing` is known: it is not there, or not offered. */
  offeredSecret(name: string): OfferedSecret | "missing" | "unknown";
  close(): void;
}

interface Collections {
  readonly objects: Informer<ClusterRegistry>;
  readonly secrets: Informer<OfferedSecret>;
}

const CRD_LABEL = "cluster registry definition";
const OBJECTS_LABEL = "cluster registries";
const SECRETS_LABEL = "offered secrets";

export function createRegistryObjects(options: RegistryObjectsOptions): RegistryObjects {
  const { informers, namespace, onChange, onStatusChange } = options;
  let crd: JsonObject | "missing" | "unknown" = "unknown";
  let missingFields: readonly string[] = [];
  let collections: Collections | undefined;

  function open(): Collections {
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

  function close(): void {
    informers.stop(OBJECTS_LABEL);
    informers.stop(SECRETS_LABEL);
    collections = undefined;
  }

  const crdWatch = informers.watchObject(
    {
      label: CRD_LABEL,
      path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
      name: REGISTRY_CRD_NAME,
    },
    (state) => {
      crd = state;
      const isServed = state !== "missing" && servesObjects(state);
      missingFields = isServed ? fieldsMissingFrom(state) : [];
      if (isServed) collections ??= open();
      else close();
      onChange();
    },
  );

  return {
    asked: crdWatch.asked.then(() => Promise.all([collections?.objects.asked, collections?.secrets.asked])),
    get isComplete() {
      return crd === "missing" || collections?.objects.isSynced === true;
    },
    get missingFields() {
      return missingFields;
    },
    list: () => [...(collections?.objects.store.in("").values() ?? [])],
    put(object) {
      collections?.objects.store.set("", object.name, object);
    },
    offeredSecret(name) {
      const secret = collections?.secrets.store.get(namespace, name);
      return secret ?? (collections?.secrets.isSynced === true ? "missing" : "unknown");
    },
    close() {
      crdWatch.close();
      close();
    },
  };
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
