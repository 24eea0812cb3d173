"""What touches the operating system: files that are written whole (``durable``), the user's home, signals that wait, how much
memory and processor time is left (``allowance``), the allocator of threads (``allocator``)."""
