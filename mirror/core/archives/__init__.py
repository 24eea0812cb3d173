"""Archives that came from elsewhere, read strictly and in bounded memory.

``decompress`` and ``zstdframe`` give bytes; ``tarheader`` and ``tarstream`` read tars, which ``untar`` unpacks, ``cpio`` what
RPMs hold, ``zipdirectory``, ``zipseek`` and ``zipmembers`` zip files; ``pieces`` is what those who read them share. ``tarfile``
and ``zipfile`` are not used: they take what two readers read differently, and extended headers of any size into memory
(SECURITY.md 2.3).
"""
