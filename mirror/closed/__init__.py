"""The closed side: one bundle in, one generation of a prefix out, without network and without root.

In the order of the journey:

1. ``host`` and ``preflight``: what this machine is, and every reason why the bundle cannot be installed on it.
2. ``prefix`` (with ``prefixlock``): generations, the lock, the one symbolic link that makes a generation current.
3. ``interpreter`` (with ``archive``): the host's Python for the target, or the one that the bundle carries.
4. ``wheelserver`` and ``venv``: the wheels, served to uv or pip straight out of the bundle.
5. ``toolkit``, ``environment`` and ``shells``: the CUDA toolkit out of RPMs, and ``env.sh``, all that another user needs
   (``sharing`` says what may be in their way).
6. ``selftest`` (with ``compiling``, ``hostcompiler`` and ``complaints``): what was installed imports, compiles, links and
   runs; a component that is missing is named.
7. ``building`` joins them into a generation, ``receipt`` is what is kept about it, ``install`` is the whole of it.
8. ``status``: what is installed, and going back; ``launch``: using it; ``garbage`` (with ``usage`` and ``caches``): what nobody
   needs any more.

Python 3.9 or newer, standard library only.
"""
