"""File systems of a test's own."""

from __future__ import annotations

import subprocess

import pytest


def can_mount() -> bool:
    """Whether a mount namespace of one's own can be had."""
    return subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not can_mount(), reason="needs user and mount namespaces")
