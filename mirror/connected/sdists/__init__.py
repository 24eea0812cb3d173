"""Source distributions: ``sdist`` is what one says of itself, ``archive`` what another source does, ``source`` unpacks both."""
