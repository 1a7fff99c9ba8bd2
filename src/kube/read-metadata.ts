/** Reads what every object of the API has. */
import { isObject, getString, type JsonObject } from "../core/kubernetes.ts";

/** Texts that an object lacks are empty: the API server sends none of these without a name. */
export interface Metadata {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly isBeingDeleted: boolean;
}

const NONE: Readonly<Record<string, string>> = Object.freeze({});

export function readMetadata({ metadata }: JsonObject): Metadata {
  const text = (key: string) => getString(metadata, key) ?? "";
  return {
    namespace: text("namespace"),
    name: text("name"),
    uid: text("uid"),
    resourceVersion: text("resourceVersion"),
    labels: getStringMap(metadata, "labels"),
    annotations: getStringMap(metadata, "annotations"),
    isBeingDeleted: getString(metadata, "deletionTimestamp") !== undefined,
  };
}

/** The API server takes only texts as the values of labels and annotations, and leaves an empty map out. */
function getStringMap(metadata: unknown, key: "labels" | "annotations"): Readonly<Record<string, string>> {
  if (!isObject(metadata)) return NONE;
  const texts = metadata[key];
  return isObject(texts) ? (texts as Readonly<Record<string, string>>) : NONE;
}
