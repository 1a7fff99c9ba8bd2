/** The Secret in which Pullpass keeps what credential providers handed out. */
import { PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { ANSWERS_SECRET_NAME } from "../../core/credential-provider.ts";
import { getString, type JsonObject } from "../../core/kubernetes.ts";
import { GITOPS_ANNOTATIONS, MANAGER, PROVIDER_ANSWERS_LABEL } from "../../core/labels.ts";
import type { ApisFor } from "../api.ts";
import { isConflict, isNotFound, KubeNotSentError } from "../errors.ts";
import { readMetadata, type ApiObject } from "./metadata.ts";

const KEY = "answers.json";

export interface AnswersSecret {
  /** Pullpass created it. Any other Secret of that name is left alone. */
  readonly isOurs: boolean;
  /** `metadata.resourceVersion` as a number: a greater one is newer. */
  readonly version: number;
  readonly resourceVersion: string;
  readonly text: string;
}

export function readAnswersSecret(secret: ApiObject & { readonly data?: unknown }): AnswersSecret {
  const { labels, version, resourceVersion } = readMetadata(secret);
  return {
    isOurs: labels[PROVIDER_ANSWERS_LABEL] === "true",
    ...{ version, resourceVersion },
    text: Buffer.from(getString(secret.data, KEY) ?? "", "base64").toString("utf8"),
  };
}

/**
 * Creates the Secret, or replaces the text of `over`.
 *
 * @returns the Secret after the write, or undefined if somebody else changed, created or removed it first, or this replica does not
 *   lead any more.
 */
export async function writeAnswersSecret(
  apisFor: ApisFor,
  namespace: string,
  text: string,
  over: AnswersSecret | undefined,
): Promise<AnswersSecret | undefined> {
  const { core } = apisFor("high");
  const name = ANSWERS_SECRET_NAME;
  const body: JsonObject = {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    metadata: {
      name,
      ...(over && { resourceVersion: over.resourceVersion }),
      labels: { [PROVIDER_ANSWERS_LABEL]: "true" },
      annotations: GITOPS_ANNOTATIONS,
    },
    data: { [KEY]: Buffer.from(text).toString("base64") },
  };
  try {
    const stored =
      over === undefined
        ? await core.createNamespacedSecret({ namespace, body, fieldManager: MANAGER })
        : await core.patchNamespacedSecret(
            { namespace, name, body, fieldManager: MANAGER },
            setHeaderOptions("Content-Type", PatchStrategy.MergePatch),
          );
    return readAnswersSecret(stored);
  } catch (error) {
    if (error instanceof KubeNotSentError || isConflict(error)) return undefined;
    if (over !== undefined && isNotFound(error)) return undefined;
    throw error;
  }
}
