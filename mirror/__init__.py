"""mirror carries a GPU inference stack into a closed network.

Rooms, in the order in which data travels: ``connected`` (lock, plan, fetch, build, pack, sign), ``review`` (verify,
inspect), ``closed`` (verify, preflight, install, activate). All stand on ``core``; ``cli`` is the only door.
"""

__version__ = "0.1.0"
