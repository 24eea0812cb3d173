"""A site's rules: ``document`` is policy.toml, ``spdx`` its licences, ``rules`` holds a bundle against it.

Own code for SPDX expressions, because nothing well kept reads them in the standard library of Python 3.9.
"""
