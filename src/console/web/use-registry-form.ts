/** The state of the form of a registry: what is typed, what is wrong with it, what others did meanwhile, and what a save has come to. */
import { useState } from "preact/hooks";
import type {
  Draft,
  DraftCheck,
  Failure,
  Problem,
  RegistryList,
  RegistryObject,
  RegistryRow,
  SaveAnswer,
} from "../api.ts";
import { ask, checkDraft, failureOf } from "./client.ts";
import {
  credentialsOf,
  EMPTY_FIELDS,
  fieldsOf,
  nameOf,
  specOf,
  type Fields,
  type TextField,
} from "./draft.ts";
import type { FieldProps } from "./field.tsx";
import { fieldOf, firstField, inWordsOfForm, missingParts, type FieldId } from "./form-problems.ts";
import { useAction, useDraftCheck } from "./live.ts";

/** From pressing a button of a mouse to its release, at the most. */
const CLICK_MS = 250;

export interface RegistryFormState {
  readonly fields: Fields;
  readonly change: (part: Partial<Fields>) => void;
  /** What its field takes. */
  readonly text: (id: TextField) => Pick<FieldProps, "id" | "value" | "problem" | "onInput" | "onBlur">;
  /** Empty if it is right, or nobody has left the field yet. */
  readonly problemOf: (id: FieldId) => string;
  /** An image that is tried against the address. */
  readonly image: string;
  readonly setImage: (image: string) => void;
  readonly check: DraftCheck | undefined;
  /** The object as it was when the form was opened, or was last brought up to date; undefined for a new one. */
  readonly base: RegistryObject | undefined;
  /** What somebody else has made of it meanwhile. */
  readonly newer: RegistryObject | undefined;
  /** Somebody else has deleted it. */
  readonly isGone: boolean;
  readonly takeNewer: (keepsFields: boolean) => void;
  readonly save: () => void;
  readonly isBusy: boolean;
  readonly failure: Failure | undefined;
  readonly saved: SaveAnswer | undefined;
}

export function useRegistryForm(
  row: RegistryRow | undefined,
  list: RegistryList | undefined,
  onSaved: () => void,
): RegistryFormState {
  const [base, setBase] = useState(row?.object ?? undefined);
  const [fields, setFields] = useState<Fields>(row === undefined ? EMPTY_FIELDS : fieldsOf(row));
  const [image, setImage] = useState("");
  const [saved, setSaved] = useState<SaveAnswer>();

  const draft = { name: nameOf(fields), uid: base?.uid ?? "", spec: specOf(fields, base?.spec) };
  const check = useDraftCheck(draft, image);
  const change = (part: Partial<Fields>): void => {
    setFields((before) => ({ ...before, ...part }));
  };
  const [problemOf, leave, refuse] = useProblems(fields, check);
  const [save, isBusy, failure] = useAction(async () => {
    const outcome = await write(draft, fields, base);
    if ("all" in outcome) {
      refuse(outcome);
      return;
    }
    // What was typed is not kept for longer than it is needed.
    setFields(EMPTY_FIELDS);
    setSaved(outcome);
    onSaved();
  });

  const stored = list?.rows.find((each) => each.name === row?.name && each.object !== null)?.object;
  const isOther = base !== undefined && stored?.generation !== base.generation;
  const newer = isOther ? (stored ?? undefined) : undefined;
  return {
    ...{ fields, image, setImage, check, base, newer, save, isBusy, failure, saved },
    ...{ change, problemOf },
    text: (id) => ({
      id,
      value: fields[id],
      problem: problemOf(id),
      onInput(value) {
        change({ [id]: value });
      },
      // Whoever leaves a field by a click would miss what they clicked on if it moved away under the pointer.
      onBlur() {
        setTimeout(leave, CLICK_MS, id);
      },
    }),
    isGone: base !== undefined && list?.unread.length === 0 && stored?.uid !== base.uid,
    takeNewer(keepsFields) {
      setBase(newer);
      if (keepsFields || row === undefined || newer === undefined) return;
      const { username, password, token, config } = fields;
      setFields({ ...fieldsOf({ ...row, object: newer }), username, password, token, config });
    },
  };
}

interface Refusal {
  /** Those that the server does not find by itself. */
  readonly ours: readonly Problem[];
  readonly all: readonly Problem[];
}

/** What is wrong with the fields, as far as somebody has left them. */
function useProblems(fields: Fields, check: DraftCheck | undefined) {
  /** Fields whose problems are shown; `*` for all. */
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [refused, setRefused] = useState<{
    readonly fields: Fields;
    readonly problems: readonly Problem[];
  }>();
  // What the server refused holds until the form is another one.
  const problems = [...(refused?.fields === fields ? refused.problems : []), ...(check?.problems ?? [])].map(
    (problem) => inWordsOfForm(problem, fields),
  );
  const problemOf = (id: FieldId): string =>
    left.has(id) || left.has("*") ? (problems.find((problem) => fieldOf(problem) === id)?.message ?? "") : "";
  const leave = (id: TextField | "*"): void => {
    setLeft((before) => new Set([...before, id]));
  };
  const refuse = ({ ours, all }: Refusal): void => {
    setRefused({ fields, problems: ours });
    leave("*");
    focusOn(firstField(all.map((problem) => inWordsOfForm(problem, fields))));
  };
  return [problemOf, leave, refuse] as const;
}

/** @throws RequestFailed */
async function write(
  draft: Draft,
  fields: Fields,
  base: RegistryObject | undefined,
): Promise<SaveAnswer | Refusal> {
  try {
    const now = await checkDraft(draft);
    const missing = missingParts(fields, base !== undefined, base?.spec.auth?.type);
    if (now.problems.length + missing.length > 0)
      return { ours: missing, all: [...now.problems, ...missing] };
    const request = { draft, generation: base?.generation ?? 0, credentials: credentialsOf(fields) };
    return base === undefined
      ? await ask<SaveAnswer>("POST", "/api/registries", request)
      : await ask<SaveAnswer>("PUT", `/api/registries/${draft.name}`, request);
  } catch (error) {
    const { problems } = failureOf(error);
    if (problems === undefined) throw error;
    return { ours: problems, all: problems };
  }
}

/** Unfolds what the field is in. */
function focusOn(id: FieldId | undefined): void {
  requestAnimationFrame(() => {
    const element = document.getElementById(id ?? "");
    const folded = element?.closest("details");
    if (folded != null) folded.open = true;
    element?.focus();
  });
}
