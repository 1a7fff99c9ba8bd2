/** What a person changes by the console, with that person's rights: ClusterRegistries, the Secrets that they refer to, and opt-ins. */
import { PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import type { AddOperation, TestOperation } from "fast-json-patch";
import { isObject, type JsonObject } from "../../core/kubernetes.ts";
import { CHECK_IMAGE_ANNOTATION, CHECK_REQUESTED_ANNOTATION, INJECT_LABEL } from "../../core/labels.ts";
import type { ApisFor } from "../api.ts";
import { unlessMissing } from "../errors.ts";
import { metadataAccept } from "../list.ts";
import type { ApiObject } from "./metadata.ts";

/** What the API server notes beside the fields that the console writes. */
const FIELD_MANAGER = "pullpass-console";

export interface RegistryApi {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

export interface Offer {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly data: Readonly<Record<string, string>>;
}

export interface RegistryEdits {
  /** Undefined if there is none. */
  read(name: string): Promise<JsonObject | undefined>;
  create(object: JsonObject, isTrial: boolean): Promise<void>;
  /**
   * Replaces the spec, unless it is not that generation of that object. Its state may have changed meanwhile, which a resourceVersion
   * would take for a conflict.
   *
   * @throws KubeApiError 422 for another generation or object, and for a spec that the CRD refuses
   */
  replaceSpec(of: RegistryVersion, spec: unknown, isTrial: boolean): Promise<void>;
  remove(name: string, uid: string): Promise<void>;
  /** Without an image, that of an earlier request goes. */
  requestLogin(name: string, at: string, image: string): Promise<void>;
  /** @throws KubeApiError 409 if there is one of that name, whoever keeps it */
  createOffer(secret: Offer): Promise<void>;
  /** By server-side apply, which asks for no right to read. What it held before is gone. */
  applyOffer(secret: Offer): Promise<void>;
  removeOffer(namespace: string, name: string): Promise<void>;
  setOptIn(namespace: string, isOptedIn: boolean): Promise<void>;
}

export interface RegistryVersion {
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
}

const jsonPatch = setHeaderOptions("Content-Type", PatchStrategy.JsonPatch);
const mergePatch = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
/** Answers with the metadata alone: the credentials do not come back. */
const METADATA = setHeaderOptions("Accept", metadataAccept("PartialObjectMetadata"));
const METADATA_OF_APPLIED = setHeaderOptions("Content-Type", PatchStrategy.ServerSideApply, METADATA);

export function createRegistryEdits(apisFor: ApisFor, api: RegistryApi): RegistryEdits {
  const { core, customObjects } = apisFor("high");
  const strict = { fieldManager: FIELD_MANAGER, fieldValidation: "Strict" } as const;
  const trial = (isTrial: boolean): { readonly dryRun?: string } => (isTrial ? { dryRun: "All" } : {});
  return {
    async read(name) {
      const object: unknown = await unlessMissing(customObjects.getClusterCustomObject({ ...api, name }));
      return isObject(object) ? object : undefined;
    },
    async create(body, isTrial) {
      await customObjects.createClusterCustomObject({ ...api, ...strict, body, ...trial(isTrial) });
    },
    async replaceSpec({ name, uid, generation }, spec, isTrial) {
      const body: readonly (TestOperation<unknown> | AddOperation<unknown>)[] = [
        { op: "test", path: "/metadata/uid", value: uid },
        { op: "test", path: "/metadata/generation", value: generation },
        { op: "add", path: "/spec", value: spec },
      ];
      const request = { ...api, ...strict, name, body, ...trial(isTrial) };
      await customObjects.patchClusterCustomObject(request, jsonPatch);
    },
    async remove(name, uid) {
      await customObjects.deleteClusterCustomObject({ ...api, name, body: { preconditions: { uid } } });
    },
    async requestLogin(name, at, image) {
      const annotations = {
        [CHECK_REQUESTED_ANNOTATION]: at,
        [CHECK_IMAGE_ANNOTATION]: image === "" ? null : image,
      };
      const body = { metadata: { annotations } };
      await customObjects.patchClusterCustomObject(
        { ...api, name, body, fieldManager: FIELD_MANAGER },
        mergePatch,
      );
    },
    async createOffer(body) {
      const { namespace } = body.metadata;
      await core.createNamespacedSecret({ namespace, body, ...strict }, METADATA);
    },
    async applyOffer(body) {
      const { namespace, name } = body.metadata;
      await core.patchNamespacedSecret(
        { namespace, name, body, force: true, ...strict },
        METADATA_OF_APPLIED,
      );
    },
    async removeOffer(namespace, name) {
      await unlessMissing(core.deleteNamespacedSecret({ namespace, name }, METADATA));
    },
    async setOptIn(name, isOptedIn) {
      const body = { metadata: { labels: { [INJECT_LABEL]: isOptedIn ? "enabled" : null } } };
      await core.patchNamespace({ name, body, fieldManager: FIELD_MANAGER }, mergePatch);
    },
  };
}

/** The metadata of a Secret, which says whose it is; what is in it is not asked for. Undefined if there is none. */
export async function readSecretMetadata(
  apisFor: ApisFor,
  namespace: string,
  name: string,
): Promise<ApiObject | undefined> {
  return unlessMissing(apisFor("low").core.readNamespacedSecret({ namespace, name }, METADATA));
}
