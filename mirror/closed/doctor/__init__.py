"""The doctor: what is wrong with a host or an installed stack, why, the proof, and what to do.

``mirror.core.logs`` explains a log, and ``here`` looks at what it says; ``host`` and ``installed`` look, ``facts`` is what they
saw; ``machine``, ``stack`` and ``trial`` judge it, ``checkup`` is all of them, ``page`` the same for an issue. It changes
nothing and uses no network.
"""
