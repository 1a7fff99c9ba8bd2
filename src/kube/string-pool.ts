/** Keeps one string where many objects hold an equal one. */

/** Returns the string itself, or an equal one that was seen before. */
export type StringPool = (text: string) => string;

/**
 * 50,000 copies hold a few dozen different documents of some hundred characters each. What does not fit any more is
 * forgotten, so that outdated documents do not stay for good.
 */
const MAX_CHARACTERS = 1024 * 1024;
/** What a short string takes besides its characters, in the map and by itself: about 60 bytes on Node 26. */
const OVERHEAD = 64;

export function createStringPool(maxCharacters = MAX_CHARACTERS): StringPool {
  const known = new Map<string, string>();
  let characters = 0;
  return (text) => {
    const same = known.get(text);
    if (same !== undefined) return same;
    const size = text.length + OVERHEAD;
    if (characters + size > maxCharacters) {
      known.clear();
      characters = 0;
    }
    known.set(text, text);
    characters += size;
    return text;
  };
}
