/** Small things that every page shows alike: states, times, long texts, faults. */
import type { ButtonHTMLAttributes, ComponentChildren, VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Failure, State } from "../api.ts";
import { useModal } from "./focus.ts";

/** One that submits no form. */
export function Button(props: ButtonHTMLAttributes): VNode {
  return <button type="button" {...props} />;
}

const SHAPES: Readonly<Record<State["level"], string>> = {
  good: "●",
  busy: "◐",
  warn: "▲",
  bad: "✕",
  quiet: "○",
};

/** A shape, a colour, and words that say it by themselves. */
export function StateMark({ state: { level, words } }: { readonly state: State }): VNode {
  return (
    <span class={`state ${level}`}>
      <span aria-hidden="true">{SHAPES[level]}</span> {words}
    </span>
  );
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
] as const;

/** How often a time is read again: what is on the page for long must not say "just now". */
const TICK_MS = 10_000;

/** It stands while nobody sees the page. */
export function useClock(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setNow(Date.now());
    }, TICK_MS);
    return () => {
      clearInterval(timer);
    };
  }, []);
  return now;
}

/** `3 days ago`; the exact time is there on hover and focus. */
export function Time({ at }: { readonly at: string | number }): VNode {
  useClock();
  const date = new Date(at);
  const seconds = (date.getTime() - Date.now()) / 1000;
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? (["second", 1] as const);
  const format = new Intl.RelativeTimeFormat("en", { numeric: "always" });
  const now = seconds > 0 ? "in under a minute" : "just now";
  const text = unit === "second" ? now : format.format(Math.round(seconds / size), unit);
  const exact = date.toLocaleString("en-GB");
  return (
    <time dateTime={date.toISOString()} title={exact} data-exact={exact} tabIndex={0}>
      {text}
    </time>
  );
}

const MAX_SHOWN = 40;

/** Long addresses are cut in the middle: both ends tell them apart. What is copied, and what has the focus, is the whole. */
export function Cut({ text }: { readonly text: string }): VNode {
  if (text.length <= MAX_SHOWN) return <code>{text}</code>;
  const tail = Math.floor(MAX_SHOWN / 3);
  return (
    <code class="cut" title={text} tabIndex={0}>
      <span>{text.slice(0, text.length - tail)}</span>
      <span>{text.slice(text.length - tail)}</span>
    </code>
  );
}

/** What could not be read, and which right is missing for it. */
export function Unread({ sentences }: { readonly sentences: readonly string[] }): VNode | null {
  if (sentences.length === 0) return null;
  return (
    <div class="notice warn" role="status">
      {sentences.map((sentence) => (
        <p key={sentence}>{sentence}</p>
      ))}
    </div>
  );
}

export function Fault({ failure }: { readonly failure: Failure | undefined }): VNode | null {
  if (failure === undefined) return null;
  const head = failure.code === "forbidden" ? "You lack a right: " : "";
  return (
    <p class="notice bad" role="alert">
      {head}
      {failure.message}
    </p>
  );
}

/** In the place of what has not come yet. */
export function Loading({ failure }: { readonly failure: Failure | undefined }): VNode {
  return failure === undefined ? <p class="quiet">Loading…</p> : <Fault failure={failure} />;
}

/** What kubectl would take, with a button that copies it. */
export function Code({ text, label }: { readonly text: string; readonly label: string }): VNode {
  const [isCopied, setIsCopied] = useState(false);
  return (
    <div class="code">
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <Button
        class="small"
        onClick={() => {
          void navigator.clipboard.writeText(text).then(() => {
            setIsCopied(true);
          });
        }}
      >
        {isCopied ? "Copied" : "Copy"}
      </Button>
    </div>
  );
}

export function Dialog(props: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}): VNode {
  const { title, onClose, children } = props;
  return (
    <dialog ref={useModal()} aria-labelledby="dialog-title" onClose={onClose}>
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}

/** Marks what has changed for a moment. It keeps its place. */
export function useFlash(value: string): boolean {
  const before = useRef(value);
  const [isFresh, setIsFresh] = useState(false);
  useEffect(() => {
    if (before.current === value) return undefined;
    before.current = value;
    setIsFresh(true);
    const timer = setTimeout(() => {
      setIsFresh(false);
    }, 1_500);
    return () => {
      clearTimeout(timer);
    };
  }, [value]);
  return isFresh;
}

/** As a `ref`: `autofocus` works once in a document. */
export function focus(element: HTMLElement | null): void {
  element?.focus();
}

/** As an `onSubmit`: the page is not loaded again. */
export function preventingDefault(act: () => void) {
  return (event: Event): void => {
    event.preventDefault();
    act();
  };
}

/** As an `onInput` or `onChange`: what is in the field now. */
export function withValue(take: (value: string) => void) {
  return (event: { readonly currentTarget: { readonly value: string } }): void => {
    take(event.currentTarget.value);
  };
}

/** The first few of so many. */
export function namesOf(first: readonly string[], count: number): string {
  const more = count - first.length;
  return first.join(", ") + (more > 0 ? `, and ${more.toLocaleString("en")} more` : "");
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
