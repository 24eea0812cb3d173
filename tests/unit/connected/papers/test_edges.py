"""Who needs whom: markers of the target, extras that somebody asks for, capabilities of RPMs."""

from __future__ import annotations

from mirror.connected.papers.edges import package_edges
from mirror.core.target import Target
from mirror.core.wheels.needs import Needs

TARGET = Target("3.11", "x86_64", "2.28")


def edges(needs: dict[str, tuple[str, ...]], *asked: str) -> dict[str, tuple[str, ...]]:
    return Needs(needs, asked, TARGET).edges()


def test_only_what_holds_on_the_target_and_is_in_the_set_counts() -> None:
    needs = {
        "a": ("B-c>=1", "d; python_version < '3.11'", "e; platform_machine == 'x86_64'", "host-only", "a"),
        "b-c": (),
        "d": (),
        "e": (),
    }
    assert edges(needs) == {"a": ("b-c", "e"), "b-c": (), "d": (), "e": ()}


def test_an_extra_counts_where_the_stack_or_another_project_asks_for_it() -> None:
    needs = {
        "a": ("b; extra == 'fast'", "c; extra == 'slow'"),
        "b": ("c[image]",),
        "c": ("d; extra == 'image'", "e; extra == 'sound'"),
        "d": (),
        "e": (),
    }
    assert edges(needs, "a[Fast]") == {"a": ("b",), "b": ("c",), "c": ("d",), "d": (), "e": ()}
    assert edges(needs)["a"] == ()


def test_an_extra_of_itself_is_followed() -> None:
    needs = {"a": ("a[one]; extra == 'all'", "b; extra == 'one'"), "b": ()}
    assert edges(needs, "a[all]", "gone[x]") == {"a": ("b",), "b": ()}


def test_a_line_that_no_resolver_reads_is_passed_over() -> None:
    assert edges({"a": ("b (>1", "c"), "b": (), "c": ()})["a"] == ("c",)


def test_an_rpm_needs_whoever_offers_a_capability_or_a_file() -> None:
    needs = {
        "nvcc": ("crt", "libnvvm.so()(64bit)", "/usr/bin/ptxas", "/bin/sh", "nvcc"),
        "crt": (),
        "nvvm": (),
        "as": (),
    }
    offers = {"nvcc": (), "crt": ("crt",), "nvvm": ("libnvvm.so()(64bit)",), "as": ("/usr/bin/ptxas",)}
    assert package_edges(needs, offers) == {"nvcc": ("as", "crt", "nvvm"), "crt": (), "nvvm": (), "as": ()}
