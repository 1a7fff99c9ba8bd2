/** The bar at the top of every page, and the keys that work everywhere. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { SessionInfo } from "../api.ts";
import { takeFocus, titleElement } from "./focus.ts";
import { useListener } from "./live.ts";
import { go, hrefOf, type PageName, type Place } from "./place.ts";
import { Button } from "./parts.tsx";

const TITLES: Readonly<Record<PageName, string>> = {
  registries: "Registries",
  namespaces: "Namespaces",
  "stuck-pods": "Stuck pods",
  explain: "Explain",
};

export function Frame(props: {
  readonly session: SessionInfo;
  readonly place: Place;
  readonly stuckPods: number;
  readonly onLogOut: () => void;
  readonly children: ComponentChildren;
}): VNode {
  const { session, place, stuckPods, onLogOut, children } = props;
  useEffect(() => {
    document.title = `${TITLES[place.page]} · Pullpass`;
    // The next Tab is in the page, and a screen reader says which one it is.
    takeFocus(titleElement());
  }, [place.page]);
  useEffect(() => {
    // Where the bar is too narrow for all of them. A badge makes one wider.
    document.querySelector(".bar [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [place.page, stuckPods > 0]);
  useShortcuts();
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          titleElement()?.focus();
        }}
      >
        Skip to the content
      </a>
      <header class="bar">
        <nav aria-label="Pages">
          <a class="brand" href={hrefOf("registries")}>
            Pullpass
          </a>
          {Object.entries(TITLES).map(([page, title]) => (
            <a
              key={page}
              href={hrefOf(page as PageName)}
              aria-current={page === place.page ? "page" : undefined}
            >
              {title}
              {page === "stuck-pods" && stuckPods > 0 && <span class="badge">{stuckPods}</span>}
            </a>
          ))}
        </nav>
        <div class="who">
          <span>
            cluster <b>{session.cluster}</b> · {session.user}
          </span>
          <Button class="link" onClick={onLogOut}>
            Log out
          </Button>
        </div>
      </header>
      <main id="main">{children}</main>
    </>
  );
}

/** `/` goes to the filter, `n` to a new registry, unless somebody is typing. */
function useShortcuts(): void {
  useListener("keydown", (event) => {
    const { target } = event;
    const isTyping = target instanceof Element && target.matches("input, textarea, select, dialog *");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      const filter = document.getElementById("filter");
      if (filter === null) return;
      event.preventDefault();
      filter.focus();
    }
    if (event.key === "n" && document.querySelector("[data-add-registry]") !== null) {
      event.preventDefault();
      go("registries", "", "new");
    }
  });
}
