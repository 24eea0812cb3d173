"""Tools: what the installer itself runs, uv, pip, a zstd decompressor, and ``mirror.pyz``."""

from mirror.core.kinds.kind import Kind

TOOL = Kind(
    "tool",
    "tool",
    "tool of the installer",
    "tools of the installer",
    component="application",
    unknown_to_advisories="no project of an index",
    carried_for="used by the installer",
    is_installers=True,
    brings_wheels=True,
    is_copied=True,
    is_compiled_against=False,
)

MIRROR = TOOL.path("mirror.pyz")
"""mirror itself, as a zip application."""
