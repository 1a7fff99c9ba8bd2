/** ClusterRegistries: what is kept of each, and of the Secrets that they may refer to; and how their status is written. */
import { PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import type { AddOperation, TestOperation } from "fast-json-patch";
import { asArray, getString, isObject, type JsonObject } from "../../core/kubernetes.ts";
import {
  CHECK_IMAGE_ANNOTATION,
  CHECK_REQUESTED_ANNOTATION,
  MANAGER,
  type Labels,
} from "../../core/labels.ts";
import type { CheckRequest, RegistryStatus } from "../../core/registry-status.ts";
import type { SourceSecret } from "../../core/source-secret.ts";
import type { Versioned } from "../../core/store.ts";
import type { ApisFor } from "../api.ts";
import { isConflict, isNotFound, hasStatus, KubeNotSentError } from "../errors.ts";
import { readMetadata } from "./metadata.ts";

/** A ClusterRegistry, whose spec and status nobody has checked yet. */
export interface ClusterRegistry extends Versioned {
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  /** As the API server writes times, in RFC 3339. */
  readonly createdAt: string;
  readonly spec: unknown;
  readonly status: unknown;
  /** Undefined if nobody asked for a login. */
  readonly check: CheckRequest | UnusableCheck | undefined;
}

export interface UnusableCheck {
  /** What is wrong with the annotations, as a sentence. */
  readonly fault: string;
}

export function readClusterRegistry(object: JsonObject): ClusterRegistry {
  const { metadata, spec, status } = object;
  const { name, uid, version, annotations } = readMetadata(object);
  const generation = isObject(metadata) ? metadata["generation"] : undefined;
  return {
    ...{ name, uid, version, spec, status },
    generation: typeof generation === "number" ? generation : 0,
    createdAt: getString(metadata, "creationTimestamp") ?? "",
    check: readCheck(annotations),
  };
}

/** https://www.rfc-editor.org/rfc/rfc3339#section-5.6 */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i;
/** The longest reference that can be pulled has a host of 260 characters, a path of 255, a tag of 128 and a digest of 135. */
const MAX_IMAGE_LENGTH = 1024;

export function readCheck(annotations: Labels): ClusterRegistry["check"] {
  const requestedAt = getString(annotations, CHECK_REQUESTED_ANNOTATION);
  const image = getString(annotations, CHECK_IMAGE_ANNOTATION);
  if (requestedAt === undefined) return undefined;
  if (!TIME.test(requestedAt) || Number.isNaN(Date.parse(requestedAt)))
    return { fault: `${CHECK_REQUESTED_ANNOTATION} is not a time in RFC 3339` };
  if ((image?.length ?? 0) > MAX_IMAGE_LENGTH)
    return { fault: `${CHECK_IMAGE_ANNOTATION} has more than ${MAX_IMAGE_LENGTH.toString()} characters` };
  return { requestedAt, image };
}

/** The keys of a Secret that a registry's credentials can be in. */
const CREDENTIAL_KEYS = ["username", "password", "token", ".dockerconfigjson", "config.json"];
/** In base64, each. A `config.json` with a hundred registries is a tenth of it. */
const MAX_VALUE_LENGTH = 256 * 1024;

export interface OfferedSecret extends Versioned, SourceSecret {
  /** In RFC 3339. */
  readonly changedAt: string | undefined;
}

/** Keeps nothing but what can be credentials, so that a large Secret costs little. */
export function readOfferedSecret(secret: JsonObject): OfferedSecret {
  const { type, data, metadata } = secret;
  const values = CREDENTIAL_KEYS.flatMap((key) => {
    const value = getString(data, key);
    return value === undefined || value.length > MAX_VALUE_LENGTH ? [] : [[key, value] as const];
  });
  const { version } = readMetadata(secret);
  return { version, type, data: Object.fromEntries(values), changedAt: lastChangeOf(metadata) };
}

/** The API server notes when each manager of fields last changed one. */
function lastChangeOf(metadata: unknown): string | undefined {
  const managed = asArray(isObject(metadata) ? metadata["managedFields"] : undefined);
  const times = managed.flatMap((record) => getString(record, "time") ?? []);
  return times.toSorted().at(-1) ?? getString(metadata, "creationTimestamp");
}

export type StatusOutcome =
  | { readonly kind: "written"; readonly object: ClusterRegistry }
  /** There is no such object any more. */
  | { readonly kind: "gone" | "not-leading" };

/** Replaces the status of the object with that uid. There are few such writes, and those of low priority wait for all copies of a fill. */
export async function writeRegistryStatus(
  apisFor: ApisFor,
  api: { readonly group: string; readonly version: string; readonly plural: string },
  { name, uid }: Pick<ClusterRegistry, "name" | "uid">,
  status: RegistryStatus,
): Promise<StatusOutcome> {
  const body: readonly [TestOperation<string>, AddOperation<RegistryStatus>] = [
    { op: "test", path: "/metadata/uid", value: uid },
    { op: "add", path: "/status", value: status },
  ];
  try {
    const object: unknown = await apisFor("high").customObjects.patchClusterCustomObjectStatus(
      { ...api, name, body, fieldManager: MANAGER },
      setHeaderOptions("Content-Type", PatchStrategy.JsonPatch),
    );
    return isObject(object) ? { kind: "written", object: readClusterRegistry(object) } : { kind: "gone" };
  } catch (error) {
    if (error instanceof KubeNotSentError) return { kind: "not-leading" };
    // 422: the test failed, because it is another object of that name.
    if (isNotFound(error) || isConflict(error) || hasStatus(error, 422)) return { kind: "gone" };
    throw error;
  }
}
