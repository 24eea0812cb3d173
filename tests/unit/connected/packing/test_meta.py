"""The texts of ``meta/`` and what they are made from."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

from mirror.connected.packing.meta import (
    default_imports,
    install_txt,
    provenance,
    rpms_json,
    sha256sums,
    tar_size,
)
from mirror.core.bundle.manifest import Artifact
from mirror.core.names import Sha256Hex
from mirror.core.wheels.wheelfile import read_wheel
from tests.support.wheels import make_wheel, sha256_of


def artifact(path: Path, directory: str = "wheels", name: str = "alpha") -> Artifact:
    return Artifact(f"{directory}/{path.name}", path.stat().st_size, Sha256Hex(sha256_of(path)), name, "1.0")


def test_install_txt_pins_each_wheel_with_one_hash(tmp_path: Path) -> None:
    first, second = (artifact(make_wheel(tmp_path, name, "1.0"), name=name) for name in ("beta", "alpha"))
    lines = install_txt([first, second]).decode().splitlines()
    assert lines[1:] == [f"alpha==1.0 --hash=sha256:{second.sha256}", f"beta==1.0 --hash=sha256:{first.sha256}"]


def test_sha256sum_reads_the_checksums(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "wheels", "alpha", "1.0")
    (tmp_path / "SHA256SUMS").write_bytes(sha256sums([artifact(wheel)]))
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "wheels/alpha-1.0-py3-none-any.whl: OK\n"


def test_the_rpm_list_is_read_by_the_closed_side(tmp_path: Path) -> None:
    from mirror.core.toolkit.carried import RpmList

    path = tmp_path / "a.rpm"
    path.write_bytes(b"x")
    data = rpms_json(["AB" * 20], "KEY", [(artifact(path, "rpms"), "a-1-1.x86_64")])
    listed = RpmList.from_bytes(data)
    assert (listed.fingerprints, listed.key, listed.rpms[0].path) == (("AB" * 20,), "KEY", "rpms/a.rpm")


def test_provenance_has_one_encoding() -> None:
    locks = {"b.txt": Sha256Hex("0" * 64), "a.txt": Sha256Hex("1" * 64)}
    first = provenance(locks, [{"project": "alpha"}], "0.1.0")
    assert first == provenance(dict(reversed(locks.items())), [{"project": "alpha"}], "0.1.0")
    assert json.loads(first)["builds"] == [{"project": "alpha"}]


def imports(*wheels: Path) -> tuple[str, ...]:
    """By project, as the bundle asks."""
    read = {}
    for path in wheels:
        with path.open("rb") as stream:
            read[artifact(path, name=path.name.partition("-")[0])] = read_wheel(stream)
    return default_imports(read)


def test_a_wheel_is_imported_by_its_modules(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": b"x = 1\n",
        "pkg/deep/__init__.py": b"",
        "single.py": b"",
        "_private.py": b"",
        "native.cpython-311-x86_64-linux-gnu.so": b"",
        "data/file.txt": b"12345",
    }
    assert imports(make_wheel(tmp_path, "alpha", "1.0", files=files)) == ("pkg", "single")


def test_what_nothing_else_requires_is_what_was_asked_for(tmp_path: Path) -> None:
    wheels = (
        make_wheel(tmp_path, "alpha", "1.0", requires=["Beta_Two>=1", "alpha[extra]", 'other; extra == "more"']),
        make_wheel(tmp_path, "beta-two", "1.0"),
        make_wheel(tmp_path, "other", "1.0"),
    )
    assert imports(*wheels) == ("alpha", "other")


def test_an_interpreters_archive_tells_its_size(tmp_path: Path) -> None:
    path = tmp_path / "python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, size in (("python/bin/python3", 5000), ("python/lib/a.py", 70)):
            member = tarfile.TarInfo(name)
            member.size = size
            archive.addfile(member, io.BytesIO(bytes(size)))
        link = tarfile.TarInfo("python/bin/python")
        link.type, link.linkname = tarfile.SYMTYPE, "python3"
        archive.addfile(link)
    assert tar_size(path) == 5070


def test_a_requirement_that_cannot_be_parsed_is_left_aside(tmp_path: Path) -> None:
    alpha = make_wheel(tmp_path, "alpha", "1.0", requires=["beta (>=1.*", "gamma>=1", "dé>=1"])
    others = (make_wheel(tmp_path, name, "1.0") for name in ("beta", "gamma"))
    assert imports(alpha, *others) == ("alpha", "beta")
