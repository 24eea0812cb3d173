"""A delta: what turns one bundle into the next, byte for byte.

``document`` is its head, ``opened`` the file; ``unpacked`` shows a wheel as its framing and its unpacked members, and
``deflating`` packs members again to the very bytes they had. ``mirror.connected.delta`` makes deltas,
``mirror.closed.delta`` applies them. Nothing in a delta is trusted: the bundle that comes out is verified as any other.
"""
