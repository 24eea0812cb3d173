"""What ``mirror lock`` is made of: ``drafts`` (how to lock; files before they are written), ``adoption`` (for a host's file),
``upgrade`` (which pins are forgotten), ``consistency`` (pins are for one CUDA), ``moves`` (old -> new), ``copies`` (where a
toolchain was locked from); ``kinds`` has the lock of each kind, made by ``request`` (``rpms``: the one with a file index beside
it; ``interpreter``)."""
