"""What is inside the files of a bundle: ``wheelcontents``, ``packagecontents``, ``modelcontents`` and ``filecontents`` read,
``licences`` names, ``inside`` is what was found, ``inspection`` does all of it at once and remembers it; ``watched`` does so of
packages that somebody else is reading, ``arriving`` of wheels while others are fetched."""
