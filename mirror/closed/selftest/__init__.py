"""The self-test: ``samples`` are what it compiles, ``compiling`` does, ``compiler_errors`` names the part that is missing,
``selftest`` is all of it."""
