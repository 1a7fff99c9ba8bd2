/** Where the keyboard goes on when what it was on goes away, or when another page comes. */
import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

let hasActed = false;
for (const type of ["keydown", "pointerdown"])
  addEventListener(type, () => (hasActed = true), { capture: true, once: true });

/** Unless somebody is somewhere else on the page, or has done nothing on it yet: then it begins at the top, as any page does. */
export function takeFocus(element: HTMLElement | null | undefined): void {
  const { activeElement } = document;
  const isFree = activeElement === null || activeElement.matches("body, h1, .bar a");
  if (isFree && hasActed) element?.focus();
}

/** The title of the page that is shown. */
export function titleElement(): HTMLElement | null {
  const title = document.querySelector<HTMLElement>("main h1");
  // It is no stop of the Tab key.
  if (title !== null) title.tabIndex = -1;
  return title;
}

/**
 * For the row of a table, which may go away with the focus in it or in the details below it: the row beside it goes on, at the same
 * control; without one, the filter.
 */
export function useRowFocus(): RefObject<HTMLTableRowElement | null> {
  const row = useRef<HTMLTableRowElement>(null);
  // Its end comes before the row is gone, which that of an effect does not.
  useLayoutEffect(() => {
    const element = row.current;
    return () => {
      const focused = document.activeElement;
      if (element === null || focused === null) return;
      const details = detailsOf(element);
      if (!element.contains(focused) && details?.contains(focused) !== true) return;
      closeDialogs(details);
      const beside = (details ?? element).nextElementSibling ?? rowBefore(element);
      const control = focused.matches("[role=switch]") ? "[role=switch]" : "button";
      const next = beside?.querySelector<HTMLElement>(control) ?? document.getElementById("filter");
      next?.focus();
    };
  }, []);
  return row;
}

/** For the details of a row, which may close with the focus in them. */
export function useDetailsFocus(): RefObject<HTMLTableRowElement | null> {
  const details = useRef<HTMLTableRowElement>(null);
  useLayoutEffect(() => {
    const element = details.current;
    return () => {
      if (element?.contains(document.activeElement) !== true) return;
      closeDialogs(element);
      element.previousElementSibling?.querySelector("button")?.focus();
    };
  }, []);
  return details;
}

/** Those that go with what they are in. While one is open, nothing else can have the focus. */
function closeDialogs(element: Element | null): void {
  for (const dialog of element?.querySelectorAll("dialog") ?? []) dialog.close();
}

function detailsOf({ nextElementSibling: next }: Element): Element | null {
  return next?.matches(".details") === true ? next : null;
}

function rowBefore({ previousElementSibling: before }: Element): Element | null {
  return before?.matches(".details") === true ? before.previousElementSibling : before;
}

/** For a dialog over the page: what had the focus has it again when the dialog is gone. */
export function useModal(): RefObject<HTMLDialogElement | null> {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    return () => {
      // One that is closed has given the focus back.
      if (element?.open !== true) return;
      element.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return dialog;
}
