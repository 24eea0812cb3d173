"""``mirror which``: a ``place`` to ask, and the ``search`` in it."""
