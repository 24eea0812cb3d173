"""The jobs: mirror's command, what people type instead, and the goal (DESIGN.md section 8).

Rules: the typed commands are what a careful person types who leaves no step out that mirror does (digests are checked, RPMs
unpacked when the bundle has some); what mirror does besides is said in the job's note; each job is made only when asked for.

Example::

    job = JOBS["verify"](inputs)
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from mirror.core.kinds import RPM, WHEEL

from .inputs import MIRROR, Inputs
from .measure import Command, Goal, Job
from .peers import PINNED

_STEPS = Path(__file__).with_name("steps.py")
_SUMS_BY_OPENSSL = (
    "sort -k 2 meta/SHA256SUMS | sed 's/ [ *]/ /' > want; cut -d ' ' -f 2- want | xargs -d '\\n' openssl dgst -r -sha256"
    " | sed 's/ [ *]/ /' | cmp - want"
)
_UNPACK_RPMS = 'for rpm in {rpms}/*.rpm; do rpm2cpio "$rpm" | cpio -idm --quiet; done'


def _line(*words: object) -> str:
    return shlex.join(str(word) for word in words)


def _step(*words: object) -> str:
    return "exec " + _line(sys.executable, _STEPS, *words)


def lock(inputs: Inputs) -> Job:
    uv, pip = _compiling(inputs)
    copy = _line("cp", inputs.requirements, "here.in")
    ours = _line(*MIRROR, "lock", inputs.toml.name, "--without", "toolchain")
    goal = Goal("the real stack in 10 s")
    return Job(
        "lock",
        Command("mirror lock --without toolchain", f"{_line('cp', inputs.toml, '.')}; exec {ours}", online=True),
        (
            Command("uv pip compile --generate-hashes", f"{copy}; {uv}", ("uv",), goal, online=True),
            Command("pip-compile --generate-hashes", f"{copy}; {pip}", ("pip-compile",), goal, True, _PIP_COMPILE_S),
        ),
        note="mirror locks what the builds from source need, too. The network's speed is in these figures.",
    )


_PIP_COMPILE_S = 60.0
"""Of a stack of two hundred projects it gave no answer in nine minutes."""


def _compiling(inputs: Inputs) -> tuple[str, str]:
    """The command lines of uv and pip-tools for ``here.in``."""
    target = inputs.wishes["target"]
    indexes = _further_indexes(inputs)
    platform = f"{target['arch']}-manylinux_{str(target['glibc']).replace('.', '_')}"
    for_target = ("--python-version", target["python"], "--python-platform", platform)
    here = ("here.in", *indexes, "-o", "lock.txt")
    strategy = ("--index-strategy", "unsafe-best-match") if indexes else ()
    uv = _line("uv", "pip", "compile", "--quiet", "--generate-hashes", *for_target, *strategy, *here)
    return uv, _line("pip-compile", "--quiet", "--generate-hashes", *here)


def _further_indexes(inputs: Inputs) -> list[str]:
    """Options of pip and uv for the stack's indexes, but for those that are one file."""
    urls = inputs.wishes.get("indexes", {}).values()
    return [word for url in urls if isinstance(url, str) for word in ("--extra-index-url", url)]


def _left_out(inputs: Inputs) -> str:
    """A sentence on what pip is not asked for; nothing where it is asked for all."""
    names = ", ".join(sorted(inputs.single))
    return f" pip is not asked for {names}: no index has it." if names else ""


def _pip_download(inputs: Inputs) -> str:
    lock = ("-r", inputs.lock_for_pip, *_further_indexes(inputs))
    return _line(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *lock, "-d", "files")


def fetch(inputs: Inputs) -> Job:
    pip, files = _pip_download(inputs), inputs.addresses
    curl = _line(
        "curl", "--parallel", "--parallel-max", "8", "--fail", "--no-progress-meter", "--config", files / "curl.txt"
    )
    digests = f"ls | xargs -P2 -n 16 openssl dgst -sha256 -r > ../sums; sort ../sums | cmp - {files / 'sums'}"
    return Job(
        "fetch",
        Command("mirror bundle, its fetching", _step("fetch", inputs.stack), online=True),
        (
            Command("pip download --no-deps -r LOCK", pip, goal=Goal(">= 5x faster", 5), online=True),
            Command(
                "curl, 8 at once; openssl dgst, 2 at once",
                f"mkdir files; cd files; {curl}; {digests}",
                ("curl", "openssl"),
                Goal("<= 1.2x its time", 1 / 1.2),
                online=True,
            ),
        ),
        note="The network's speed is in these figures." + _left_out(inputs),
        is_warmed=False,
    )


def pack(inputs: Inputs) -> Job:
    names = sorted(path.name for path in inputs.members.iterdir())
    typed = (
        f"{_line('tar', 'cf', 'bundle.tar', '-C', inputs.members, *names)}; sha256sum bundle.tar > bundle.tar.sha256"
    )
    return Job(
        "pack",
        Command("mirror bundle, its packing", _step("pack", inputs.members, "bundle.tar")),
        (Command("tar cf; sha256sum", typed, ("tar", "sha256sum"), Goal("one pass over the bytes")),),
        inputs.within("."),
        note="mirror checks each member's digest as it reads, and waits until the file is on the disk (fsync); tar does not.",
    )


_DIGEST = "openssl dgst -sha256 bundle.tar > bundle.tar.sha256"
_TAR = ("tar", "openssl")


def bundle(inputs: Inputs) -> Job:
    """From empty caches: look inside, vet, write the papers, sign and verify are mirror's alone."""
    ours = _line(*MIRROR, "bundle", "--lock", inputs.stack, "--locked", "--without", "toolchain", "-o", "bundle.tar")
    return Job(
        "bundle",
        Command("mirror bundle, empty cache", f"exec {ours}", online=True),
        (
            Command(
                "pip download; tar; openssl dgst",
                f"{_pip_download(inputs)}; tar cf bundle.tar files; {_DIGEST}",
                _TAR,
                Goal(">= 3x faster", 3),
                online=True,
            ),
        ),
        note="mirror also builds what has no wheel, vets every wheel and verifies the result. The network is in these figures."
        + _left_out(inputs),
        is_warmed=False,
    )


def unchanged(inputs: Inputs) -> Job:
    cache, output = inputs.standing, inputs.bundle
    names = sorted(path.name for path in inputs.members.iterdir())
    typed = f"{_line('tar', 'cf', 'bundle.tar', '-C', inputs.members, *names)}; {_DIGEST}"
    ours = _line(*MIRROR, "bundle", "--lock", inputs.stack, "--locked", *inputs.rpm_options, "-o", output)
    return Job(
        "unchanged",
        Command("mirror bundle, all of it there", f"XDG_CACHE_HOME={shlex.quote(str(cache))} exec {ours}"),
        (Command("tar; openssl dgst", typed, _TAR, Goal("2 s, or <= 1.3x its time", 1 / 1.3)),),
        (output, *inputs.within(".")),
        note="mirror finds that equal inputs made the bundle that stands, and that nobody wrote to it since its bytes were "
        "checked: none is read or written again.",
    )


def moved(inputs: Inputs) -> Job:
    """All but one wheel is here and was looked into: what a day's change costs."""
    cache, lock = shlex.quote(str(inputs.standing / "mirror")), inputs.moved
    names = sorted(path.name for path in inputs.members.iterdir())
    typed = f"{_line('tar', 'cf', 'bundle.tar', '-C', inputs.members, *names)}; {_DIGEST}"
    ours = _line(*MIRROR, "bundle", "--lock", lock, "--locked", *inputs.rpm_options, "-o", "bundle.tar")
    # Links: what this run fetches and finds is nowhere the next time.
    linked = f"mkdir -p cache/mirror; cp -as {cache}/{{sha256,facts,found,pages}} cache/mirror"
    kept = f"for one in built toolchains; do if [ -d {cache}/$one ]; then ln -s {cache}/$one cache/mirror; fi; done"
    with_cache = f"{linked}; {kept}; XDG_CACHE_HOME=$PWD/cache exec {ours}"
    return Job(
        "moved",
        Command("mirror bundle, one pin moved", with_cache, online=True),
        (Command("tar; openssl dgst", typed, _TAR, Goal("15 s")),),
        inputs.within("."),
        note="One project is asked for, fetched and looked into; the bundle is written whole, to the disk, and verified.",
    )


def relock(inputs: Inputs) -> Job:
    """Nothing moved since it was locked: every page is asked for, whether it is still what it was."""
    cache, stack = inputs.locked
    again = _line(*MIRROR, "lock", stack, "--without", "toolchain")
    uv, _ = _compiling(inputs)
    kept = shlex.quote(f"{cache}-uv.txt")  # uv stays with the versions of the file that it writes
    before, after = f"if [ -f {kept} ]; then cp {kept} lock.txt; fi", f"cp lock.txt {kept}"
    return Job(
        "relock",
        Command("mirror lock, unchanged", f"XDG_CACHE_HOME={shlex.quote(str(cache))} exec {again}", online=True),
        (
            Command(
                "uv pip compile, unchanged",
                f"{_line('cp', inputs.requirements, 'here.in')}; {before}; "
                f"UV_CACHE_DIR={shlex.quote(str(cache))}-uv {uv}; {after}",
                ("uv",),
                Goal("3 s"),
                online=True,
            ),
        ),
        note="uv takes a page that it saw in the last ten minutes for what it was; mirror asks its server for each.",
    )


def peers(inputs: Inputs) -> Job:
    """What else carries wheels: of small projects, for the others take no newer vLLM and build nothing."""
    others = inputs.peers
    return Job(
        "peers",
        Command("mirror lock; bundle", others.commands["mirror"], online=True),
        tuple(Command(name, others.commands[name], ("uv",), online=True) for name in PINNED),
        note=f"The network is in these figures. Brought back altered, {others.findings()}.",
    )


def start(inputs: Inputs) -> Job:
    ours = "exec " + _line(inputs.python, "-I", inputs.pyz, "--version")
    return Job(
        "start",
        Command("mirror.pyz --version", ours),
        (
            Command("python -c pass", "exec " + _line(inputs.python, "-I", "-c", "pass"), goal=Goal("120 ms")),
            Command("mirror --help", "exec " + _line(*MIRROR, "--help"), goal=Goal("150 ms")),
        ),
        (inputs.pyz,),
    )


def verify(inputs: Inputs) -> Job:
    return Job(
        "verify",
        Command("mirror.pyz verify", "exec " + _line(inputs.python, "-I", inputs.pyz, "verify", inputs.bundle)),
        (
            Command("sha256sum -c", "exec " + _line("sha256sum", "-c", inputs.checksum), ("sha256sum",)),
            Command(
                "openssl dgst -sha256",
                "exec " + _line("openssl", "dgst", "-sha256", inputs.bundle),
                ("openssl",),
                Goal("<= 1.3x its time", 1 / 1.3),
            ),
        ),
        (inputs.bundle,),
        peak_mib=64,
        note="mirror checks the signatures and the root too, which neither of the others does.",
    )


def deep(inputs: Inputs) -> Job:
    """What a reviewer runs; every wheel is read and judged anew, and nothing that the builder remembered is believed."""
    unzip = f'for wheel in {shlex.quote(str(inputs.members / WHEEL.directory))}/*.whl; do unzip -tqq "$wheel"; done'
    return Job(
        "deep",
        Command("verify --deep", "exec " + _line(*_installer(inputs), "verify", "--deep", inputs.bundle)),
        (Command("unzip -t, one by one", unzip, ("unzip",)),),
        (inputs.bundle,),
        note="mirror judges names, modes, RECORD and compiled files of each wheel; unzip compares checksums.",
    )


def report(inputs: Inputs) -> Job:
    return Job(
        "report",
        Command("report", "exec " + _line(*_installer(inputs), "report", inputs.bundle)),
        (Command("tar tvf", "exec " + _line("tar", "tvf", inputs.bundle), ("tar",)),),
        (inputs.bundle,),
    )


def diff(inputs: Inputs) -> Job:
    """Of a bundle and itself: all of both is looked at, and nothing is to be told."""
    return Job(
        "diff",
        Command("diff", "exec " + _line(*_installer(inputs), "diff", inputs.bundle, inputs.bundle)),
        (Command("cmp", "exec " + _line("cmp", inputs.bundle, inputs.bundle), ("cmp",)),),
        (inputs.bundle,),
    )


def _installer(inputs: Inputs) -> tuple[object, ...]:
    return (inputs.python, "-I", inputs.pyz)


def growth(inputs: Inputs) -> Job:
    """Bundles of small wheels: twenty, two hundred, two thousand. Time per wheel is not to grow."""
    few, some, many = (
        f"XDG_CACHE_HOME=cache {_line(*MIRROR, 'bundle', '--lock', inputs.small_wheels(count), '-o', 'bundle.tar')}"
        for count in (20, 200, 2000)
    )
    return Job(
        "growth",
        Command("mirror bundle, 200 wheels", some),
        (Command("mirror bundle, 20 wheels", few), Command("mirror bundle, 2,000 wheels", many, goal=_LINEAR)),
    )


_LINEAR = Goal("linear: at most 10x the time", None)


def install(inputs: Inputs) -> Job:
    """The whole of it. The typed side checks no signature, makes no self-test and is not switched in one step."""
    rpms = bool(inputs.within(RPM.directory))
    needs = ("openssl", *(("rpm2cpio", "cpio") if rpms else ()))
    then = f"mkdir cuda; cd cuda; {_UNPACK_RPMS.format(rpms='../rpms')}" if rpms else ":"
    # Debian 12's sha256sum runs at a fifth of openssl's speed: a careful person who waits for it would not use it.
    before = f"{_line('tar', 'xf', inputs.bundle)}; {_SUMS_BY_OPENSSL}"
    flags = "--no-index --no-deps --require-hashes -r meta/install.txt --find-links wheels"
    with_pip = f"{_line(inputs.python, '-m', 'venv', 'venv')}; venv/bin/pip install --quiet {flags}"
    uv_venv = _line("uv", "venv", "--quiet", "--python", inputs.python, "venv")
    with_uv = f"{uv_venv}; uv pip install --quiet --python venv {flags}"
    ours = _line(
        inputs.python, "-I", inputs.pyz, "install", inputs.bundle, "--prefix", "prefix", "--python", inputs.python
    )
    tail = "; rpm2cpio | cpio" if rpms else ""
    return Job(
        "install",
        Command("mirror.pyz install", f"exec {ours}"),
        (
            Command(
                f"tar; openssl; venv; pip{tail}", f"{before}; {with_pip}; {then}", needs, Goal(">= 3.5x faster", 3.5)
            ),
            Command(
                f"tar; openssl; uv venv; uv{tail}",
                f"{before}; {with_uv}; {then}",
                ("uv", *needs),
                Goal(">= 1.3x faster", 1.3),
            ),
        ),
        (inputs.bundle,),
        note="mirror also checks the signatures, imports what was installed"
        + (" and compiles and links a kernel with the new toolchain" if rpms else "")
        + ", and makes no second copy of the bundle.",
    )


def unpack(inputs: Inputs) -> Job:
    rpms = inputs.members / RPM.directory
    loop = _UNPACK_RPMS.format(rpms=shlex.quote(str(rpms)))
    at_once = f"""printf '%s\\0' {shlex.quote(str(rpms))}/*.rpm | xargs -0 -P 2 -I@ sh -c 'rpm2cpio "@" | cpio -idmu --quiet'"""
    bsdtar = f'for rpm in {shlex.quote(str(rpms))}/*.rpm; do bsdtar -xf "$rpm"; done'
    return Job(
        "unpack",
        Command("mirror install, its RPMs", _step("unpack", inputs.members, "cuda")),
        (
            Command("rpm2cpio | cpio, one by one", loop, ("rpm2cpio", "cpio"), Goal(">= 2x faster", 2)),
            Command("xargs -P2 rpm2cpio | cpio", at_once, ("rpm2cpio", "cpio"), Goal("faster", 1)),
            Command("bsdtar -xf, one by one", bsdtar, ("bsdtar",)),
        ),
        inputs.within(RPM.directory),
        note="mirror checks the RPMs' OpenPGP signatures and every file's digest, and makes the links that scriptlets make.",
    )


JOBS: dict[str, Callable[[Inputs], Job]] = {
    "lock": lock,
    "relock": relock,
    "fetch": fetch,
    "bundle": bundle,
    "unchanged": unchanged,
    "moved": moved,
    "peers": peers,
    "pack": pack,
    "verify": verify,
    "deep": deep,
    "report": report,
    "diff": diff,
    "install": install,
    "unpack": unpack,
    "start": start,
    "growth": growth,
}
"""In the order in which data travels."""

ONLINE = frozenset({"lock", "relock", "fetch", "bundle", "moved", "peers"})
"""The jobs that need the package index."""
