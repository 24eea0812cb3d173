"""The user name and password for a site's package index: from the environment, the netrc file, or the keyring.

They are read here and handed to twine in its environment, which other users of the host cannot see; they are never an argument,
part of an address, or a word in an error.

Example::

    credentials = read_credentials("https://pypi.site.example/", os.environ)
    credentials.header()
"""

from __future__ import annotations

import base64
import netrc
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mirror.core.errors import InvalidDocument, Unreadable

USERNAME, PASSWORD = "TWINE_USERNAME", "TWINE_PASSWORD"
_ASK_S = 30


@dataclass(frozen=True)
class Credentials:
    """Who uploads."""

    username: str
    password: str = field(repr=False)

    def header(self) -> str:
        """For HTTP (RFC 7617)."""
        return f"Basic {base64.b64encode(f'{self.username}:{self.password}'.encode()).decode('ascii')}"

    def environment(self) -> dict[str, str]:
        """For twine."""
        return {USERNAME: self.username, PASSWORD: self.password}


def read_credentials(url: str, environment: Mapping[str, str]) -> Credentials | None:
    """What the environment or the netrc file tells; None when neither does.

    Raises:
        Unreadable, InvalidDocument: when there is a netrc file that cannot be read; none of its words are told.
    """
    username, password = environment.get(USERNAME, ""), environment.get(PASSWORD, "")
    if username and password:
        return Credentials(username, password)
    named = environment.get("NETRC", "")
    path = Path(named or Path(environment.get("HOME") or "/nonexistent") / ".netrc")
    try:
        found = netrc.netrc(str(path)).authenticators(urlsplit(url).hostname or "")
    except (FileNotFoundError, NotADirectoryError) as exc:
        if named:
            raise Unreadable(str(path), exc.strerror or "it is not there") from exc
        return None
    except OSError as exc:
        raise Unreadable(str(path), exc.strerror or str(exc)) from exc
    except netrc.NetrcParseError as exc:
        raise InvalidDocument("netrc file", str(path), f"line {exc.lineno} cannot be understood") from None
    except UnicodeDecodeError:
        raise InvalidDocument("netrc file", str(path), "it is no text") from None
    if found is None or not found[2] or (username and username != found[0]):
        return None
    return Credentials(found[0] or found[1] or "", found[2])


def ask_keyring(url: str, twine: list[str], environment: Mapping[str, str]) -> Credentials | None:
    """What the keyring of twine's Python has for an index, as twine itself asks it; None when it has nothing.

    Args:
        twine: the command, beside which ``keyring`` lies.
    """
    program = [twine[0], "-m", "keyring"] if "-m" in twine else [str(Path(twine[0]).with_name("keyring"))]
    username = environment.get(USERNAME, "")
    words = ["get", url, username] if username else ["--mode", "creds", "get", url, ""]
    try:
        done = subprocess.run(
            [*program, *words], env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, timeout=_ASK_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if done.returncode or len(lines) < (1 if username else 2):
        return None
    return Credentials(username or lines[0], lines[-1])
