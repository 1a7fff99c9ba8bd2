/** Where somebody is, in the part of the address after `#`, which no server sees: `#/registries/team-a/edit`; `#/registries//new`. */
import { useState } from "preact/hooks";
import { useListener } from "./live.ts";

export const PAGES = ["registries", "namespaces", "stuck-pods", "explain"] as const;
export type PageName = (typeof PAGES)[number];

export interface Place {
  readonly page: PageName;
  /** Of the object that is open; empty if none is. */
  readonly name: string;
  /** Such as `edit`; empty for the object itself. */
  readonly action: string;
}

export function placeIn(hash: string): Place {
  const [page = "", name = "", action = ""] = hash.replace(/^#\//, "").split("/").map(decode);
  return { page: PAGES.find((each) => each === page) ?? "registries", name, action };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

export function hrefOf(page: PageName, name = "", action = ""): string {
  const path = [page, name, action].map(encodeURIComponent).join("/");
  return `#/${path.replace(/\/+$/, "")}`;
}

export function go(page: PageName, name = "", action = ""): void {
  location.hash = hrefOf(page, name, action);
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => placeIn(location.hash));
  useListener("hashchange", () => {
    setPlace(placeIn(location.hash));
  });
  return place;
}
