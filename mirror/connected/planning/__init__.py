"""Planning: ``locks`` are read, ``wishes`` locks what is missing, ``pinned_files`` finds each pin's file; the ``plan`` is
made of them, as far as ``reach`` goes."""
