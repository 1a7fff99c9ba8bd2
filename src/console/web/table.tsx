/** What pages with a table have alike: the head with its filter, the table, and rows that open in place. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useId } from "preact/hooks";
import { takeFocus, useDetailsFocus, useRowFocus } from "./focus.ts";
import { Button, withValue } from "./parts.tsx";

export interface Filter {
  readonly label: string;
  readonly placeholder: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
}

export function PageHead(props: {
  readonly title: string;
  readonly filter?: Filter;
  /** Before the filter. */
  readonly before?: ComponentChildren;
  readonly children?: ComponentChildren;
}): VNode {
  const { title, filter, before, children } = props;
  return (
    <div class="head">
      <h1>{title}</h1>
      {filter !== undefined && (
        <div class="tools">
          {before}
          <input
            id="filter"
            type="search"
            placeholder={filter.placeholder}
            aria-label={filter.label}
            value={filter.value}
            onInput={withValue(filter.onInput)}
          />
          {children}
        </div>
      )}
    </div>
  );
}

/** Columns of numbers, which stand right. */
const NUMBERS: ReadonlySet<string> = new Set(["Namespaces", "Stuck pods"]);

const classOf = (column: string): string | undefined => (NUMBERS.has(column) ? "number" : undefined);

export function Table(props: {
  readonly columns: readonly string[];
  readonly children: ComponentChildren;
}): VNode {
  return (
    <table>
      <thead>
        <tr>
          {props.columns.map((column) => (
            <th key={column} scope="col" class={classOf(column)}>
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>{props.children}</tbody>
    </table>
  );
}

export function Row(props: {
  readonly title: string;
  /** Beside the title. */
  readonly note?: string;
  /** By the column. */
  readonly cells: Readonly<Record<string, ComponentChildren>>;
  /** It changed a moment ago. */
  readonly isFresh?: boolean;
  /** Undefined for a row that does not open. */
  readonly onToggle?: () => void;
  /** Of a row that is open. */
  readonly details?: ComponentChildren;
}): VNode {
  const { title, note, cells, isFresh = false, onToggle, details } = props;
  const isOpen = details !== undefined;
  const id = useId();
  const element = useRowFocus();
  useEffect(() => {
    if (!isOpen) return;
    element.current?.scrollIntoView({ block: "nearest" });
    takeFocus(element.current?.querySelector("button"));
  }, []);
  return (
    <>
      <tr ref={element} class={(isOpen ? "open " : "") + (isFresh ? "fresh" : "")}>
        <th scope="row">
          {onToggle === undefined ? (
            title
          ) : (
            <Button
              class="row-button"
              aria-expanded={isOpen}
              aria-controls={isOpen ? id : undefined}
              onClick={onToggle}
            >
              {title}
            </Button>
          )}
          {note !== undefined && <span class="quiet"> {note}</span>}
        </th>
        {Object.entries(cells).map(([column, content]) => (
          <td key={column} data-label={column} class={classOf(column)}>
            {content}
          </td>
        ))}
      </tr>
      {isOpen && (
        <DetailsRow id={id} columns={1 + Object.keys(cells).length}>
          {details}
        </DetailsRow>
      )}
    </>
  );
}

/** What is open below a row. */
function DetailsRow(props: {
  readonly id: string;
  readonly columns: number;
  readonly children: ComponentChildren;
}): VNode {
  return (
    <tr class="details" id={props.id} ref={useDetailsFocus()}>
      <td colSpan={props.columns}>{props.children}</td>
    </tr>
  );
}
