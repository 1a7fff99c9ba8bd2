/**
 * Reads `WWW-Authenticate`: how a server wants clients to log in.
 *
 * The grammar is that of RFC 9110, sections 11.2 to 11.6.1 and 5.6:
 *
 *     WWW-Authenticate := #challenge
 *     challenge        := scheme [ 1*SP ( token68 | #parameter ) ]
 *     parameter        := token BWS "=" BWS ( token | quoted-string )
 *     token68          := 1*( ALPHA | DIGIT | "-" | "." | "_" | "~" | "+" | "/" ) *"="
 *
 * A comma separates challenges as well as parameters, so what follows one is a parameter if it reads as one, else a
 * challenge. Lists may have empty elements.
 */

export interface Challenge {
  /** In lower case, because case does not count: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case, values without quotes. */
  readonly parameters: ReadonlyMap<string, string>;
  /** What some schemes (Negotiate) have instead of parameters. */
  readonly token68: string | undefined;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const ELEMENT_END = "(?=[ \\t]*(?:,|$))";
const PARAMETER = new RegExp(
  `(${TOKEN})[ \\t]*=[ \\t]*(?:(${TOKEN})|"((?:[^"\\\\]|\\\\[^])*)")${ELEMENT_END}`,
  "y",
);
const SCHEME = new RegExp(`(${TOKEN})(?: +|${ELEMENT_END})`, "y");
const TOKEN68 = new RegExp(`([A-Za-z0-9._~+/-]+=*)${ELEMENT_END}`, "y");
const SEPARATORS = /[ \t,]*/y;

/** The challenges in the order of the header; undefined if it breaks the grammar or names a parameter twice. */
export function parseChallenges(header: string): readonly Challenge[] | undefined {
  const challenges: Challenge[] = [];
  let parameters = new Map<string, string>();
  let mayHaveParameters = false;
  let position = 0;

  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    const match = pattern.exec(header);
    if (match !== null) position = pattern.lastIndex;
    return match;
  };

  take(SEPARATORS);
  while (position < header.length) {
    const parameter = mayHaveParameters ? take(PARAMETER) : null;
    if (parameter !== null) {
      if (!addParameter(parameters, parameter)) return undefined;
    } else {
      const scheme = take(SCHEME)?.[1];
      if (scheme === undefined) return undefined;
      parameters = new Map();
      const first = take(PARAMETER);
      if (first !== null) addParameter(parameters, first);
      const token68 = first === null ? take(TOKEN68)?.[1] : undefined;
      mayHaveParameters = token68 === undefined;
      challenges.push({ scheme: scheme.toLowerCase(), parameters, token68 });
    }
    // Each pattern but a scheme before a blank ends at a comma or at the end.
    const end = position;
    take(SEPARATORS);
    if (position < header.length && !header.slice(end, position).includes(",")) return undefined;
  }
  return challenges;
}

/** Whether the name is new; RFC 9110 allows each only once. */
function addParameter(parameters: Map<string, string>, match: RegExpExecArray): boolean {
  const [, name = "", token, quoted = ""] = match;
  const key = name.toLowerCase();
  if (parameters.has(key)) return false;
  parameters.set(key, token ?? quoted.replaceAll(/\\([^])/g, "$1"));
  return true;
}
