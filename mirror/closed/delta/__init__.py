"""Applying a delta: ``unpatching`` finds who decompresses here, ``restoring`` makes one file, ``unfinished`` is the bundle
until it has its name, ``applying`` holds the order."""
