/** Which namespaces may have the credentials, by their labels, with those that match now. */
import type { VNode } from "preact";
import { useRef } from "preact/hooks";
import type { DraftCheck } from "../api.ts";
import type { Fields, Requirement } from "./draft.ts";
import { Button, plural } from "./parts.tsx";

const OPERATORS = [
  ["In", "is"],
  ["NotIn", "is not"],
  ["Exists", "is set"],
  ["DoesNotExist", "is not set"],
] as const;

export function namespacesWords({ isForAll }: Fields, check: DraftCheck | undefined): string {
  if (check === undefined) return isForAll ? "all that opted in" : "by their labels";
  const { optedIn, matching } = check.namespaces;
  return isForAll
    ? `all that opted in (${optedIn.toString()})`
    : `${matching.toString()} of ${optedIn.toString()} that opted in, by their labels`;
}

export function NamespacePicker(props: {
  readonly fields: Fields;
  readonly check: DraftCheck | undefined;
  readonly onChange: (change: Partial<Fields>) => void;
}): VNode {
  const { fields, check, onChange } = props;
  const { isForAll, requirements } = fields;
  const labels = useRef<HTMLDivElement>(null);
  /** After what is on the page then. */
  const focusOn = (selector: string): void => {
    requestAnimationFrame(() => {
      const found = labels.current?.querySelectorAll<HTMLElement>(selector);
      found?.item(found.length - 1).focus();
    });
  };
  const change = (index: number, part: Partial<Requirement>): void => {
    onChange({ requirements: requirements.map((each, i) => (i === index ? { ...each, ...part } : each)) });
  };
  const add = (): void => {
    onChange({ isForAll: false, requirements: [...requirements, { key: "", operator: "In", values: "" }] });
  };
  return (
    <div class="stack" ref={labels}>
      <label class="check">
        <input
          type="radio"
          name="namespaces"
          checked={isForAll}
          onChange={() => {
            onChange({ isForAll: true });
          }}
        />
        All that opted in
      </label>
      <label class="check">
        <input
          type="radio"
          name="namespaces"
          checked={!isForAll}
          onChange={() => {
            if (requirements.length === 0) add();
            else onChange({ isForAll: false });
          }}
        />
        Those of them with these labels
      </label>
      {!isForAll &&
        requirements.map(({ key, operator, values }, index) => (
          <div class="requirement" key={index}>
            <input
              data-label
              aria-label={`Label ${(index + 1).toString()}`}
              placeholder="team"
              spellcheck={false}
              value={key}
              onInput={(event) => {
                change(index, { key: event.currentTarget.value });
              }}
            />
            <select
              aria-label={`Comparison ${(index + 1).toString()}`}
              value={operator}
              onChange={(event) => {
                change(index, { operator: event.currentTarget.value });
              }}
            >
              {OPERATORS.map(([value, words]) => (
                <option key={value} value={value}>
                  {words}
                </option>
              ))}
            </select>
            {operator.endsWith("In") && (
              <input
                aria-label={`Value ${(index + 1).toString()}`}
                placeholder="a, b"
                spellcheck={false}
                value={values}
                onInput={(event) => {
                  change(index, { values: event.currentTarget.value });
                }}
              />
            )}
            <Button
              class="small"
              aria-label={`Remove label ${(index + 1).toString()}`}
              onClick={() => {
                onChange({ requirements: requirements.filter((_, i) => i !== index) });
                focusOn("[data-add-label]");
              }}
            >
              Remove
            </Button>
          </div>
        ))}
      {!isForAll && (
        <Button
          class="small"
          data-add-label
          onClick={() => {
            add();
            focusOn("[data-label]");
          }}
        >
          Add a label
        </Button>
      )}
      {check !== undefined && (
        <p class="quiet" aria-live="polite">
          {describe(check)}
        </p>
      )}
    </div>
  );
}

function describe({ namespaces: { matching, optedIn, examples } }: DraftCheck): string {
  if (optedIn === 0) return "No namespace has opted in yet.";
  if (matching === 0) return `None of the ${plural(optedIn, "namespace")} that opted in.`;
  const more = matching > examples.length ? `, and ${(matching - examples.length).toString()} more` : "";
  return `Now: ${examples.join(", ")}${more}.`;
}
