"""From wishes to versions: uv, or pip-tools where this machine is like the target.

A resolver chooses versions only. Which file of a version the target takes, and its digest, is taken from the index's page
by ``mirror.connected.index.choice``, the same way for both.

Rules: wheels only, and no code of any package is run: what is built from source is described to uv by its own PKG-INFO
(``mirror.connected.sdists.sdist``). No configuration of the user's is read, only the machine's network settings (CA bundles,
proxies, netrc). What was locked before is preferred, so that a lock moves only where it must.

Example::

    for version in resolve(question, "uv"):
        print(version.name, version.version)
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import uv
from packaging.requirements import Requirement

from mirror.connected.fetching.download import redacted_words
from mirror.connected.pins.requirements import exact_version, logical_lines
from mirror.connected.pins.standards import read_requirement, read_version
from mirror.connected.sdists.sdist import Sdist
from mirror.core.errors import STEPS, MirrorError
from mirror.core.names import ProjectName, project_name
from mirror.core.target import Target
from mirror.core.trust.scratch import scratch_directory

RESOLVERS = ("uv", "pip-tools")

TIMEOUT_S = 900
"""No resolution that is of use takes longer; pip's was seen to go on without end."""

_UV_GLIBC_MINORS = (17, 28, *range(31, 41))
"""The glibc floors for which uv has a platform; between two of them the lower one holds."""

_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_KEPT_VARIABLES = (
    *("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "UV_CACHE_DIR", "LANG", "NETRC", "SSL_CERT_DIR", *_CA_VARIABLES),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)


_NO_METADATA = re.compile(r"Failed to fetch: `?\S*/([^/\s`]+\.whl\.metadata)\b(?=[\s\S]*\b(?:404|403|410)\b)")
_NO_WHEELS = re.compile(r"Wheels are required for `([A-Za-z0-9._-]+)` because building from source is disabled")
_PRERELEASE = re.compile(r"[Pp]re-releases are available for `?([A-Za-z0-9._-]+)`?")
_OS_ERROR = re.compile(r"\(os error ([0-9]{1,3})\)")
"""What the system refused a program in Rust."""
_UNREACHED = "client error (Connect)"
_UV_ADVICE = re.compile(r"\n+hint: [^\n]*`--?[a-z][^\n]*")


class ResolutionFailed(MirrorError):
    """The resolver found no set of versions, or could not read what it needs.

    Attributes:
        words: the resolver's own, without paths and credentials.
    """

    ref = "resolution-failed"
    exit_code = 54
    message = "{resolver} could not resolve {stack} for {target}"

    resolver: str
    stack: str
    target: str
    words: str
    hint: str = "Loosen the requirement that the resolver names, or move [python].cutoff, in NAME.toml."

    def context(self) -> str:
        """The resolver's words, without advice that only its own users can follow."""
        return _UV_ADVICE.sub("", self.words).strip()


class ResolverUnfit(MirrorError):
    """The chosen resolver cannot answer this question."""

    ref = "resolver-unfit"
    exit_code = 55
    hint = "Leave --resolver out: uv resolves for any target, from any machine."
    message = "{resolver} cannot make this lock: {reason}"

    resolver: str
    reason: str


@dataclass(frozen=True)
class Question:
    """What is to be resolved.

    Attributes:
        name: of the stack, for messages.
        root: what the resolver's answer calls the one who asks, ``"h100.toml"``.
        constraints: limits on what something else asks for.
        indexes: URL of the only index of each project that has its own; such a project must be among the requirements.
        flat: those URLs that are one page of links.
        cutoff: nothing uploaded later is seen; None for no limit.
        sdists: projects that will be built from these sdists.
        wheels: what wheels say whose metadata their index lists and does not have.
        previous: the lock of last time, whose versions are preferred; empty for none.
        without: projects that are not to be looked for, whoever asks for them, nor what only they ask for.
        archived: those of ``sdists`` that are on no index; each must be among the requirements.
    """

    name: str
    root: str
    target: Target
    requirements: tuple[Requirement, ...]
    constraints: tuple[Requirement, ...]
    default_index: str
    indexes: Mapping[ProjectName, str]
    flat: frozenset[str] = frozenset()
    cutoff: datetime | None = None
    sdists: tuple[Sdist, ...] = ()
    wheels: tuple[Sdist, ...] = ()
    previous: bytes = b""
    without: tuple[ProjectName, ...] = ()
    archived: frozenset[ProjectName] = frozenset()


@dataclass(frozen=True)
class Resolved:
    """One version that the resolver chose, and what asked for it."""

    name: ProjectName
    version: str
    via: tuple[str, ...]


def resolve(question: Question, resolver: str) -> tuple[Resolved, ...]:
    """Choose versions, sorted by project.

    Raises:
        ResolutionFailed: no answer. ResolverUnfit: pip-tools was asked for something that only uv can do.
    """
    with scratch_directory("mirror-lock-") as directory:
        output = directory / "locked.txt"
        output.write_bytes(question.previous)
        if resolver == "uv":
            command = _uv_command(question, directory, output)
        else:
            _check_pip_tools(question, host_python=platform.python_version(), host_arch=platform.machine())
            command = _pip_tools_command(question, directory, output)
        _run(command, directory, question, resolver)
        return _answer(output.read_text("utf-8"), question)


def _uv_command(question: Question, directory: Path, output: Path) -> list[str]:
    """Write uv's inputs into ``directory`` and give its command line."""
    target = question.target
    question = _with_archives(question, directory / "archives")
    (directory / "pyproject.toml").write_text(_pyproject(question), "utf-8")
    (directory / "uv.toml").write_text(_uv_settings(question), "utf-8")
    (directory / "constraints.txt").write_text(_lines(question.constraints), "utf-8")
    minor = max((known for known in _UV_GLIBC_MINORS if known <= target.glibc_pair[1]), default=17)
    return [
        *(uv.find_uv_bin(), "pip", "compile", "pyproject.toml", "--constraint", "constraints.txt"),
        *("--config-file", "uv.toml", "--output-file", output.name, "--quiet", "--no-header"),
        *("--python", sys.executable, "--no-python-downloads", "--python-version", target.python),
        *("--python-platform", f"{target.arch}-manylinux_2_{minor}", "--default-index", question.default_index),
        *("--only-binary", ":all:", *(word for sdist in question.sdists for word in ("--no-binary", sdist.name))),
        *(("--exclude-newer", question.cutoff.isoformat()) if question.cutoff else ()),
    ]


def _with_archives(question: Question, directory: Path) -> Question:
    """Give projects that are on no index one of their own: empty files by an sdist's name, which uv does not read, for it is
    told what they say."""
    if not question.archived:
        return question
    directory.mkdir()
    for sdist in question.sdists:
        if sdist.name in question.archived:
            (directory / f"{sdist.name.replace('-', '_')}-{sdist.version}.tar.gz").touch()
    url = directory.as_uri()
    indexes = {**question.indexes, **dict.fromkeys(question.archived, url)}
    return replace(question, indexes=indexes, flat=question.flat | {url})


def _pyproject(question: Question) -> str:
    """The project that uv resolves: the stack's wishes, each with the index it must come from."""
    names = {project_name(requirement.name) for requirement in question.requirements}
    special = {project: url for project, url in question.indexes.items() if project in names}
    urls = {url: f"index-{number}" for number, url in enumerate(dict.fromkeys(special.values()))}
    lines = ["[project]", 'name = "mirror-stack"', 'version = "0"']
    lines += [f"requires-python = {json.dumps(f'=={question.target.python}.*')}"]
    lines += [f"dependencies = {_toml_list([str(requirement) for requirement in question.requirements])}"]
    for url, name in urls.items():
        # SECURITY.md T14: explicit keeps every other project off this index.
        lines += ["[[tool.uv.index]]", f'name = "{name}"', f"url = {json.dumps(url)}", "explicit = true"]
        lines += ['format = "flat"'] * (url in question.flat)
    lines += ["[tool.uv.sources]", *(f'{project} = {{ index = "{urls[url]}" }}' for project, url in special.items())]
    return "\n".join(lines) + "\n"


def _uv_settings(question: Question) -> str:
    """Describe the sdists, so that uv has no reason to run their code, and name what is never looked for."""
    # An override replaces every requirement on a project; these apply nowhere.
    never = [f"{project}; python_version < '0'" for project in question.without]
    lines = [f"override-dependencies = {_toml_list(never)}"]
    for sdist in (*question.sdists, *question.wheels):
        lines += ["[[dependency-metadata]]", f'name = "{sdist.name}"', f'version = "{sdist.version}"']
        lines += [f"requires-dist = {_toml_list([str(requirement) for requirement in sdist.requires])}"]
        lines += [f"provides-extra = {_toml_list(sdist.extras)}"]
        lines += [f"requires-python = {json.dumps(sdist.requires_python)}"] * bool(sdist.requires_python)
    return "\n".join(lines) + "\n"


def _toml_list(values: Sequence[str]) -> str:
    """JSON's strings and lists are TOML's too."""
    return json.dumps(list(values), ensure_ascii=True)


def _lines(requirements: Sequence[Requirement]) -> str:
    return "".join(f"{requirement}\n" for requirement in requirements)


def _check_pip_tools(question: Question, host_python: str, host_arch: str) -> None:
    """pip evaluates markers and tags of the machine it runs on, and knows no index for one project."""
    target = question.target
    host = (".".join(host_python.split(".")[:2]), host_arch)
    if host != (target.python, target.arch):
        wanted = f"target {question.name} has Python {target.python} on {target.arch}"
        raise ResolverUnfit("pip-tools", f"it resolves for this machine, Python {host[0]} on {host[1]}; {wanted}")
    if question.indexes:
        raise ResolverUnfit("pip-tools", f"NAME.toml gives {min(question.indexes)} an index of its own")
    if question.archived:
        raise ResolverUnfit(
            "pip-tools", f"NAME.toml builds {min(question.archived)} from an archive, which pip would run"
        )
    if question.cutoff:
        raise ResolverUnfit("pip-tools", "NAME.toml sets a cutoff")
    if question.without:
        raise ResolverUnfit("pip-tools", f"NAME.toml goes without {question.without[0]}, and pip knows no such thing")


def _pip_tools_command(question: Question, directory: Path, output: Path) -> list[str]:
    (directory / question.root).write_text(_lines(question.requirements), "utf-8")
    (directory / "constraints.txt").write_text(_lines(question.constraints), "utf-8")
    return [
        *(sys.executable, "-I", "-m", "piptools", "compile", question.root, "--constraint", "constraints.txt"),
        *("--output-file", output.name, "--quiet", "--no-config", "--no-header", "--strip-extras", "--allow-unsafe"),
        *("--index-url", question.default_index, "--no-emit-index-url", "--no-emit-options"),
        *("--cache-dir", str(directory / "cache"), "--pip-args=--only-binary=:all:"),
    ]


def _run(command: list[str], directory: Path, question: Question, resolver: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=directory, env=_environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as exc:
        words = f"it gave no answer in {TIMEOUT_S} seconds"
        raise ResolutionFailed(resolver, question.name, str(question.target), words) from exc
    if done.returncode:
        words = redacted_words(done.stderr.replace(f"{directory}/", "").strip())
        words = words.replace("mirror-stack", question.root)
        raise ResolutionFailed(resolver, question.name, str(question.target), words, _hint(words))


def _hint(words: str) -> str:
    """The next step for what a resolver says, where it is another than to loosen a requirement."""
    if lost := _NO_METADATA.search(words):
        return (
            f"The index lists {lost[1]} and does not have it: it is an incomplete copy. Tell its maker that its .metadata "
            "files are missing; until then name another index in [indexes] of NAME.toml."
        )
    if early := _PRERELEASE.search(words):
        return f"Only pre-releases of {early[1]} will do: ask for one in [python].requirements, '{early[1]}==VERSION'."
    if _UNREACHED in words:
        return "That server does not answer this machine: look at the network and the proxy variables here, then lock again."
    if refused := _OS_ERROR.search(words):
        number = int(refused[1])
        step = STEPS[number] if number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS) else "Put that right."
        return (
            f"It is this machine that refused it ({os.strerror(number)}), and no requirement. {step} Then lock again."
        )
    return ""


def lost_metadata(words: str) -> str:
    """Name of the wheel whose metadata an index listed and did not have, by a resolver's words; empty when it is not that."""
    found = _NO_METADATA.search(words)
    return unquote(found[1].removesuffix(".metadata")) if found else ""


def lacks_wheels(words: str) -> tuple[tuple[ProjectName, str], ...]:
    """Projects of which a resolver says that it found no wheel, though an sdist, each with the versions that were wanted."""
    found = {}
    for name in _NO_WHEELS.findall(words):
        wanted = re.search(rf"we can conclude that {re.escape(name)}(\S*) cannot be used", words)
        found[project_name(name)] = wanted[1] if wanted else ""
    return tuple(found.items())


def _environment() -> dict[str, str]:
    """Nothing of the user's configuration, all of the machine's network settings."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    bundle = next((kept[name] for name in _CA_VARIABLES if kept.get(name)), None)
    if bundle:
        # uv reads the first of these, requests the second, pip the last: one machine, one bundle.
        kept.update({name: kept.get(name) or bundle for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")})
    return {**kept, "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never", "PIP_CONFIG_FILE": os.devnull}


def _answer(text: str, question: Question) -> tuple[Resolved, ...]:
    """Read ``name==version`` lines and their ``# via`` comments."""
    found = []
    for _, line, via in logical_lines(text):
        if line.startswith("#"):
            continue
        requirement = read_requirement(line)
        version = exact_version(requirement)
        if version is None:
            raise ResolutionFailed(
                "the resolver", question.name, str(question.target), f"its answer is not exact: {line}"
            )
        names = {_asker(name, question.root) for name in via}
        found.append(Resolved(project_name(requirement.name), version, tuple(sorted(names))))
    return tuple(sorted(found, key=lambda one: (one.name, read_version(one.version))))


def _asker(name: str, root: str) -> str:
    """What asked for a project: another project, or our root whatever file the resolver saw it in."""
    return root if name.startswith(("-", "mirror-stack")) else name
