"""Planning: ``locks`` are read, ``wishes`` locks what is missing, ``pinned_files`` finds each pin's file, ``planning`` makes
the ``plan``."""
