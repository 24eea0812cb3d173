"""Proxies in the environment, told without their passwords.

Rule: nothing of what stands before a host's name is ever repeated.

Example::

    redacted("http://me:secret@proxy:3128")     # 'http://***@proxy:3128'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mirror.core.logs.finding import About, Finding

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy")


def proxies(variables: Mapping[str, str]) -> Mapping[str, str]:
    """The proxies that are set, with whatever stands before the host's name taken away."""
    found = {name: value for name, value in variables.items() if name.lower() in _PROXIES and value}
    return {name: redacted(value) for name, value in sorted(found.items())}


def redacted(url: str) -> str:
    """A URL without user and password."""
    scheme, separator, rest = url.rpartition("://")
    # A password may hold any letter, "@" and "/" too: all that stands before the last "@" goes.
    return f"{scheme}{separator}***@{rest.rpartition('@')[2]}" if "@" in rest else url


def judge_proxies(variables: Mapping[str, str]) -> Iterable[Finding]:
    found = proxies(variables)
    if not found:
        return
    exempt = f"{variables.get('no_proxy', '')},{variables.get('NO_PROXY', '')}".replace(" ", "").split(",")
    names = ", ".join(f"{name}={value}" for name, value in found.items())
    if not {"localhost", "127.0.0.1"} & {*exempt} and "*" not in exempt:
        yield About("proxy").warning(
            f"{names} is set, and no_proxy leaves out neither localhost nor 127.0.0.1",
            cause="health checks and clients on this host then go through the proxy",
            proof="env | grep -i proxy",
            fix="export no_proxy=localhost,127.0.0.1, or unset the proxy: the stack needs none",
        )
    else:
        yield About("proxy").note(
            f"{names} is set; the stack needs no network",
            cause="this shell's start-up files, or the service, set it for other programs",
            proof="env | grep -i proxy",
            fix="nothing: no_proxy leaves this host out; or unset it for the server",
        )
