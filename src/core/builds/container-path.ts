/** Paths in a container. What pods say of them is compared part by part, as far as it takes to know. */

/** Without empty parts, `.` and a last slash; `/` becomes the empty text. */
export function normalisePath(path: string): string {
  return firstParts(path, Infinity)
    .map((part) => `/${part}`)
    .join("");
}

/** Whether two texts are one path. */
export function isSamePath(path: string, other: string): boolean {
  const parts = firstParts(other, Infinity);
  const found = firstParts(path, parts.length + 1);
  return found.length === parts.length && startsAlike(found, parts);
}

/** Whether a path is at a directory, above it or below it. */
export function isAround(path: string, directory: string): boolean {
  const parts = firstParts(directory, Infinity);
  return startsAlike(withoutLink(firstParts(path, parts.length + 1)), withoutLink(parts));
}

/** Longer than any directory that an image reads its configuration from. Longer ones cost more than they are worth. */
const MAX_DIRECTORY_LENGTH = 512;

/** Whether a text can be the path of a mount: absolute, below the root, without what a mount path may not hold. */
export function isMountable(path: string): boolean {
  return (
    path.length <= MAX_DIRECTORY_LENGTH &&
    path.startsWith("/") &&
    normalisePath(path) !== "" &&
    !/[:,\p{Cc}]|(?:^|\/)\.\.(?:\/|$)/u.test(path)
  );
}

/** In nearly every image /var/run is a link to /run. */
function withoutLink(parts: readonly string[]): readonly string[] {
  return parts[0] === "var" && parts[1] === "run" ? parts.slice(1) : parts;
}

function startsAlike(parts: readonly string[], others: readonly string[]): boolean {
  return parts.every((part, index) => index >= others.length || part === others[index]);
}

/** What a part begins with: no slash, and no dot that is all of it. */
const PART_START = /[^/.]|\.(?=[^/])/g;

/** The parts of a path, at most so many: no empty ones and no `.`. */
function firstParts(path: string, count: number): readonly string[] {
  const parts: string[] = [];
  PART_START.lastIndex = 0;
  while (parts.length < count && PART_START.test(path)) {
    const start = PART_START.lastIndex - 1;
    const slash = path.indexOf("/", start);
    const end = slash < 0 ? path.length : slash;
    parts.push(path.slice(start, end));
    PART_START.lastIndex = end;
  }
  return parts;
}
