"""Silence: what a program tries to reach while it runs.

``attempts`` is what counts as reaching out, ``questions`` reads names in what is sent; ``notifier`` is told of each call by the
kernel, ``notified`` reads the calls, ``tracer`` asks strace where the kernel will not; ``watching`` chooses between the two,
``record`` is what is kept of it.
"""
