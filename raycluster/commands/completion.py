"""raycluster completion: the completion script of a shell."""

import argparse
from typing import Any

from raycluster.commands.verb import Answer, Verb

SCRIPTS = {
    "bash": """_raycluster() {
    local current="${COMP_WORDS[COMP_CWORD]}"
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "VERBS" -- "$current"))
    elif [[ "$current" == -* ]]; then
        local options="$(raycluster "${COMP_WORDS[1]}" --help 2>/dev/null | grep -oE -- '--[a-z-]+' | sort -u)"
        COMPREPLY=($(compgen -W "$options" -- "$current"))
    else
        COMPREPLY=($(compgen -f -- "$current"))
    fi
}
complete -o filenames -F _raycluster raycluster""",
    "zsh": "autoload -U +X bashcompinit && bashcompinit\nBASH",
    "fish": """complete -c raycluster -n __fish_use_subcommand -f -a "VERBS"
complete -c raycluster -n 'not __fish_use_subcommand' -a '(raycluster (commandline -opc)[2] --help 2>/dev/null \
    | string match -ra -- "--[a-z-]+")'""",
}
"""Script per shell; VERBS and BASH are filled in."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(SCRIPTS), help="shell to print the script for")


def _run(options: argparse.Namespace, keys: dict[str, Any]) -> Answer | None:  # noqa: ARG001
    import sys

    from raycluster.commands import VERBS

    script = SCRIPTS[options.shell].replace("BASH", SCRIPTS["bash"]).replace("VERBS", " ".join(VERBS))
    print(script, file=sys.__stdout__)
    return None


VERB = Verb(
    name="completion",
    summary="Print the completion script of a shell.",
    arguments=_arguments,
    run=_run,
    examples=(
        "raycluster completion bash >> ~/.bashrc",
        "raycluster completion zsh >> ~/.zshrc",
        "raycluster completion fish > ~/.config/fish/completions/raycluster.fish",
    ),
)
