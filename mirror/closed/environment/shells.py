"""How each shell says the environment of a generation.

``mirror.closed.environment.variables`` says which variables there are. For sh (with bash, dash and zsh) and fish it is a script
that any user may source at any time, so their home, cache directory and search paths are looked up when it runs; ``env.sh`` and
``env.fish`` of a generation are these. csh has no words for that which survive its ``eval`` of one line, so it is told final
values, for the user who asks; JSON is for programs.

Rules: a script is safe to source twice, after another generation's, under ``set -eu`` and with any characters in any value;
it leaves no variable of its own behind; an empty element of a search path would mean the current directory, so none is made.

Example::

    generation.env_script.write_text(sh_script(environment))
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Callable

from mirror.closed.environment.variables import CACHES, UNSET, WEIGHTS, WIDTH, Environment

_CSH_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:+,=@-")


def sh_script(environment: Environment) -> str:
    """``env.sh``, for sh, bash, dash, zsh and busybox."""
    generation, key = shlex.quote(str(environment.generation)), environment.jit_key()
    lines = [
        f"# {_title(environment)}: source this file from sh, bash or zsh.",
        "# Written by mirror, never edited: another generation has its own.",
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.fixed().items()),
        *(f"unset {name}" for name in UNSET),
    ]
    for name, first in environment.prepended().items():
        lines += _sh_prepend(name, shlex.quote(first))
    if environment.is_data:
        return "\n".join(lines) + "\n"
    lines += [
        f"[ -e {generation}/venv/bin/python ] || command printf '%s\\n' {shlex.quote(_lost(environment))} >&2",
        f'case "${{HOME:-}}" in /*) _mirror_cache="$HOME/.cache" ;; *) _mirror_cache={generation}/.cache ;; esac',
        'case "${XDG_CACHE_HOME:-}" in /*) _mirror_cache="$XDG_CACHE_HOME" ;; esac',
        f'export {WEIGHTS}="${{{WEIGHTS}:-${{MLC_LLM_HOME:-$_mirror_cache/mlc_llm}}/model_weights}}"',
        "# A user without a name, as in many containers: torch's import asks for one.",
        '[ -n "${LOGNAME:-}${USER:-}" ] || command id -un >/dev/null 2>&1 || export LOGNAME="uid-$(command id -u)"',
        f'_mirror_jit="$_mirror_cache/mirror/jit/{key}"',
        "# Compiled files hold this path, and serve another user only where it is as long ('mirror cache').",
        f'_mirror_zeros=$(({WIDTH - 1} - $(command printf %s "$_mirror_jit" | command wc -c)))',
        '[ "$_mirror_zeros" -le 0 ] || _mirror_jit="${_mirror_jit}_$(command printf "%0${_mirror_zeros}d" 0)"',
        *(f'export {name}="$_mirror_jit{"/" * bool(below)}{below}"' for name, below in CACHES.items()),
        "# Whose the cache is, for 'mirror gc --caches'; nobody else may write what is made here.",
        '[ -L "$_mirror_jit/generation" ] || {',
        '  (umask 077 && command mkdir -p "$_mirror_jit") &&',
        f'  command ln -sn {generation} "$_mirror_jit/generation"',
        "} 2>/dev/null || :",
        "# A layer of compiled kernels that was added to the generation is copied once: 'mirror cache'.",
        f'if [ -L {generation}/warm ] && [ ! -e "$_mirror_jit/$(command readlink {generation}/warm).json" ]; then',
        f"  {_fill_command(environment, shlex.quote)} || :",
        "fi",
        "unset _mirror_cache _mirror_jit _mirror_zeros",
    ]
    return "\n".join(lines) + "\n"


def _lost(environment: Environment) -> str:
    return (
        f"mirror: {environment.venv}/bin/python is not there, and another Python would run: what was installed was moved, or "
        "the host's Python was removed. 'mirror status --check' tells which, 'mirror install --repair BUNDLE' builds it anew."
    )


def _fill_command(environment: Environment, quote: Callable[[str], str]) -> str:
    """Fill the user's caches from the generation's layer; quoted for a shell."""
    generation = environment.generation
    words = (str(generation / "bin" / "mirror"), "cache", "fill", "--prefix", str(generation.parents[1]))
    return f"{' '.join(map(quote, words))} --generation {generation.name} >/dev/null"


def _sh_prepend(name: str, first: str) -> list[str]:
    """Put ``first`` (quoted) before what a search path holds, unless it is at its very front already."""
    return [
        f'case "${{{name}:-}}:" in',
        f"  {first}:*) ;;",
        f'  *) {name}={first}"${{{name}:+:${name}}}" ;;',
        "esac",
        f"export {name}",
    ]


def fish_script(environment: Environment) -> str:
    """``env.fish``."""
    generation, key = _fish_quote(str(environment.generation)), environment.jit_key()
    lines = [
        f"# {_title(environment)}: source this file from fish.",
        "# Written by mirror, never edited: another generation has its own.",
        *(f"set -gx {name} {_fish_quote(value)}" for name, value in environment.fixed().items()),
        *(f"set -e {name}" for name in UNSET),
    ]
    for name, first in environment.prepended().items():
        lines += _fish_prepend(name, first.split(":"))
    if environment.is_data:
        return "\n".join(lines) + "\n"
    lines += [
        f"test -e {generation}/venv/bin/python; or command printf '%s\\n' {_fish_quote(_lost(environment))} >&2",
        f"set -g _mirror_cache {generation}/.cache",
        """string match -q -- '/*' "$HOME"; and set -g _mirror_cache "$HOME/.cache\"""",
        """string match -q -- '/*' "$XDG_CACHE_HOME"; and set -g _mirror_cache "$XDG_CACHE_HOME\"""",
        'set -q MLC_LLM_HOME; and set -g _mirror_models "$MLC_LLM_HOME"; or set -g _mirror_models "$_mirror_cache/mlc_llm"',
        f'test -n "${WEIGHTS}"; or set -gx {WEIGHTS} "$_mirror_models/model_weights"',
        "# A user without a name, as in many containers: torch's import asks for one.",
        'if test -z "$LOGNAME$USER"; and not command id -un >/dev/null 2>&1',
        "    set -gx LOGNAME uid-(command id -u)",
        "end",
        f'set -g _mirror_jit "$_mirror_cache/mirror/jit/{key}"',
        "# Compiled files hold this path, and serve another user only where it is as long ('mirror cache').",
        f'set -g _mirror_zeros (math {WIDTH - 1} - (command printf %s "$_mirror_jit" | command wc -c))',
        'test $_mirror_zeros -le 0; or set -g _mirror_jit "$_mirror_jit"_(command printf "%0"$_mirror_zeros"d" 0)',
        *(f'set -gx {name} "$_mirror_jit{"/" * bool(below)}{below}"' for name, below in CACHES.items()),
        "# Whose the cache is, for 'mirror gc --caches'; nobody else may write what is made here.",
        'if not test -L "$_mirror_jit/generation"',
        """    command sh -c 'umask 077 && exec mkdir -p "$1"' sh "$_mirror_jit" 2>/dev/null""",
        f'    and command ln -sn {generation} "$_mirror_jit/generation" 2>/dev/null',
        "end",
        "# A layer of compiled kernels that was added to the generation is copied once: 'mirror cache'.",
        f'if test -L {generation}/warm; and not test -e "$_mirror_jit/"(command readlink {generation}/warm).json',
        f"    {_fill_command(environment, _fish_quote)}",
        "end",
        "set -e _mirror_cache; set -e _mirror_models; set -e _mirror_jit; set -e _mirror_zeros",
    ]
    return "\n".join(lines) + "\n"


def _fish_prepend(name: str, elements: list[str]) -> list[str]:
    """As ``_sh_prepend``. A variable whose name ends in PATH is a list in fish, split at colons."""
    first = " ".join(map(_fish_quote, elements))
    missing = "; or ".join(f'test "${name}[{n}]" != {_fish_quote(text)}' for n, text in enumerate(elements, 1))
    return [
        f'if test -z "${name}"',
        f"    set -gx {name} {first}",
        f"else if {missing}",
        f"    set -gx {name} {first} ${name}",
        "end",
    ]


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def csh_script(environment: Environment, base: Mapping[str, str]) -> str:
    """Commands for csh and tcsh, to be evaluated by the shell whose environment ``base`` is.

    Whether they are given to ``eval`` with or without double quotes makes no difference: no blank, quote, ``!`` or wildcard of
    a value is written as itself.
    """
    caches = environment.caches(base)
    lines = [f"unsetenv {name};" for name in UNSET]
    lines += [f"setenv {name} {_csh_quote(value)};" for name, value in environment.changes(base, caches).items()]
    return "\n".join(lines) + "\n"


def _csh_quote(text: str) -> str:
    if text and all(letter in _CSH_PLAIN for letter in text):
        return text
    octal = "".join(
        letter
        if letter in _CSH_PLAIN
        else "".join(f"\\{byte:03o}" for byte in letter.encode("utf-8", "surrogateescape"))
        for letter in text
    )
    return f"\"`printf '{octal}'`\""


def as_document(environment: Environment, base: Mapping[str, str]) -> dict[str, Any]:
    """For programs: what to set, what to put before search paths, what to remove; caches are the asking user's."""
    prepended, changes = environment.prepended(), environment.changes(base, environment.caches(base))
    return {
        "stack": environment.manifest.name,
        "generation": str(environment.generation),
        "set": {name: value for name, value in changes.items() if name not in prepended},
        "prepend": {name: first.split(":") for name, first in prepended.items()},
        "unset": list(UNSET),
    }


def _title(environment: Environment) -> str:
    return f"{environment.manifest.name}, generation {environment.generation.name}"
