"""The doctor: what is wrong with a host or an installed stack, why, the proof, and what to do.

1. ``finding``: one thing that was looked at, and how it is.
2. ``symptoms`` and ``log``: what a server's log says, explained.
3. ``facts``: what is read of the host (``nvidia``, ``driverapi``, ``resources``, ``toolbox``) and of the stack on it
   (``wheels``, ``cudahome``).
4. ``machine``: the host judged: ``driver``, ``shell``, ``paths``, ``proxies``, ``disks``.
5. ``stack``: what is installed judged: ``binaries``, ``linking``, ``gpucode``, ``caches``; ``trial``: does it work.
6. ``checkup``: all of it. ``page``: the same as one page of plain text.

Nothing here changes anything, and nothing it runs touches the network.
"""
