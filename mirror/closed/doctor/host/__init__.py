"""What of this host a server stumbles on: GPUs and driver (``nvidia``, ``driverapi``, ``driver``), the ways between GPUs
(``transports``), ``disks``, ``resources``, the calling ``shell`` with its ``paths`` and ``proxies``, and the ``toolbox`` of
compilers."""
