/** Debian's Chromium, and what is asked of every page in it. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import axe from "axe-core";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { expect } from "vitest";
import { BROWSERS, requireDebianPrograms } from "../cluster/harness/debian-programs.ts";
import { reportToStandardError } from "../cluster/harness/cluster.ts";
import { waitUntil } from "../wait-until.ts";

export async function openBrowser(): Promise<Browser> {
  const { chromium: executablePath } = await requireDebianPrograms(BROWSERS, reportToStandardError);
  // Chromium's own sandbox does not run as root.
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

const LOOKS = [320, 768, 1440].flatMap((width) =>
  (["light", "dark"] as const).map((colorScheme) => ({ width, colorScheme })),
);

/** Everything that a page said, asked and was answered, for a look at all of it at the end. */
export interface Record {
  readonly requests: string[];
  readonly answers: string[];
  readonly messages: string[];
}

export function record(context: BrowserContext): Record {
  const found: Record = { requests: [], answers: [], messages: [] };
  context.on("page", (page) => {
    page.on("console", (message) => found.messages.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => found.messages.push(`${error.name}: ${error.message}`));
    page.on("request", (request) => found.requests.push(request.url()));
    page.on("response", (response) => {
      const isStream = response.headers()["content-type"] === "text/event-stream";
      found.answers.push(JSON.stringify(response.headers()));
      if (!isStream)
        void response.text().then(
          (text) => found.answers.push(text),
          () => undefined,
        );
    });
  });
  return found;
}

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** Without the elements that keep the rules, which are most of them. */
const VIOLATIONS = 'axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations)';

/**
 * In every width, light and dark: no violation of any rule of axe, and nothing that is wider than the window. With
 * UPDATE_PICTURES it is drawn, too.
 */
export async function expectAccessible(page: Page, what: string): Promise<void> {
  await page.evaluate(axe.source);
  for (const { width, colorScheme } of LOOKS) {
    const look = `${what}-${width.toString()}-${colorScheme}`;
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    // Animations end first: what fades in has another contrast.
    await page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))");
    const violations = await page.evaluate<readonly Violation[]>(VIOLATIONS);
    const found = violations.map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ html, failureSummary = "" }) => `${html} ${failureSummary}`).join("; ")}`,
    );
    expect(found, look).toEqual([]);
    const excess = await page.evaluate<number>("document.documentElement.scrollWidth - window.innerWidth");
    expect(excess, `${look} scrolls sideways`).toBeLessThanOrEqual(0);
    await picture(page, look);
  }
}

/** The accessible name of what has the focus, near enough. */
export const FOCUSED_NAME = `(() => {
  const element = document.activeElement;
  const label = element.labels?.[0]?.textContent;
  return (element.getAttribute("aria-label") ?? label ?? element.textContent ?? "").trim();
})()`;

/** A ring around it, and it is in sight. */
const FOCUS_IS_VISIBLE = `(() => {
  const element = document.activeElement;
  const shown = element.matches(".presets input") ? element.nextElementSibling : element;
  const { width, height, top, bottom } = shown.getBoundingClientRect();
  return getComputedStyle(shown).outlineStyle !== "none" && width > 0 && height > 0 && bottom > 0 && top < innerHeight;
})()`;

/** A person without a mouse. */
export interface Keyboard {
  readonly press: (key: string) => Promise<void>;
  /** Instead of what is in the field. */
  readonly type: (text: string) => Promise<void>;
  /** Moves on until the focus is on what has that name. */
  readonly tabTo: (name: string | RegExp, key?: "Tab" | "Shift+Tab") => Promise<void>;
  /** The focus is there, or is within a moment, and can be seen. */
  readonly isAt: (name: string | RegExp) => Promise<void>;
}

export function keyboardOf(page: Page): Keyboard {
  const { keyboard } = page;
  const focused = (): Promise<string> => page.evaluate<string>(FOCUSED_NAME);
  const matches = (label: string, name: string | RegExp): boolean =>
    typeof name === "string" ? label === name : name.test(label);
  const expectVisible = async (label: string): Promise<void> => {
    expect(await page.evaluate<boolean>(FOCUS_IS_VISIBLE), `the focus on ${label} is visible`).toBe(true);
  };
  return {
    press: (key) => keyboard.press(key),
    async type(text) {
      await keyboard.press("Control+A");
      await keyboard.type(text);
    },
    async tabTo(name, key = "Tab") {
      const seen: string[] = [];
      for (let presses = 0; presses < 80; presses++) {
        await keyboard.press(key);
        const label = await focused();
        seen.push(label.slice(0, 20));
        if (matches(label, name)) return expectVisible(label);
      }
      throw new Error(`the keyboard does not reach ${String(name)}, but ${seen.join(", ")}`);
    },
    async isAt(name) {
      let label = "";
      await waitUntil(`the focus on ${String(name)}`, async () =>
        matches((label = await focused()), name),
      ).catch((error: unknown) => {
        throw new Error(`the focus is on ${JSON.stringify(label)}`, { cause: error });
      });
      await expectVisible(label);
    },
  };
}

/** Those of docs/console.md and README.md, which UPDATE_PICTURES=docs writes again. */
const DOCUMENTED = new Set([
  "registries-768-light",
  "an-open-registry-768-light",
  "a-new-registry-768-light",
  "stuck-pods-768-light",
]);

/** UPDATE_PICTURES=DIRECTORY writes what each page looks like, for whoever looks at it. */
async function picture(page: Page, title: string): Promise<void> {
  const wanted = process.env["UPDATE_PICTURES"];
  const name = title.replaceAll(" ", "-");
  if (wanted === undefined || (wanted === "docs" && !DOCUMENTED.has(name))) return;
  const directory = wanted === "docs" ? join(import.meta.dirname, "../../docs/images") : wanted;
  await mkdir(directory, { recursive: true });
  const file = wanted === "docs" ? `console-${name.replace(/-768-light$/, "")}.png` : `${name}.png`;
  const bottom = await page.evaluate<number>("document.querySelector('main').getBoundingClientRect().bottom");
  await page.screenshot({
    path: join(directory, file),
    ...(wanted === "docs" && { clip: { x: 0, y: 0, width: 768, height: Math.min(620, bottom) } }),
  });
}
