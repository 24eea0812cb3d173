"""A CUDA toolkit out of packages, without rpm and without root.

``package`` is the model. RPMs: ``rpmheader``, ``rpm`` (who signed them), ``payload`` (their files), ``rpmsource``; NVIDIA's
component archives: ``redist``. ``carried`` finds either in a bundle; ``tree`` decides what they make together and
``toolchain`` writes it. ``fileindex`` and ``filesearch`` say which package brings a file.

Own code, because nothing well kept reads RPMs in the standard library of Python 3.9.
"""
