/**
 * `pullpass completion`: completion for shells. The scripts ask the program at each TAB, `pullpass __complete WORD...`, so that
 * they fit every version of it. The answer has Cobra's format, which kubectl expects of the plugins that it completes.
 */
import { Argument, type Command, type Option } from "commander";
import type { ProgramIo } from "./program-io.ts";

/** Adds the argument and the action. */
export function completionCommand(command: Command, io: ProgramIo): Command {
  return command
    .description("print a script that completes commands, flags and file names in a shell")
    .addArgument(new Argument("<shell>", "the shell that reads it").choices(Object.keys(SCRIPTS)))
    .addHelpText("after", LOADING)
    .action((shell: keyof typeof SCRIPTS) => {
      io.writeOut(SCRIPTS[shell]);
    });
}

const LOADING = `
In the file that the shell reads at its start:
  bash  eval "$(pullpass completion bash)"
  zsh   eval "$(pullpass completion zsh)", after compinit
  fish  pullpass completion fish | source`;

/** The last line of an answer: https://github.com/spf13/cobra/blob/main/completions.go, ShellCompDirective. */
const FILES_TOO = ":0";
const NO_FILES = ":4";

interface Completions {
  readonly candidates: readonly Candidate[];
  readonly directive: typeof FILES_TOO | typeof NO_FILES;
}

/** A word, and what it is for. */
type Candidate = readonly [word: string, description?: string];

/** `words` are those after the program's name; the last one is to be completed, and may be empty. */
export function complete(program: Command, words: readonly string[]): string {
  const current = words.at(-1) ?? "";
  const { candidates, directive } = completionsFor(program, words.slice(0, -1), current);
  // What is completed after --flag= is the value alone.
  const start = /^--[^=]+=(.*)$/s.exec(current)?.[1] ?? current;
  const lines = candidates
    .filter(([word]) => word.startsWith(start))
    .map((candidate) => candidate.join("\t"));
  return [...lines, directive, ""].join("\n");
}

/*
 * the word                    | candidates
 * follows a flag with a value | its choices, or file names, or nothing
 * --flag=...                  | the same
 * -...                        | the command's flags
 * anything else               | subcommands, and the argument's choices or file names
 */
function completionsFor(program: Command, before: readonly string[], current: string): Completions {
  const { command, option, argumentCount, hasEnded } = readWords(program, before);
  const isFlag = current.startsWith("-") && !hasEnded;
  const [flag, value] = current.split("=", 2);
  if (isFlag && value !== undefined) return valuesOf(findOption(command, flag));
  if (option !== undefined && !(isFlag && option.variadic)) return valuesOf(option);
  if (isFlag) return { candidates: flagsOf(command), directive: NO_FILES };
  const { registeredArguments } = command;
  const argument = registeredArguments[Math.min(argumentCount, registeredArguments.length - 1)];
  const isMore = argumentCount < registeredArguments.length || argument?.variadic === true;
  const values = valuesOf(isMore ? argument : undefined);
  const commands = argumentCount > 0 || hasEnded ? [] : subcommandsOf(command);
  return { ...values, candidates: [...commands, ...values.candidates] };
}

interface WordsRead {
  /** What the words lead to. */
  readonly command: Command;
  /** The option that the next word is a value of. */
  readonly option: Option | undefined;
  readonly argumentCount: number;
  /** `--` was among the words: what follows is no flag. */
  readonly hasEnded: boolean;
}

function readWords(program: Command, words: readonly string[]): WordsRead {
  let read: WordsRead = { command: program, option: undefined, argumentCount: 0, hasEnded: false };
  for (const word of words) read = readWord(read, word);
  return read;
}

function readWord(read: WordsRead, word: string): WordsRead {
  const { command, option, argumentCount, hasEnded } = read;
  // A single - is standard input.
  const isFlag = /^-./.test(word) && !hasEnded;
  if (option !== undefined && !isFlag) return option.variadic ? read : { ...read, option: undefined };
  if (word === "--") return { ...read, option: undefined, hasEnded: true };
  if (isFlag) {
    const found = findOption(command, word);
    return { ...read, option: found !== undefined && takesValue(found) ? found : undefined };
  }
  if (argumentCount > 0 || hasEnded) return { ...read, argumentCount: argumentCount + 1 };
  // `help` takes the names of commands.
  if (word === "help") return read;
  const subcommand = command.commands.find((each) => each.name() === word);
  return subcommand === undefined ? { ...read, argumentCount: 1 } : { ...read, command: subcommand };
}

function subcommandsOf(command: Command): readonly Candidate[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map((each) => [each.name(), each.description()]);
}

function flagsOf(command: Command): readonly Candidate[] {
  return optionsOf(command).flatMap(({ short, long, description }) =>
    [long, short].flatMap((flag): readonly Candidate[] => (flag === undefined ? [] : [[flag, description]])),
  );
}

function findOption(command: Command, flag: string | undefined): Option | undefined {
  return optionsOf(command).find(({ short, long }) => flag === long || flag === short);
}

/** Its own, and those of the command that runs if no subcommand is named. */
function optionsOf(command: Command): readonly Option[] {
  const ofDefault = command.commands.find(
    // Commander has no public name for it.
    (each) => each.name() === Reflect.get(command, "_defaultCommandName"),
  );
  return [...(ofDefault?.options ?? []), ...command.createHelp().visibleOptions(command)];
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

/** Placeholders say what a value is: `--config <file>`, `[file...]`. */
function valuesOf(taker: Option | Argument | undefined): Completions {
  if (taker?.argChoices !== undefined)
    return { candidates: taker.argChoices.map((choice) => [choice]), directive: NO_FILES };
  const placeholder = taker instanceof Argument ? taker.name() : /[<[]([a-z]+)/.exec(taker?.flags ?? "")?.[1];
  return { candidates: [], directive: placeholder === "file" ? FILES_TOO : NO_FILES };
}

/** For bash 3.2, which macOS has, too. The line is split here: bash splits words at `=` and `:`. */
const BASH = `# bash completion for pullpass
_pullpass() {
  local words=() word description
  read -r -a words <<< "\${COMP_LINE:0:COMP_POINT}"
  [[ \${COMP_LINE:COMP_POINT-1:1} == [[:space:]] ]] && words+=("")
  COMPREPLY=()
  while IFS=$'\\t' read -r word description; do
    case $word in
      :0) ;;
      :4) compopt +o default 2>/dev/null ;;
      *) COMPREPLY+=("$word") ;;
    esac
  done < <(pullpass __complete "\${words[@]:1}" 2>/dev/null)
}
complete -o default -F _pullpass pullpass
`;

/** To be evaluated, or to be a file _pullpass in a directory of fpath. */
const ZSH = `#compdef pullpass
_pullpass() {
  local -a candidates
  candidates=("\${(@f)$(pullpass __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  local directive=$candidates[-1]
  candidates[-1]=()
  [[ $words[CURRENT] == --*=* ]] && compset -P '*='
  candidates=("\${(@)candidates//:/\\\\:}")
  candidates=("\${(@)candidates/$'\\t'/:}")
  (( $#candidates )) && _describe pullpass candidates
  [[ $directive == :0 ]] && _files
}
if [[ $funcstack[1] == _pullpass ]]; then
  _pullpass "$@"
else
  compdef _pullpass pullpass
fi
`;

/** A candidate has to begin with what is on the line, `--flag=` included. */
const FISH = `# fish completion for pullpass
function __pullpass_complete
    set -l current (commandline --cut-at-cursor --current-token)
    set -l words (commandline --tokenize --cut-at-cursor --current-process) $current
    set -l lines (pullpass __complete $words[2..-1] 2>/dev/null)
    set -l prefix (string match --regex -- '^--[^=]+=' $current)
    if test "$lines[-1]" = :0
        set -a lines (__fish_complete_path (string replace -- "$prefix" '' $current))
    end
    for line in $lines
        string match --quiet ':?' -- $line; or printf '%s%s\\n' "$prefix" $line
    end
end
complete --command pullpass --no-files --arguments '(__pullpass_complete)'
`;

const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH };
