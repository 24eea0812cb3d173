"""The closed side: one bundle in, one generation of a prefix out, without network and without root.

In the order in which a bundle passes, each standing only on those before it:

1. ``host``: this machine, its compiler and its driver, and the programs that are started on it; ``webserver`` gives out files
   on it.
2. ``venv``: an interpreter, and the wheels that uv or pip install into a venv. ``toolkit``: the CUDA toolkit out of packages.
3. ``delta``: the next bundle, out of the one before.
4. ``preflight``: every reason why a bundle cannot be installed here, before anything is written.
5. ``prefix``: generations, the link that makes one current, receipts and history.
6. ``environment``: ``env.sh``, caches, and running a program in it; ``silence``: what a program tries to reach.
7. ``warm``: compiled kernels that are carried from host to host, above them each user's own.
8. ``selftest``: what was installed imports, compiles, links and runs; ``soundness``: it still is as it was installed.
9. ``kinds`` install what a bundle carries, ``building`` joins them into a generation, ``upgrade_check`` says whether it may
   follow what is there; ``remedy``: what can be done about a damaged one; ``install`` is the whole of it; ``garbage`` removes
   what nobody needs.
10. ``site`` gives a bundle out as an index; ``which`` and ``doctor``: a file that is missing, a start that fails.

Arguments everywhere: proc is where the kernel's files are, progress whoever listens, store whom this user trusts, variables,
where it is not said, the calling shell's. Python 3.9 or newer, standard library only.
"""
