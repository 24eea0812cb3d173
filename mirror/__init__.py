"""mirror carries a GPU inference stack into a closed network.

Rooms, in the order in which data travels: ``connected`` (lock, plan, fetch, build, pack, sign), ``review`` (verify,
inspect), ``closed`` (verify, preflight, install, activate). All stand on ``core``; ``cli`` is the only door.

Modules cite SECURITY.md, CUDA.md and DESIGN.md: the pages ``mirror/help/security.md``, ``cuda.md`` and ``design.md``, which
``mirror help`` shows; ``mirror help contributing`` says how to add to all of this.
"""

__version__ = "0.1.0"
