"""The environment of a generation: ``variables``, how each shell says them (``shells``), JIT ``caches``, ``launch``."""
