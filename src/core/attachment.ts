/**
 * Plans what a ServiceAccount's list of pull secrets has to become: ours are in it, those of others untouched.
 *
 * The list is atomic: every kind of merge, server-side apply too, replaces all of it. So it is read and changed by a JSON
 * patch that fails where somebody else was faster.
 */
import jsonpatch, { type Operation } from "fast-json-patch";
import { getString } from "./kubernetes.ts";
import { ATTACHED_ANNOTATION } from "./labels.ts";

/** A ServiceAccount, as far as attachment goes. */
export interface ServiceAccount {
  readonly resourceVersion: string;
  /** The list `imagePullSecrets` as it stands; undefined if there is none. Entries may lack a name. */
  readonly imagePullSecrets: readonly unknown[] | undefined;
  /** The list `secrets` as it stands, which attachment leaves alone; undefined if there is none. */
  readonly secrets?: readonly unknown[] | undefined;
  /** All annotations; undefined if there are none. */
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/*
 * The annotation records which names are in the list by our hand. For each name:
 *
 * in the list | recorded | wanted | the list        | the record
 * no          | no       | no     |                 |
 * no          | no       | yes    | add it          | add it
 * no          | yes      | no     |                 | take it out
 * no          | yes      | yes    | add it again    |
 * yes         | no       | no     |                 |
 * yes         | no       | yes    |                 |              somebody else's, who may keep it when we leave
 * yes         | yes      | no     | take one off    | take it out  a second one is somebody else's
 * yes         | yes      | yes    |                 |
 */

/** The operations that give an account the pull secrets wanted, and no others of ours; none if it is right already. */
export function planAttachment(account: ServiceAccount, wanted: readonly string[]): readonly Operation[] {
  const present = (account.imagePullSecrets ?? []).map((entry) => getString(entry, "name"));
  const recorded = namesIn(getString(account.annotations, ATTACHED_ANNOTATION));
  const missing = [...new Set(wanted)].filter((name) => !present.includes(name));
  // The first of each name. A tenant may write both lists, tens of thousands of names into each.
  const firstIndex = new Map(present.map((name, index) => [name, index] as const).toReversed());
  const surplus = recorded
    .filter((name) => !wanted.includes(name))
    .flatMap((name) => firstIndex.get(name) ?? []);
  const kept = recorded.filter((name) => wanted.includes(name));
  const changes = [
    ...changeList(account.imagePullSecrets, surplus, missing),
    ...changeRecord(account.annotations, [...new Set([...kept, ...missing])]),
  ];
  if (changes.length === 0) return [];
  return [{ op: "test", path: "/metadata/resourceVersion", value: account.resourceVersion }, ...changes];
}

const LIST = "/imagePullSecrets";

/*
 * An operation whose parent is not there fails, and an index counts what the operations before have left:
 *
 * the list                       | operations
 * nothing to change              | none
 * not there                      | add the list
 * nothing would be left in it    | remove the list: the API server knows no difference between an empty one and none
 * anything else                  | remove from the highest index down, then add at the end
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
 * annotations | ours       | names | operations
 * none        |            | none  | none
 * none        |            | some  | add the annotations
 * some        | not there  | none  | none
 * some        | there      | none  | remove ours
 * some        | same names | some  | none
 * some        | any other  | some  | add ours, which replaces it
 */
function changeRecord(
  annotations: ServiceAccount["annotations"],
  names: readonly string[],
): readonly Operation[] {
  const text = names.join(",");
  if (annotations === undefined) {
    if (names.length === 0) return [];
    return [{ op: "add", path: "/metadata/annotations", value: { [ATTACHED_ANNOTATION]: text } }];
  }
  const path = `/metadata/annotations/${jsonpatch.escapePathComponent(ATTACHED_ANNOTATION)}`;
  const before = getString(annotations, ATTACHED_ANNOTATION);
  if (names.length === 0) return before === undefined ? [] : [{ op: "remove", path }];
  return namesIn(before).join(",") === text ? [] : [{ op: "add", path, value: text }];
}

function namesIn(annotation: string | undefined): readonly string[] {
  const names = (annotation ?? "").split(",").map((name) => name.trim());
  return [...new Set(names)].filter((name) => name !== "");
}
