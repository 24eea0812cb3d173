"""The proof on a real Hopper GPU: a bundle made on a machine without one is installed and used on a machine that has one.

1. ``make``: on the connected machine: a bundle in volumes that fit through the gap, the delta of another one that differs in
   its toolchain, mirror.pyz, the fingerprint.
2. ``prove``: on the GPU machine, as an ordinary user in a namespace without network: install, doctor, compile, run, compare.
3. ``attention`` and ``tma_wgmma.cu``: what is run there.

``prove`` needs nothing but Python 3.9: it is copied next to the bundle.
"""
