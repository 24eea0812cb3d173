"""Vetting: is a wheel, or a file of a model, what it says it is, before any installer or loader sees it?

``rules`` are what is held, ``identity`` and ``wheel`` judge one wheel, ``together`` all of a bundle's; ``modelfile`` judges one
file of a model, ``safetensors`` its header.
"""
