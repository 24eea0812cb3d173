"""Linux distributions as data: the glibc that each begins with, what NVIDIA's repository for it is called, and who signs that.

Sources: glibc from the table that pep600_compliance computes from each distribution's own images (mayeut/pep600_compliance,
README.rst at 00ac9114); repositories and key ids from CUDA.md A1 and I 2. What neither of them says is empty, and a repository
of Debian's packages is not named, for mirror reads RPMs.

Rule: a key id is for people to compare; what a stack pins is the whole fingerprint (``[rpms] fingerprints``).

Example::

    >>> [one.name for one in built_for("2.28") if one.repository]
    ['RHEL 8', 'RHEL 9', 'RHEL 10', 'Amazon Linux 2023', 'Fedora 42', 'Fedora 43']
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.names import dotted_numbers

FINGERPRINTS = {"D42D0685": "610C7B14E068A878070DA4E99CD0A493D42D0685"}
"""Whole fingerprints by key id, as far as they are known (CUDA.md A1)."""


@dataclass(frozen=True)
class Distribution:
    """One release of a distribution.

    Attributes:
        name: for people.
        glibc: that it begins with; empty when not known.
        repository: NVIDIA's name for its RPM repository; empty where there is none, or none is known.
        key: id of the key that signs NVIDIA's packages for it; empty when not known.
    """

    name: str
    glibc: str = ""
    repository: str = ""
    key: str = ""

    def __str__(self) -> str:
        known = [f"glibc {self.glibc}"] * bool(self.glibc)
        known += [f"repository {self.repository}"] * bool(self.repository) + [f"key {self.key}"] * bool(self.key)
        return f"{self.name}: {', '.join(known)}"


DISTRIBUTIONS = (
    Distribution("RHEL 8", "2.28", "rhel8", "D42D0685"),
    Distribution("RHEL 9", "2.34", "rhel9", "D42D0685"),
    Distribution("RHEL 10", "2.39", "rhel10", "CDF6BA43"),
    Distribution("Amazon Linux 2023", "2.34", "amzn2023", "D42D0685"),
    Distribution("Azure Linux 3", "", "azl3", "D42D0685"),
    Distribution("Fedora 42", "2.41", "fedora42", "D42D0685"),
    Distribution("Fedora 43", "2.42", "fedora43", "1940C73E"),
    Distribution("Debian 11", "2.31"),
    Distribution("Debian 12", "2.36"),
    Distribution("Debian 13", "2.41", key="8793F200"),
    Distribution("Ubuntu 20.04", "2.31"),
    Distribution("Ubuntu 22.04", "2.35"),
    Distribution("Ubuntu 24.04", "2.39"),
)


def built_for(glibc: str) -> tuple[Distribution, ...]:
    """The distributions on which something starts that needs this glibc; not those whose own is not known."""
    needed = dotted_numbers(glibc)
    return tuple(one for one in DISTRIBUTIONS if one.glibc and dotted_numbers(one.glibc) >= needed)
