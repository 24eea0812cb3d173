"""Packing: ``assembly`` gathers the members, ``meta`` writes what mirror itself says, ``leftout`` what the wheels miss of it,
``installer`` is mirror.pyz; ``mirror.core.bundle.writer`` writes the tar, unless it is ``unchanged``.
"""
