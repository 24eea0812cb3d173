"""Wheels, as text: ``versions``, ``requirement`` and ``tags`` (own code for what ``packaging`` does where it is there; its last
release for Python 3.9 is frozen), ``needs`` (who needs whom), ``paths``, ``hostcommands`` (names that no script is to have),
``record``; and the file: ``wheelzip``, its strict form, and ``wheelfile``, all that is in it.
"""
