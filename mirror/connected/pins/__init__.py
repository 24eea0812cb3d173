"""Pins: ``standards`` and ``foreignyaml`` read the texts of others; ``markers`` says what is for the target, ``pythonlock``
is the Python lock as a value, ``requirements`` reads and writes it, and other tools' too; ``foreign`` are files that are no
lock; ``ownership`` tells mirror's own files from those of others.
"""
