/** Reads what every object of the API has, as it comes over the wire or from client-node's typed API. */
import { getString, isObject } from "../../core/kubernetes.ts";

/** An object of the API, of which no field is trusted to be there. */
export interface ApiObject {
  readonly metadata?: unknown;
}

/** Strings that an object lacks are empty: the API server sends none of these without a name. */
export interface Metadata {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** The resource version as a number: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions */
  readonly version: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly isBeingDeleted: boolean;
}

const NONE: Readonly<Record<string, string>> = Object.freeze({});

export function readMetadata({ metadata }: ApiObject): Metadata {
  const string = (key: string) => getString(metadata, key) ?? "";
  const resourceVersion = string("resourceVersion");
  return {
    namespace: string("namespace"),
    name: string("name"),
    uid: string("uid"),
    resourceVersion,
    version: Number(resourceVersion),
    labels: getStringMap(metadata, "labels"),
    annotations: getStringMap(metadata, "annotations"),
    isBeingDeleted: isObject(metadata) && metadata["deletionTimestamp"] !== undefined,
  };
}

/** The API server accepts only strings as the values of labels and annotations, and leaves an empty map out. */
function getStringMap(metadata: unknown, key: "labels" | "annotations"): Readonly<Record<string, string>> {
  if (!isObject(metadata)) return NONE;
  const map = metadata[key];
  return isObject(map) ? (map as Readonly<Record<string, string>>) : NONE;
}
