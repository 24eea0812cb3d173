"""The closed room is tested on every Python it runs on; bundles are made by the connected room, which needs 3.11."""

import sys

collect_ignore: list[str] = []

if sys.version_info >= (3, 11):
    from tests.support.desk import desk, tools

    __all__ = ["desk", "tools"]
else:
    collect_ignore += ["test_install.py", "test_install_faults.py", "test_toolkit.py", "test_venv.py"]
