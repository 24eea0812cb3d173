"""An index: ``pages`` says what it offers (``simplepage`` reads a page, ``indexfile`` is one file on it), ``wheels`` which of
it a target takes, ``choice`` the one file of each pin."""
