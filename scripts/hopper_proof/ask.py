"""Start a server, ask it for one token, end it: what is run under ``mirror silence``.

Example::

    python3 ask.py 8000 server.log vllm serve MODEL --port 8000 --served-model-name proof
"""

from __future__ import annotations

import sys
from pathlib import Path

from server import NotReady, Server


def main() -> int:
    port, log, *command = sys.argv[1:]
    try:
        with Server(command, Path(log), int(port)) as server:
            print(f"answered after {server.ready_s:.1f} s", file=sys.stderr)
    except NotReady as exc:
        print(f"{log}: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
