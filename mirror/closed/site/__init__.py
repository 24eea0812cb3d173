"""What a site gives out of a bundle: a Python package index and an RPM repository, out of bytes that were verified.

In order: ``shelf`` (what a verified and approved bundle has for a site), ``pages`` (the index's pages), ``rpmmetadata`` (the
repository's repodata), ``tree`` (every path of the site), ``server`` (served out of the bundle), ``directory`` (written as
files for any web server), ``indexpage``, ``index``, ``credentials`` and ``upload`` (the wheels given to an index that the site
has already).

Own code, because nothing well kept writes repodata in the standard library of Python 3.9.
"""
