"""Vetting: is a wheel, or a file of a model, what it says it is, before any installer or loader sees it?

``rules`` are what is held, ``identity`` and ``wheel`` judge one wheel, ``together`` all of a bundle's, with ``cuda`` for
those of CUDA; ``modelfile`` judges one file of a model, ``safetensors`` its header.

Own code, because nothing well kept reads safetensors in the standard library of Python 3.9.
"""
