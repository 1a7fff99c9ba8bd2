/** Which namespaces may have the credentials, by their labels, with those that match now. */
import type { VNode } from "preact";
import type { DraftCheck } from "../api.ts";
import type { Fields, Requirement } from "./draft.ts";
import { Check } from "./field.tsx";
import { Button, namesOf, plural, withValue } from "./parts.tsx";
import type { RegistryFormState } from "./use-registry-form.ts";

const OPERATORS = [
  ["In", "is"],
  ["NotIn", "is not"],
  ["Exists", "is set"],
  ["DoesNotExist", "is not set"],
] as const;

const NEW_LABEL: Requirement = { key: "", operator: "In", values: "" };

export function namespacesWords({ isForAll }: Fields, check: DraftCheck | undefined): string {
  if (check?.namespaces == null) return isForAll ? "all that opted in" : "by their labels";
  const { optedIn, matching } = check.namespaces;
  return isForAll
    ? `all that opted in (${optedIn.toString()})`
    : `${matching.toString()} of ${optedIn.toString()} that opted in, by their labels`;
}

export function NamespacePicker({ form }: { readonly form: RegistryFormState }): VNode {
  const { fields, check, change } = form;
  const { isForAll, requirements } = fields;
  return (
    <div class="stack">
      <Check
        type="radio"
        name="namespaces"
        checked={isForAll}
        onChange={() => {
          change({ isForAll: true });
        }}
      >
        All that opted in
      </Check>
      <Check
        type="radio"
        name="namespaces"
        checked={!isForAll}
        onChange={() => {
          change({ isForAll: false, requirements: requirements.length === 0 ? [NEW_LABEL] : requirements });
        }}
      >
        Those of them with these labels
      </Check>
      {!isForAll && <Labels requirements={requirements} onChange={change} />}
      {check !== undefined && (
        <p class="quiet" aria-live="polite">
          {describe(check)}
        </p>
      )}
    </div>
  );
}

function Labels(props: {
  readonly requirements: readonly Requirement[];
  readonly onChange: (change: Partial<Fields>) => void;
}): VNode {
  const { requirements, onChange } = props;
  return (
    <>
      {requirements.map((requirement, index) => (
        <Label
          key={index}
          number={(index + 1).toString()}
          requirement={requirement}
          onChange={(part) => {
            onChange({ requirements: requirements.with(index, { ...requirement, ...part }) });
          }}
          onRemove={() => {
            onChange({ requirements: requirements.toSpliced(index, 1) });
            focusOnLast("[data-add-label]");
          }}
        />
      ))}
      <Button
        class="small"
        data-add-label
        onClick={() => {
          onChange({ requirements: [...requirements, NEW_LABEL] });
          focusOnLast("input[data-label]");
        }}
      >
        Add a label
      </Button>
    </>
  );
}

function Label(props: {
  readonly number: string;
  readonly requirement: Requirement;
  readonly onChange: (part: Partial<Requirement>) => void;
  readonly onRemove: () => void;
}): VNode {
  const { number, requirement, onChange, onRemove } = props;
  const { key, operator, values } = requirement;
  return (
    <div class="requirement">
      <input
        data-label
        aria-label={`Label ${number}`}
        placeholder="team"
        spellcheck={false}
        value={key}
        onInput={withValue((text) => {
          onChange({ key: text });
        })}
      />
      <select
        aria-label={`Comparison ${number}`}
        value={operator}
        onChange={withValue((chosen) => {
          onChange({ operator: chosen });
        })}
      >
        {OPERATORS.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
      {operator.endsWith("In") && (
        <input
          aria-label={`Value ${number}`}
          placeholder="a, b"
          spellcheck={false}
          value={values}
          onInput={withValue((text) => {
            onChange({ values: text });
          })}
        />
      )}
      <Button class="small" aria-label={`Remove label ${number}`} onClick={onRemove}>
        Remove
      </Button>
    </div>
  );
}

/** After what is on the page then. */
function focusOnLast(selector: string): void {
  requestAnimationFrame(() => {
    [...document.querySelectorAll<HTMLElement>(selector)].at(-1)?.focus();
  });
}

function describe({ namespaces, unread }: DraftCheck): string {
  if (namespaces === null) return `Which ones they are now is not known: ${unread}`;
  const { matching, optedIn, examples } = namespaces;
  if (optedIn === 0) return "No namespace has opted in yet.";
  if (matching === 0) return `None of the ${plural(optedIn, "namespace")} that opted in.`;
  return `Now: ${namesOf(examples, matching)}.`;
}
