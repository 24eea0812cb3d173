"""Packing: ``assembly`` gathers the members, ``meta`` writes what mirror itself says, ``leftout`` what the wheels miss of it,
``installer`` is mirror.pyz; ``foreseen`` knows which bundle equal inputs made, ``unchanged`` whether a file is it;
``mirror.core.bundle.writer`` writes the tar where it is not.
"""
