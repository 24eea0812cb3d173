"""``mirror completion``: the script by which a shell completes mirror's commands, options and files.

The script is made from the parsers and holds all that it needs: pressing TAB starts no Python. It serves ``mirror`` and
``mirror.pyz``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, Callable

from mirror.cli.grammar import DIRECTORY, FILE, FLAG, Place, Value, places

NAMES = "mirror mirror.pyz"

_DESCRIPTION = """\
Print the script by which a shell completes mirror's commands, options and files. It serves mirror and mirror.pyz.

  bash   mirror completion bash > \\
             ~/.local/share/bash-completion/completions/mirror
         (and once more to .../completions/mirror.pyz)
  zsh    mirror completion zsh > DIR/_mirror
         (DIR: a directory of $fpath)
  fish   mirror completion fish > \\
             ~/.config/fish/completions/mirror.fish

Or for this shell alone: source <(mirror completion bash)
"""

_BASH = """\
# Completion of mirror for bash; made by `mirror completion bash`.
_mirror() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} at="" word index
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${{COMP_WORDS[index]}}
        [[ $word == -- ]] && {{ compopt -o default; return; }}
        case "$at $word" in
            {steps}) at=${{at:+$at }}$word ;;
        esac
    done
    COMPREPLY=()
    case "$at:$before" in
{values}
    esac
    case "$at" in
{words}
    esac
}}
complete -F _mirror {names}
"""

_ZSH = """\
#compdef {names}
# Completion of mirror for zsh; made by `mirror completion zsh`.
_mirror() {{
    local at="" word before=${{words[CURRENT-1]}}
    local -a inner options
    for word in ${{words[2,CURRENT-1]}}; do
        [[ $word == -- ]] && {{ _default; return }}
        case "$at $word" in
            ({steps}) at=${{at:+$at }}$word ;;
        esac
    done
    case "$at:$before" in
{values}
    esac
    case "$at" in
{words}
    esac
    if [[ ${{words[CURRENT]}} == -* ]]; then
        _describe -o option options
    elif (( $#inner )); then
        _describe command inner
    fi
}}
if [[ $funcstack[1] == _mirror ]]; then _mirror "$@"; else compdef _mirror {names}; fi
"""

_FISH = """\
# Completion of mirror for fish; made by `mirror completion fish`.
function __mirror_at --description 'whether the words before the cursor lead to this command'
    set -l at
    for word in (commandline -opc)[2..-1]
        test "$word" = --; and return 1
        switch "$at $word"
            case {steps}
                set at (string trim -- "$at $word")
        end
    end
    test "$at" = "$argv[1]"
end
for name in {names}
{lines}
end
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("completion", description=_DESCRIPTION)
    parser.add_argument("shell", choices=tuple(SCRIPTS), help="the shell that shall complete")


def run(args: argparse.Namespace) -> int:
    from mirror.cli.main import parser

    print(script(args.shell, list(places(parser()))), end="")
    return 0


def script(shell: str, found: Sequence[Place]) -> str:
    """The script for a shell: bash, zsh or fish."""
    return SCRIPTS[shell](found)


def _value_cases(found: Sequence[Place], complete: Callable[[Value], str]) -> str:
    """The arms of a ``case`` of bash or zsh: what completes the value after each option that takes one."""
    arms = []
    for place in found:
        for option in place.options:
            if option.value != FLAG:
                pattern = "|".join(f'"{place.name}:{word}"' for word in option.words)
                arms.append(f"        ({pattern}) {complete(option.value)}; return ;;")
    return "\n".join(arms)


def _bash(found: Sequence[Place]) -> str:
    words = []
    for place in found:
        plain = " ".join(word for word, _ in place.inner)
        options = " ".join(word for option in place.options for word in option.words)
        values_of = f"[[ $current == -* ]] || {{ {_bash_value(place.argument)}; return; }}; " if not plain else ""
        offer = f'[[ $current == -* ]] && words="{options}" || words="{plain}"' if plain else f'words="{options}"'
        words.append(
            f'        "{place.name}") {values_of}local words; {offer}; COMPREPLY=($(compgen -W "$words" -- "$current")) ;;'
        )
    return _BASH.format(
        steps=_steps(found), values=_value_cases(found, _bash_value), words="\n".join(words), names=NAMES
    )


def _bash_value(value: Value) -> str:
    if isinstance(value, tuple):
        return f'COMPREPLY=($(compgen -W "{" ".join(value)}" -- "$current"))'
    return {FILE: "compopt -o default", DIRECTORY: "compopt -o dirnames"}.get(value, ":")


def _zsh(found: Sequence[Place]) -> str:
    words = []
    for place in found:
        inner = " ".join(_zsh_item(word, told) for word, told in place.inner)
        options = " ".join(_zsh_item(word, option.told) for option in place.options for word in option.words)
        argument = (
            "" if place.inner else f"; [[ ${{words[CURRENT]}} == -* ]] || {{ {_zsh_value(place.argument)}; return }}"
        )
        words.append(f'        ("{place.name}") inner=({inner}); options=({options}){argument} ;;')
    return _ZSH.format(steps=_steps(found), values=_value_cases(found, _zsh_value), words="\n".join(words), names=NAMES)


def _zsh_item(word: str, told: str) -> str:
    return _quoted(f"{word}:{told}".replace("\\", "\\\\"))


def _zsh_value(value: Value) -> str:
    if isinstance(value, tuple):
        return f"compadd -- {' '.join(value)}"
    return {FILE: "_files", DIRECTORY: "_files -/"}.get(value, ":")


def _fish(found: Sequence[Place]) -> str:
    lines = []
    for place in found:
        begin = (
            f"    complete -c $name -n {_quoted(f'__mirror_at {_quoted(place.name)}' if place.name else '__mirror_at')}"
        )
        lines += [f"{begin} -f -a {word} -d {_fish_quoted(told)}" for word, told in place.inner]
        if not place.inner:
            lines.append(f"{begin} {_fish_value(place.argument)}")
        for option in place.options:
            lines.append(
                f"{begin} {_fish_option(option.words)}{_fish_tail(option.value)} -d {_fish_quoted(option.told)}"
            )
    steps = " ".join(_step_words(found))
    return _FISH.format(steps=steps, lines="\n".join(lines), names=NAMES)


def _fish_option(words: Sequence[str]) -> str:
    return " ".join(f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}" for word in words)


def _fish_tail(value: Value) -> str:
    return "" if value == FLAG else f" -r {_fish_value(value)}"


def _fish_value(value: Value) -> str:
    if isinstance(value, tuple):
        return f"-f -a {_fish_quoted(' '.join(value))}"
    return {FILE: "-F", DIRECTORY: "-f -a '(__fish_complete_directories)'"}.get(value, "-f")


def _step_words(found: Sequence[Place]) -> Iterator[str]:
    """Each step from one place to the next, as ``'PLACE WORD'``."""
    return (f'"{place.name} {word}"' for place in found for word, _ in place.inner)


def _steps(found: Sequence[Place]) -> str:
    return "|".join(_step_words(found))


def _quoted(words: str) -> str:
    """For bash and zsh, whose single quotes know no escape."""
    return "'" + words.replace("'", "'\\''") + "'"


def _fish_quoted(words: str) -> str:
    return "'" + words.replace("\\", "\\\\").replace("'", "\\'") + "'"


SCRIPTS: dict[str, Callable[[Sequence[Place]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
