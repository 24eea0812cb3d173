"""An index: ``pages`` says what it offers, ``wheels`` which of it a target takes, ``choice`` the one file of each pin."""
