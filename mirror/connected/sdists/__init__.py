"""Source distributions: ``sdist`` is what one says of itself, ``source`` unpacks it."""
