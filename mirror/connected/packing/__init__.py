"""Packing: ``assembly`` gathers the members, ``meta`` writes what mirror itself says, ``installer`` is mirror.pyz;
``mirror.core.bundle.writer`` writes the tar. ``foreseen`` knows which bundle equal inputs made, ``standing`` whether a file is
it."""
