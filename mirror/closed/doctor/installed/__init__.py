"""What of the installed stack a server stumbles on: its ``files`` as they were installed, the toolkit (``cudahome``), the
``wheels``, their ``binaries`` with ``gpucode``, how the loader would link them (``hostlibraries``, ``linking``), and JIT
``caches``.
"""
