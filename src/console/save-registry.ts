/** Creates, changes and deletes registries with their credentials, which are written and never read. */
import { randomInt } from "node:crypto";
import { REGISTRY_API_VERSION, REGISTRY_KIND } from "../config/registry-crd.ts";
import { getString, isObject, type JsonObject } from "../core/kubernetes.ts";
import { causesOf, hasStatus, isConflict, type KubeApiError } from "../kube/errors.ts";
import type { RegistryEdits } from "../kube/resources/registry-edits.ts";
import type { Problem, SaveAnswer, SaveRequest } from "./api.ts";
import { credentialsSecret, readTypedCredentials } from "./credentials.ts";
import { checkDraft, type DraftContext } from "./drafts.ts";
import { ConsoleError } from "./errors.ts";

/*
 * What is written, in this order, once the API server has said by a dry run that it would take the registry:
 *
 * registry | credentials | type of auth | name of the Secret | the Secret                    | the registry
 * new      | typed       |              |                    | created                       | created
 * new      | none        |              |                    |                               | created
 * exists   | typed       | as before    | as before          | replaced                      | its spec replaced, if it is still that of the form
 * exists   | typed       | as before    | another            | created                       | the same, and refers to it
 * exists   | typed       | another      |                    | created, by a name of its own | the same, and refers to it
 * exists   | none        | as before    |                    |                               | the same
 * exists   | none        | another      |                    | refused: the old ones do not fit
 *
 * A Secret of another type cannot be changed in place: its type is fixed. The old one stays, since it may serve others. Nor is a Secret
 * replaced that the registry did not refer to: it may be anybody's, and the label would offer it to registries.
 */
export async function saveRegistry(
  { draft, generation, credentials }: SaveRequest,
  context: DraftContext & { readonly edits: RegistryEdits },
): Promise<SaveAnswer> {
  const { view, namespace, edits } = context;
  const { name, uid } = draft;
  const isNew = uid === "";
  const { auth } = draft.spec;
  const problems: Problem[] = [...checkDraft(draft, "", context).problems];
  const stored = isNew ? undefined : view.registries.get("", name)?.object;
  const isOtherType = stored !== undefined && authTypeOf(stored) !== auth?.type;
  if (credentials !== null && auth?.type !== credentials.type)
    throw new ConsoleError(400, "bad-request", "the credentials are of another type than auth.type");
  if (credentials !== null) {
    const typed = readTypedCredentials(credentials, draft.spec.address, auth?.username);
    if (typed.kind === "unusable" && typed.problem.field !== "spec.address") problems.push(typed.problem);
  } else if (isOtherType && auth?.secretRef !== undefined) {
    problems.push({ field: "credentials", message: "are needed, because the auth type changed" });
  }
  if (problems.length > 0) throw new ConsoleError(422, "invalid", "some fields are not right", problems);

  const referred = auth?.secretRef?.name ?? "";
  const isOtherName = stored === undefined || referred !== secretOf(stored);
  const isFresh = isOtherName || isOtherType;
  const secretName =
    isOtherType && !isOtherName ? `${referred}-${randomInt(36 ** 4).toString(36)}` : referred;
  const spec =
    auth?.secretRef === undefined
      ? draft.spec
      : { ...draft.spec, auth: { ...auth, secretRef: { name: secretName } } };
  const object = { apiVersion: REGISTRY_API_VERSION, kind: REGISTRY_KIND, metadata: { name }, spec };
  const write = (isTrial: boolean): Promise<void> =>
    explainRefusal(edits, { name, uid, generation }, () =>
      isNew ? edits.create(object, isTrial) : edits.replaceSpec({ name, uid, generation }, spec, isTrial),
    );

  const steps: string[] = [];
  await write(true);
  if (credentials !== null) {
    const secret = credentialsSecret(credentials, { name: secretName, namespace }, isFresh);
    if (isFresh) await createOffer(edits, secret);
    else await edits.applyOffer(secret);
    steps.push(`Secret ${namespace}/${secretName} written`);
  }
  await write(false);
  steps.push(isNew ? `Registry ${name} created` : `Registry ${name} changed`);
  return { name, steps };
}

function authTypeOf({ spec }: JsonObject): string | undefined {
  return getString(isObject(spec) ? spec["auth"] : undefined, "type");
}

/** The Secret that a stored registry refers to; empty if none. */
export function secretOf({ spec }: JsonObject): string {
  const auth = isObject(spec) ? spec["auth"] : undefined;
  return getString(isObject(auth) ? auth["secretRef"] : undefined, "name") ?? "";
}

async function createOffer(
  edits: RegistryEdits,
  secret: Parameters<RegistryEdits["createOffer"]>[0],
): Promise<void> {
  try {
    await edits.createOffer(secret);
  } catch (error) {
    if (!isConflict(error)) throw error;
    const { name, namespace } = secret.metadata;
    const message = `there is a Secret ${namespace}/${name} already: choose another name, or type no credentials to use it as it is`;
    throw new ConsoleError(422, "invalid", message, [{ field: "spec.auth.secretRef.name", message }]);
  }
}

/*
 * The API server's answer | what is stored now              | the message
 * 409                     | (new) one of that name          | the name is taken
 * 404                     |                                 | it was deleted meanwhile
 * 422                     | another object or generation    | somebody else changed it
 * 422                     | the same                        | the fields that the CRD refuses
 */
async function explainRefusal(
  edits: RegistryEdits,
  { name, uid, generation }: { readonly name: string; readonly uid: string; readonly generation: number },
  write: () => Promise<void>,
): Promise<void> {
  try {
    await write();
  } catch (error) {
    if (isConflict(error) && uid === "") {
      const message = "there is a registry of that name already";
      throw new ConsoleError(409, "conflict", message, [{ field: "metadata.name", message }]);
    }
    if (!hasStatus(error, 422) && !hasStatus(error, 404)) throw error;
    const current = uid === "" ? undefined : await edits.read(name);
    const metadata = isObject(current?.["metadata"]) ? current["metadata"] : {};
    if (uid !== "" && current === undefined)
      throw new ConsoleError(409, "conflict", `registry ${name} was deleted meanwhile; nothing was written`);
    if (uid !== "" && (metadata["uid"] !== uid || metadata["generation"] !== generation))
      throw new ConsoleError(
        409,
        "conflict",
        `somebody else changed registry ${name} since you opened it; nothing was written`,
      );
    if (!hasStatus(error, 422)) throw error;
    throw new ConsoleError(422, "invalid", "the API server refuses some fields", crdProblems(error));
  }
}

function crdProblems(error: KubeApiError): readonly Problem[] {
  return causesOf(error).map((cause) => ({
    field: getString(cause, "field") ?? "",
    message: "is not what the ClusterRegistry in this cluster takes",
  }));
}
