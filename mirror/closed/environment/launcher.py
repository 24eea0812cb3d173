"""``mirror`` on the search path: a small script that runs the verified ``mirror.pyz`` which came in the bundle.

``env.sh`` puts its directory first on the path; other users of the host run it as well.

Rules: always ``-I``; the Python that installed is tried first, for it runs mirror and is none of what may be damaged,
then the one that the stack runs on, then a ``python3`` of the caller's that is new enough; the script says by which name it was
called, so that what mirror prints can be typed.

Example::

    write_launcher(generation, [Path(sys.executable), interpreter.path], prefix)
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from mirror.closed.prefix.generations import Generation
from mirror.core.system.durable import write_file

OPTION = "mirror"
"""``-X mirror=NAME`` tells mirror by which name it was called; unlike a variable it is not handed on to programs."""


def write_launcher(generation: Generation, pythons: Iterable[Path], prefix: Path) -> None:
    """Write ``bin/mirror``; ``mirror.pyz`` must lie beside it.

    Args:
        pythons: absolute, the best first. Those within ``prefix``, but for the generation itself, may go away and are left out.

    Raises:
        Unwritable: when the disk refuses.
    """
    home = str(prefix) + os.sep
    kept = [path for path in pythons if not str(path).startswith(home) or generation.path in path.parents]
    write_file(generation.launcher, _script(generation, dict.fromkeys(kept)).encode(), mode=0o755)


def _script(generation: Generation, pythons: Iterable[Path]) -> str:
    pyz = shlex.quote(str(generation.launcher.with_name("mirror.pyz")))
    lines = [
        "#!/bin/sh",
        "# mirror, as it came in the bundle that this generation was installed from. Written by mirror, never edited.",
        f"if [ ! -s {pyz} ]; then",  # Python runs an empty file without a word
        f"  printf '%s\\n' {pyz}' is empty or gone: run the mirror.pyz that came with the bundle instead' >&2",
        "  exit 127",
        "fi",
        f"for python in {' '.join(shlex.quote(str(path)) for path in pythons)}; do",
        f'  [ -x "$python" ] && exec "$python" -I -X "{OPTION}=$0" {pyz} "$@"',
        "done",
        "if python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then",
        f'  exec python3 -I -X "{OPTION}=$0" {pyz} "$@"',
        "fi",
        'echo "mirror: the Python that it was installed with is gone: run a Python 3.9 or newer with" >&2',
        f"echo '  python3 -I '{pyz} >&2",
        "exit 127",
    ]
    return "\n".join(lines) + "\n"
