"""An index: ``defaultindex`` is which, ``pages`` says what it offers (``simplepage`` reads a page, ``indexfile`` is one file on
it), which ``pagememory`` remembers, ``wheels`` which of it a target takes, ``choice`` the one file of each pin, which ``found``
remembers.
"""
