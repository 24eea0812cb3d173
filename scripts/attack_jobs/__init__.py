"""Attacks on mirror, each a job that prints what it counted.

1. ``table``: the groups of hostile inputs, the tests that show them, and what they lead to.
2. ``mutants``: altered copies of a small signed bundle; none may be accepted.
3. ``faults``: every call into the file system fails in turn; the old state or the new one stands.
4. ``fuzz``: each parser is fed what a coverage-guided fuzzer makes up; nothing but a named error comes out.

Rules: nothing leaves this machine; each job ends with exit code 1 when it found something, and says how to see it again.
"""
