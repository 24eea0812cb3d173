"""Resolving: ``resolver`` finds versions (uv, or pip-tools), ``pinning`` makes pins of them, ``coverage`` says whether they
still answer."""
