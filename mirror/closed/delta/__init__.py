"""Applying a delta: ``unpatching`` finds who decompresses here, ``restoring`` makes one file, ``applying`` holds the order."""
