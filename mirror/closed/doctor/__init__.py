"""The doctor: what is wrong with a host or an installed stack, why, the proof, and what to do.

1. ``finding``: one thing that was looked at, and how it is.
2. ``symptoms`` and ``log``: what a server's log says, explained.
3. ``machine``: the host itself. ``stack``: what is installed on it.
4. ``page``: all of it as one page of plain text.

Nothing here changes anything, and nothing it runs touches the network.
"""
