"""Resolving: ``resolver`` finds versions (uv, or pip-tools), ``answers`` remembers them, ``pinning`` makes pins of them,
``buildwith`` says what builds have no wheel of, ``coverage`` whether they still answer, ``keptout`` what kept newer ones out.
"""
