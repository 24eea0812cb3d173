"""Fetching: ``download`` is one file to bring, ``store`` where it goes and ``claim`` a directory there for one run,
``connections``, ``transport`` and ``patience`` how a server is asked and for how long, ``part`` what is half here, ``fetch``
many at once. ``inputs`` is the digest of all that a result hangs on.
"""
