"""The interpreter: a relocatable Python, for hosts that have none for the target."""

from mirror.core.kinds.kind import Kind

INTERPRETER = Kind(
    "interpreter",
    "python",
    "Python interpreter",
    "Python interpreters",
    component="platform",
    unknown_to_advisories="the source knows Python's projects, not its interpreters",
    carried_for="the Python that the stack runs with",
    is_python=True,
    is_copied=True,
)
