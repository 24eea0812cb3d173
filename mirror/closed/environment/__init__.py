"""The environment of a generation: JIT ``caches``, ``variables``, how each shell says them (``shells``), a ``launch`` in it,
and ``launcher``, which is mirror itself on its search path.
"""
