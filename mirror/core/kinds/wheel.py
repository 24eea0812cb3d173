"""Wheels: the Python projects of a stack (PEP 427)."""

from mirror.core.kinds.kind import Kind

WHEEL = Kind("wheel", "wheels", "Python wheel", "Python wheels", is_project=True, brings_wheels=True)
