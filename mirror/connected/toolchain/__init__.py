"""The CUDA toolchain on the connected side: from wishes to pins.

RPMs: ``rpmpackage``, ``repodata`` (by ``repodataprocess``, which may die of it) and ``repository`` read a signed repository,
``closure``, ``coherence`` and ``selection`` choose, ``filelists`` keeps which RPM brings which file, ``rpmlock`` writes it
down, ``hermeto`` as another tool has it, ``drift`` tells what has changed since. NVIDIA's archives: ``redistmanifest``,
``redistpin``, ``redistlock``. ``lockfile`` is what locks of kinds share.
"""
