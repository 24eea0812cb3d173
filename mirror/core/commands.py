"""Every command, told once: its name, the room it works in, and what it is for.

The command line, its help, completion, the man page and ``mirror.pyz`` all read this table; the options are in
``mirror.cli.commands``, by room, one module for each name. Nothing is imported to know which commands there are.

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
    kept: str = "It only reads: nothing was changed, and the same command begins anew."
    """What is true when it was interrupted."""

    @property
    def module(self) -> str:
        """Where its options and its ``run`` are."""
        return f"mirror.cli.commands.{self.room}.{self.name}"

    @property
    def is_carried(self) -> bool:
        """Whether ``mirror.pyz`` has it."""
        return self.room != CONNECTED


_WHOLE_FILE = "No file was half written: run the same command again."
_DECIDED = "Whether the {} was written, 'mirror verify' shows; the same command writes it again."
_ONE_STEP = "Either nothing was changed or all of it: '{}' shows what is {}."
_FETCHED = "{} What was fetched and built is kept: the same command goes on there."

COMMANDS = (
    Command("init", CONNECTED, "begin a stack: write its NAME.toml",
            "NAME.toml is there whole or not at all: look before you run it again."),
    Command("lock", CONNECTED, "pin what a stack wishes for",
            "Each lock file is whole, the old one or the new one. What was fetched is kept: the same command goes on there."),
    Command("bundle", CONNECTED, "fetch, build, pack and sign what a lock names",
            _FETCHED.format("The bundle is there whole or not at all.")),
    Command("build", CONNECTED, "build a stack's wheels alone, here or on many machines",
            _FETCHED.format("No wheel is half written.")),
    Command("installer", CONNECTED, "write mirror.pyz, the installer for the closed network", _WHOLE_FILE),
    Command("key", CONNECTED, "make and show signing keys",
            "A key is there whole or not at all: look before you make it again."),
    Command("verify", REVIEW, "check a bundle's signatures and every byte"),
    Command("inspect", REVIEW, "list what is inside a bundle"),
    Command("report", REVIEW, "write the page that a reviewer decides from", _WHOLE_FILE),
    Command("diff", REVIEW, "show what changed between two bundles"),
    Command("rescan", REVIEW, "judge a bundle again with newer advisories", _WHOLE_FILE),
    Command("approve", REVIEW, "counter-sign a bundle", _DECIDED.format("approval")),
    Command("reject", REVIEW, "refuse a bundle, with a reason", _DECIDED.format("refusal")),
    Command("detect", CLOSED, "say in one small file what this host is",
            "The file is there whole or not at all: run the same command again."),
    Command("apply", CLOSED, "make a bundle of a delta and the bundle before",
            "The bundle is there whole or not at all. What was written of it is kept beside, hidden: the same command "
            "goes on."),
    Command("install", CLOSED, "verify a bundle and install it",
            "Nothing is half installed: 'mirror status' shows what is current, which is what was before or all of the new one. "
            "The same command begins anew."),
    Command("publish", CLOSED, "give a bundle's wheels and RPMs to the site",
            "Each file is there whole or not at all, and no page names what is not there: the same command goes on."),
    Command("serve", CLOSED, "serve a bundle's wheels and RPMs to pip, uv and dnf"),
    Command("env", CLOSED, "print the environment for a shell"),
    Command("run", CLOSED, "run a program in the environment of what is installed"),
    Command("cache", CLOSED, "carry compiled kernels to other hosts, for warm starts",
            "A layer is there whole or not at all: the same command begins anew."),
    Command("silence", CLOSED, "run a command and list what it tries to reach"),
    Command("which", CLOSED, "say which RPM brings a file"),
    Command("doctor", CLOSED, "find what is wrong with the host or the stack; explain a log"),
    Command("status", CLOSED, "show what is installed"),
    Command("activate", CLOSED, "make a prepared generation current", _ONE_STEP.format("mirror status", "current")),
    Command("rollback", CLOSED, "make an older installed generation current", _ONE_STEP.format("mirror status", "current")),
    Command("gc", CLOSED, "remove old generations and caches",
            "What was removed is gone, what is left is whole or goes with the next 'mirror gc': the same command goes on."),
    Command("trust", ANYWHERE, "say whom this machine trusts", _ONE_STEP.format("mirror trust show", "trusted")),
    Command("targets", ANYWHERE, "print what is known of GPUs, CUDA releases and builds for them"),
    Command("split", ANYWHERE, "write a file in volumes for media, and check them",
            "Volumes that are there are whole: the same command goes on after them."),
    Command("help", ANYWHERE, "show a page of the handbook, or a command's help"),
    Command("completion", ANYWHERE, "print the completion script for a shell"),
)  # fmt: skip


def find(name: str) -> Optional[Command]:
    """The command of that name; None when there is none."""
    return next((command for command in COMMANDS if command.name == name), None)
