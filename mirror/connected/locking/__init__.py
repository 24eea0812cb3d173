"""What ``mirror lock`` is made of: ``drafts`` (how to lock; files before they are written), ``upgrade`` (which pins are
forgotten), ``moves`` (old -> new), ``toolchainlock`` (the toolchain's files), ``copies`` (where a toolchain was locked
from)."""
