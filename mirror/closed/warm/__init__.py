"""Warm starts: kernels that were compiled on one host, carried to others, and used there by every user.

A *layer* is what the caches of one generation held after its server had started: signed like a bundle, and code like one. It
lies in the generation that it belongs to, read-only, and goes with it. Each user's own cache directory is above it: what the
layer holds is copied there once, checked by digest; what programs compile after that is theirs alone.

In the order in which a layer travels: ``programs`` knows what each program keeps and which of it can be carried, ``document``
is what a layer says of itself, ``key`` what it depends on; ``checksums`` makes torch's right where a
path in a file was replaced; ``packing`` makes one, ``carried`` reads and verifies one, ``layer``
puts it into a generation, ``private`` fills a user's cache from it and tells what was compiled since; ``aot`` is the link by
which FlashInfer finds its modules.
"""
