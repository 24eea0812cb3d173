"""Archives that came from elsewhere, read strictly and in bounded memory.

``zstdframe`` and ``decompress`` give bytes; ``tarheader`` and ``tarstream`` read tars, which ``untar`` unpacks, ``cpio`` what
RPMs hold, ``zipdirectory``, ``zipseek`` and ``zipmembers`` zip files; ``checkedzip`` opens one whose digest was right, with the
standard library; ``pieces`` is what those who read them share.

Own code: ``tarfile`` and ``zipfile`` take what two readers read differently, and extended headers of any size into memory
(SECURITY.md 2.3); nothing well kept reads cpio or a zstd frame's header in the standard library of Python 3.9.
"""
