"""Resolving: ``resolver`` finds versions (uv, or pip-tools), ``answers`` remembers them, ``pinning`` makes pins of them,
``coverage`` says whether they still answer, ``keptout`` what kept newer ones out.
"""
