"""What touches the operating system: the user's home (``home``), ``signals`` that wait, threads that end together (``crew``),
files that are written whole (``durable``) or ``copying``, the place of a result (``output``), what a file is (``filekinds``),
how much memory and processor time is left (``allowance``), the allocator of threads (``allocator``).
"""
