"""Every command, told once: its name, the room it works in, and what it is for.

The command line, its help, completion, the man page and ``mirror.pyz`` all read this table; the options are in
``mirror.cli``, one module for each name. Nothing is imported to know which commands there are.

Rules: the order is the journey's; ``mirror.pyz`` holds every command but those of the connected room, which need Python 3.11
and libraries.

Example::

    >>> find("verify").room
    'review'
"""

from __future__ import annotations

from typing import NamedTuple, Optional

CONNECTED, REVIEW, CLOSED, ANYWHERE = "connected", "review", "closed", "anywhere"

ROOMS = {
    CONNECTED: "on the connected machine",
    REVIEW: "for the reviewer",
    CLOSED: "in the closed network",
    ANYWHERE: "anywhere",
}
"""The rooms as help calls them, in order."""


class Command(NamedTuple):
    """One word after ``mirror``."""

    name: str
    room: str
    summary: str

    @property
    def is_carried(self) -> bool:
        """Whether ``mirror.pyz`` has it."""
        return self.room != CONNECTED


COMMANDS = (
    Command("init", CONNECTED, "begin a stack: write its NAME.toml"),
    Command("lock", CONNECTED, "pin what a stack wishes for"),
    Command("bundle", CONNECTED, "fetch, build, pack and sign what a lock names"),
    Command("installer", CONNECTED, "write mirror.pyz, the installer for the closed network"),
    Command("key", CONNECTED, "make and show signing keys"),
    Command("verify", REVIEW, "check a bundle's signatures and every byte"),
    Command("inspect", REVIEW, "list what is inside a bundle"),
    Command("report", REVIEW, "write the page that a reviewer decides from"),
    Command("diff", REVIEW, "show what changed between two bundles"),
    Command("rescan", REVIEW, "judge a bundle again with newer advisories"),
    Command("approve", REVIEW, "counter-sign a bundle"),
    Command("reject", REVIEW, "refuse a bundle, with a reason"),
    Command("install", CLOSED, "verify a bundle and install it"),
    Command("env", CLOSED, "print the environment for a shell"),
    Command("run", CLOSED, "run a program in the environment of what is installed"),
    Command("which", CLOSED, "say which RPM brings a file"),
    Command("doctor", CLOSED, "find what is wrong with the host or the stack; explain a log"),
    Command("status", CLOSED, "show what is installed"),
    Command("rollback", CLOSED, "make an older installed generation current"),
    Command("gc", CLOSED, "remove old generations and caches"),
    Command("trust", ANYWHERE, "say whom this machine trusts"),
    Command("help", ANYWHERE, "show a page of the handbook, or a command's help"),
    Command("completion", ANYWHERE, "print the completion script for a shell"),
)


def find(name: str) -> Optional[Command]:
    """The command of that name; None when there is none."""
    return next((command for command in COMMANDS if command.name == name), None)
