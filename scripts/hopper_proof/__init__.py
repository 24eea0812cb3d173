"""The proof on a real Hopper GPU: a bundle made on a machine without one is installed and used on a machine that has one.

1. ``make``: on the connected machine: two bundles that differ in their toolchain, mirror.pyz, the fingerprint.
2. ``carry``: in pieces that fit through the gap, and together again on the other side.
3. ``prove``: on the GPU machine, as an ordinary user in a namespace without network: install, doctor, compile, run, compare.
4. ``attention`` and ``tma_wgmma.cu``: what is run there.

``prove`` and ``carry`` need nothing but Python 3.9: they are copied next to the bundles.
"""
