"""The closed side: one bundle in, one generation of a prefix out, without network and without root.

Packages, each standing only on those before it:

1. ``host``: this machine, its compiler and its driver, and the programs that are started on it.
2. ``venv``: an interpreter, and the wheels that uv or pip install into a venv. ``toolkit``: the CUDA toolkit out of packages.
   ``kinds``: files and models.
3. ``preflight``: every reason why a bundle cannot be installed here, before anything is written.
4. ``prefix``: generations, the link that makes one current, receipts and history.
5. ``environment``: ``env.sh``, caches, and running a program in it.
6. ``warm``: compiled kernels that are carried from host to host, above them each user's own.
7. ``selftest``: what was installed imports, compiles, links and runs.
8. ``building`` joins them into a generation; ``install`` is the whole of it; ``garbage`` removes what nobody needs.
9. ``which`` and ``doctor``: a file that is missing, a start that fails. ``silence``: what a program tries to reach.

Python 3.9 or newer, standard library only.
"""
