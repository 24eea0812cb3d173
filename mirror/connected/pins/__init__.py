"""Pins: ``requirements`` is the Python lock, its own and other tools'; ``markers`` says which of it is for the target;
``standards`` and ``foreignyaml`` read the texts of others."""
