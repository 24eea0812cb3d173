"""Commands are tested at an operator's desk."""

from tests.support.desk import desk, tools

__all__ = ["desk", "tools"]
