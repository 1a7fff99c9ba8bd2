/** A field of a form: its label, its input, and what is wrong with it, right under it. */
import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import { Button, focus, withValue } from "./parts.tsx";

export interface FieldProps {
  readonly id: string;
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly onBlur?: () => void;
  /** Empty if it is right, or nobody has left it yet. */
  readonly problem?: string;
  readonly hint?: ComponentChildren;
  readonly placeholder?: string;
  readonly isSecret?: boolean;
  readonly isLong?: boolean;
  /** What the browser offers while one types. */
  readonly suggestions?: readonly string[];
  readonly autofocus?: boolean;
  readonly children?: ComponentChildren;
}

export function Field(props: FieldProps): VNode {
  const { id, label, problem = "", hint } = props;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <Control {...props} />
      {problem !== "" && (
        <p class="fault" id={`${id}-problem`}>
          {problem}
        </p>
      )}
      {hint !== undefined && (
        <p class="quiet" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** The input, and what is beside it. */
function Control(props: FieldProps): VNode {
  const { id, label, value, onInput, onBlur, problem = "", hint, placeholder, children } = props;
  const { isSecret = false, isLong = false, autofocus = false, suggestions = [] } = props;
  const [isShown, setIsShown] = useState(false);
  const described = [problem !== "" && `${id}-problem`, hint !== undefined && `${id}-hint`].filter(Boolean);
  const shared = {
    id,
    value,
    placeholder,
    autocomplete: isSecret ? "new-password" : "off",
    autocapitalize: "off" as const,
    spellcheck: false,
    "aria-invalid": problem !== "",
    "aria-describedby": described.join(" ") || undefined,
    onInput: withValue(onInput),
    onBlur,
    ...(autofocus && { ref: focus }),
  };
  return (
    <div class="control">
      {isLong ? (
        <textarea {...shared} rows={5} />
      ) : (
        <input
          {...shared}
          {...(isSecret && !isShown
            ? { type: "password" as const }
            : { type: "text" as const, ...(suggestions.length > 0 && { list: `${id}-suggestions` }) })}
        />
      )}
      {suggestions.length > 0 && (
        <datalist id={`${id}-suggestions`}>
          {suggestions.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
      )}
      {isSecret && !isLong && (
        <Button
          class="small"
          aria-pressed={isShown}
          aria-label={`Show ${label.toLowerCase()}`}
          onClick={() => {
            setIsShown(!isShown);
          }}
        >
          {isShown ? "Hide" : "Show"}
        </Button>
      )}
      {children}
    </div>
  );
}

/** A checkbox or a radio button, with its words. */
export function Check(props: {
  readonly type: "checkbox" | "radio";
  readonly name?: string;
  readonly value?: string;
  readonly checked: boolean;
  readonly onChange: (isChecked: boolean) => void;
  readonly children: ComponentChildren;
}): VNode {
  const { onChange, children, ...attributes } = props;
  return (
    <label class="check">
      <input
        {...attributes}
        onChange={(event) => {
          onChange(event.currentTarget.checked);
        }}
      />
      {children}
    </label>
  );
}

/** One of a few. */
export function Choice<T extends string>(props: {
  readonly legend: string;
  readonly name: string;
  readonly options: readonly (readonly [T, string])[];
  readonly value: T;
  readonly onChange: (value: T) => void;
}): VNode {
  const { legend, name, options, value, onChange } = props;
  return (
    <fieldset class="field choice">
      <legend>{legend}</legend>
      <div class="control">
        {options.map(([option, words]) => (
          <Check
            key={option}
            type="radio"
            name={name}
            value={option}
            checked={option === value}
            onChange={() => {
              onChange(option);
            }}
          >
            {words}
          </Check>
        ))}
      </div>
    </fieldset>
  );
}
