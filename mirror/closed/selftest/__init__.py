"""The self-test: a ``workbench`` for all checks; ``samples`` are what nvcc compiles, ``compiling`` does, ``compiler_errors``
names the part that is missing; ``firstprograms`` are what Python projects compile at a server's first start, ``firststart``
does; ``selftest`` is all of it, ``newcaches`` keeps what that of a new generation compiled."""
