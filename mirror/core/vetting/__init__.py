"""Vetting: is a wheel what it says it is, before any installer sees it?

``rules`` are what is held, ``identity`` and ``wheel`` judge one wheel, ``together`` all of a bundle's.
"""
