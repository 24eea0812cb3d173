"""A piece of Python in a process of its own, that may not grow: what is read in it is read in bounded memory.

Example::

    done = within(64, "from mirror.core.x import y", "y(open(sys.argv[1], 'rb'))", str(path))
    assert done.stdout == "..."
"""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import resource, sys
{imports}
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = now + ({mib} << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
{code}
"""


def within(
    mib: int, imports: str, code: str, *arguments: str, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run code that may take so many MiB more than Python and what it imports. ``sys`` is there."""
    script = _SCRIPT.format(imports=imports, mib=mib, code=code)
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
