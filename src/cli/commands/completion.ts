/**
 * flotctl completion: the script that a shell sources. It asks flotctl itself for the words that
 * fit, so commands and flags are completed as they are.
 */
import { requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import { EXIT } from "../exit-codes.js";
import { badArguments } from "../failure.js";
import type { Terminal } from "../terminal.js";

const BASH = `_flotctl() {
  local current="\${COMP_WORDS[COMP_CWORD]}" line
  COMPREPLY=()
  while IFS= read -r line; do
    [[ "$line" == "$current"* ]] && COMPREPLY+=("$line")
  done < <(SHELL=bash flotctl --get-yargs-completions "\${COMP_WORDS[@]}" 2>/dev/null)
}
complete -o default -F _flotctl flotctl
`;

const ZSH = `#compdef flotctl
_flotctl() {
  local -a words_found
  words_found=("\${(@f)$(SHELL=zsh flotctl --get-yargs-completions "\${words[@]}" 2>/dev/null)}")
  if (( \${#words_found} )); then _describe flotctl words_found; else _files; fi
}
if [[ "\${zsh_eval_context[-1]}" == loadautofunc ]]; then
  _flotctl "$@"
else
  compdef _flotctl flotctl
fi
`;

const FISH = `function __flotctl_words
  set -l tokens (commandline -opc) (commandline -ct)
  env SHELL=fish flotctl --get-yargs-completions $tokens 2>/dev/null
end
complete -c flotctl -f -a '(__flotctl_words)'
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export const completion: CommandDefinition<{ readonly terminal: Terminal }> = {
  flags: {},
  writes: false,
  examples: [
    ["completion bash > /etc/bash_completion.d/flotctl", "for every bash of this machine"],
    ["completion fish | source", "for this fish"],
  ],
  run: ({ terminal }, argv) => {
    const shell = requiredOf(argv, "shell");
    const script = SCRIPTS[shell];
    if (script === undefined) throw badArguments(`no completion for ${shell}: bash, zsh or fish`);
    terminal.out.write(script);
    return Promise.resolve(EXIT.ok);
  },
};
