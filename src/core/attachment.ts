/**
 * Plans the changes to a ServiceAccount's list of pull secrets: it gets ours, and the entries of others stay.
 *
 * The list is atomic: every kind of merge replaces all of it, including server-side apply. Pullpass therefore reads it and
 * changes it with a JSON patch that fails if somebody else changed it first.
 */
import jsonpatch, { type Operation } from "fast-json-patch";
import { getString } from "./kubernetes.ts";
import { ATTACHED_ANNOTATION } from "./labels.ts";

/** A ServiceAccount, as far as attachment needs it. */
export interface ServiceAccount {
  readonly resourceVersion: string;
  /** The list `imagePullSecrets`; undefined if there is none. Entries may lack a name. */
  readonly imagePullSecrets: readonly unknown[] | undefined;
  /** The list `secrets`, which attachment does not change; undefined if there is none. */
  readonly secrets?: readonly unknown[] | undefined;
  /** All annotations; undefined if there are none. */
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/*
 * The annotation records the names that Pullpass added to the list. For each name:
 *
 * in the list | recorded | desired | the list     | the record
 * no          | no       | no      |              |
 * no          | no       | yes     | add it       | add it
 * no          | yes      | no      |              | remove it
 * no          | yes      | yes     | add it again |
 * yes         | no       | no      |              |
 * yes         | no       | yes     |              |             added by somebody else, and stays when Pullpass detaches
 * yes         | yes      | no      | remove one   | remove it   a second one was added by somebody else
 * yes         | yes      | yes     |              |
 */

/** The operations that give an account the desired pull secrets and no others of ours; empty if nothing changes. */
export function planAttachment(account: ServiceAccount, desired: readonly string[]): readonly Operation[] {
  const present = (account.imagePullSecrets ?? []).map((entry) => getString(entry, "name"));
  const recorded = namesIn(getString(account.annotations, ATTACHED_ANNOTATION));
  const missing = [...new Set(desired)].filter((name) => !present.includes(name));
  // The first index of each name. A Map, because a tenant may write tens of thousands of names into both lists.
  const firstIndex = new Map(present.map((name, index) => [name, index] as const).toReversed());
  const surplus = recorded
    .filter((name) => !desired.includes(name))
    .flatMap((name) => firstIndex.get(name) ?? []);
  const retained = recorded.filter((name) => desired.includes(name));
  const changes = [
    ...changeList(account.imagePullSecrets, surplus, missing),
    ...changeRecord(account.annotations, [...new Set([...retained, ...missing])]),
  ];
  if (changes.length === 0) return [];
  return [{ op: "test", path: "/metadata/resourceVersion", value: account.resourceVersion }, ...changes];
}

const LIST = "/imagePullSecrets";

/*
 * An operation fails if its parent does not exist, and its index refers to the list after the operations before it:
 *
 * the list            | operations
 * nothing to change   | none
 * does not exist      | add the list
 * would become empty  | remove the list: for the API server, an empty list and none are the same
 * anything else       | remove from the highest index down, then append
 */
function changeList(
  list: readonly unknown[] | undefined,
  surplus: readonly number[],
  missing: readonly string[],
): readonly Operation[] {
  const entries = missing.map((name) => ({ name }));
  if (list === undefined) return entries.length === 0 ? [] : [{ op: "add", path: LIST, value: entries }];
  if (surplus.length > 0 && surplus.length === list.length && entries.length === 0) {
    return [{ op: "remove", path: LIST }];
  }
  const fromLast = surplus.toSorted((a, b) => b - a);
  return [
    ...fromLast.map((index) => ({ op: "remove", path: `${LIST}/${String(index)}` }) as const),
    ...entries.map((value) => ({ op: "add", path: `${LIST}/-`, value }) as const),
  ];
}

/*
 * annotations | ours            | names | operations
 * none        |                 | none  | none
 * none        |                 | some  | add the annotations
 * some        | none            | none  | none
 * some        | any             | none  | remove ours
 * some        | same names      | some  | none
 * some        | different names | some  | add ours, which replaces it
 */
function changeRecord(
  annotations: ServiceAccount["annotations"],
  names: readonly string[],
): readonly Operation[] {
  const value = names.join(",");
  if (annotations === undefined) {
    if (names.length === 0) return [];
    return [{ op: "add", path: "/metadata/annotations", value: { [ATTACHED_ANNOTATION]: value } }];
  }
  const path = `/metadata/annotations/${jsonpatch.escapePathComponent(ATTACHED_ANNOTATION)}`;
  const before = getString(annotations, ATTACHED_ANNOTATION);
  if (names.length === 0) return before === undefined ? [] : [{ op: "remove", path }];
  return namesIn(before).join(",") === value ? [] : [{ op: "add", path, value }];
}

function namesIn(annotation: string | undefined): readonly string[] {
  const names = (annotation ?? "").split(",").map((name) => name.trim());
  return [...new Set(names)].filter((name) => name !== "");
}
