/** Parses YAML with the merge keys (`<<`) that kubectl knows, and without the depth that the library does not survive. */
import {
  Composer,
  Lexer,
  Parser,
  type CST,
  type Document,
  type DocumentOptions,
  type ParseOptions,
  type SchemaOptions,
} from "yaml";

/** A pod's deepest field is at about 20. The library calls itself for each level, and beyond some 800 ends the process. */
const MAX_DEPTH = 200;

/** More than any file of ours or of others names an anchor, and far too few to use up memory. */
export const MAX_ALIASES = 10_000;

/** Thrown by {@link parseYaml}. */
export class NestedTooDeeplyError extends Error {
  override readonly name = "NestedTooDeeplyError";

  readonly offset: number;

  constructor(offset: number) {
    super(`nested more than ${MAX_DEPTH.toString()} levels deep`);
    this.offset = offset;
  }
}

/**
 * All documents of a text, with their syntax errors in `errors`.
 *
 * @throws NestedTooDeeplyError
 */
export function parseYaml(
  text: string,
  options: ParseOptions & DocumentOptions & SchemaOptions = {},
  lexer = new Lexer(),
): readonly Document.Parsed[] {
  const composer = new Composer({ merge: true, logLevel: "error", ...options });
  return [...composer.compose(shallow(parse(new Parser(), lexer.lex(text))))];
}

function* parse(parser: Parser, lexemes: Iterable<string>): Iterable<CST.Token> {
  for (const lexeme of lexemes) yield* parser.next(lexeme);
  yield* parser.end();
}

/** A token is a whole document, or what is between two. */
function* shallow(tokens: Iterable<CST.Token>): Iterable<CST.Token> {
  for (const token of tokens) {
    checkDepth(token);
    yield token;
  }
}

function checkDepth(document: CST.Token): void {
  const waiting: (readonly [token: CST.Token, depth: number])[] = [[document, 0]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [token, depth] = next;
    if (depth > MAX_DEPTH) throw new NestedTooDeeplyError(token.offset);
    for (const child of childrenOf(token)) waiting.push([child, depth + 1]);
  }
}

function childrenOf(token: CST.Token): readonly CST.Token[] {
  if (token.type === "document") return token.value === undefined ? [] : [token.value];
  if (!("items" in token)) return [];
  return token.items.flatMap(({ key, value }) => [key, value]).filter((child) => child != null);
}
