"""A new stack: ``borrowed`` is what another project's files wish for, ``draft`` writes the NAME.toml of it."""
