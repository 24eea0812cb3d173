"""Targets as data: ``distributions`` (glibc floors, NVIDIA's repositories), ``matrix`` (variants of one build, and what follows
from each), ``detected`` (what a host says of itself), ``fit`` (whether a target and a host go together)."""
