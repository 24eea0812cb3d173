"""The probe: ``sdist`` packs the source tree in ``source/``, a project of its own that proves a GPU build from end to end."""
