"""What is known against a bundle's files: OSV records in, one dated paper out.

``cvss``, ``affected`` and ``record`` read a record, ``dump`` many; ``search`` asks them about artifacts; ``known`` is the
paper.

Own code, because nothing well kept reads OSV or CVSS in the standard library of Python 3.9.
"""
