"""Fetching: ``download`` is one file to bring, ``store`` where it goes, ``transport`` and ``patience`` how a server is asked,
``part`` what is half here, ``fetch`` many at once. ``inputs`` is the digest of all that a result hangs on."""
