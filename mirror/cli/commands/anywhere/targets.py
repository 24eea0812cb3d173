"""``mirror targets``: what is known of GPUs, CUDA releases and processors, and of builds for them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mirror.cli.console import tell
from mirror.cli.parsing import Usage
from mirror.core.target import minor_version
from mirror.core.targets.distributions import built_for
from mirror.core.targets.matrix import Variant, corrections, parse_variant, published, variant_of

_DESCRIPTION = """\
Print what is known of GPUs, CUDA releases, processors and distributions, and what that means for a build.

Without a word: the published matrix of vLLM builds, 88 variants, each with what is wrong with it. With a GPU (h100, sm_90a) or
a variant's name (vllm-python311-cuda12_8-sm90-avx512bf16): every setting that follows for a build. Nothing is read or asked.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("targets", description=_DESCRIPTION)
    parser.add_argument("word", nargs="?", metavar="GPU|VARIANT", help="one of them, with every setting that follows")
    parser.add_argument("--python", metavar="X.Y", help="for this Python (default: 3.11)")
    parser.add_argument(
        "--cuda", metavar="X.Y", help="with this CUDA release (default: the one mirror init would take)"
    )
    parser.add_argument(
        "--cpu", metavar="ISA", help="for this instruction set: avx2, avx512bf16, x86-64-v3, armv9, ..."
    )
    parser.add_argument("--glibc", metavar="X.Y", help="for hosts with this glibc and newer (default: 2.28)")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    chosen = [name for name in ("python", "cuda", "cpu", "glibc") if getattr(args, name)]
    if not args.word:
        if chosen:
            raise Usage(f"--{chosen[0]} says more of one build: name a GPU or a variant before it")
        facts = {"variants": [one.to_dict() for one in published()], "corrections": list(corrections())}
        tell(args, facts, _matrix())
        return 0
    variant = _variant(args)
    tell(args, variant.to_dict(), _settings(variant), "targets-variant")
    return 0


def _variant(args: argparse.Namespace) -> Variant:
    """The build that is meant.

    Raises:
        Usage: when a word of it is not known.
    """
    try:
        if "-python" in args.word:
            if args.python or args.cuda or args.cpu:
                raise ValueError(
                    "a variant's name says its Python, CUDA and processor already: leave those options out"
                )
            found = parse_variant(args.word)
        else:
            found = variant_of(args.word, args.python or "3.11", args.cuda or "", args.cpu or "")
        return replace(found, glibc=minor_version(args.glibc)) if args.glibc else found
    except ValueError as exc:
        raise Usage(
            str(exc), hint="`mirror targets` lists the variants, `mirror targets --help` says what may be named."
        ) from exc


def _matrix() -> Iterator[str]:
    rows = published()
    width = max(len(one.name) for one in rows)
    for one in rows:
        yield f"{one.name:<{width}}  {', '.join(one.models)}"
        yield from (f"  wrong: {fault}" for fault in one.wrong)
    yield ""
    yield f"{len(rows)} variants. What was published with them, and is not so:"
    yield from (f"  {line}" for line in corrections())


def _settings(one: Variant) -> Iterator[str]:
    facts = one.to_dict()
    yield one.name
    rows = [
        ("GPUs", f"{', '.join(one.models)} ({one.capability.architecture})"),
        ("processors", f"{one.isa.arch}, {one.isa.machines or one.isa.name}"),
        ("target", str(one.target)),
        ("driver", _driver(facts)),
        ("gcc", one.gcc or "not known"),
        *one.settings.items(),
    ]
    width = max(len(name) for name, _ in rows)
    yield from (f"  {name:<{width}}  {value}" for name, value in rows)
    yield f"  it starts on glibc {one.glibc} and newer:"
    yield from (f"    {distribution}" for distribution in built_for(one.glibc) or ["no distribution that is known"])
    yield from (f"wrong: {fault}" for fault in one.wrong)


def _driver(facts: dict[str, Any]) -> str:
    if not facts["driver"]:
        return "not known"
    ptx = f"; {facts['driver_for_ptx']} for PTX" if facts["driver_for_ptx"] else ""
    return f"{facts['driver']} or newer{ptx}"
