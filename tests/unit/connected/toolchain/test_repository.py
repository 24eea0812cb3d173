"""The ladder of trust from a pinned fingerprint to the packages, climbed on the loopback and in directories."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.transport import HttpRefused, get_bytes, new_session
from mirror.connected.toolchain import repository as module
from mirror.connected.toolchain.repodata import InvalidRepodata, LocationEscapes
from mirror.connected.toolchain.repository import (
    MetadataMismatch,
    Read,
    RepositoryNotSigned,
    RepositoryUnreachable,
    open_repository,
    repository_url,
)
from mirror.core.words import grouped
from tests.support.index import LoopbackServer
from tests.support.repos import Rpm, Vendor, primary_of, resign, toolkit, write_repository


@pytest.fixture
def read() -> Iterator[Read]:
    with new_session() as session:
        yield partial(get_bytes, session, patience=Patience(attempts=1))


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture(scope="module")
def stranger() -> Vendor:
    return Vendor("Stranger <rpms@evil.example>")


@pytest.fixture
def repo(tmp_path: Path, vendor: Vendor) -> Path:
    write_repository(tmp_path / "repo", toolkit("13.0"), vendor)
    return tmp_path / "repo"


def serve(server: LoopbackServer, repo: Path) -> str:
    for path in repo.rglob("*"):
        if path.is_file():
            server.serve(f"/rhel9/{path.relative_to(repo)}", path.read_bytes())
    return f"{server.origin}/rhel9"


def test_a_directory_and_a_server_give_the_same_packages(repo: Path, vendor: Vendor, read: Read) -> None:
    there = open_repository(str(repo), [vendor.fingerprint], read)
    with LoopbackServer() as server:
        over_http = open_repository(serve(server, repo), [vendor.fingerprint], read)
    assert there.packages == over_http.packages == tuple(rpm.package() for rpm in toolkit("13.0"))
    assert there.fingerprint == over_http.fingerprint == vendor.fingerprint
    assert over_http.url == f"{server.origin}/rhel9/"
    assert there.url == repo.as_uri() + "/"


def test_only_four_small_files_are_read(repo: Path, vendor: Vendor, read: Read) -> None:
    with LoopbackServer() as server:
        open_repository(serve(server, repo), [vendor.fingerprint], read)
        assert [seen.path.removeprefix("/rhel9/") for seen in server.seen] == [
            "repodata/repomd.xml",
            "repodata/repomd.xml.asc",
            "repodata/repomd.xml.key",
            f"repodata/{primary_of(repo).name}",
        ]


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("https://h.example/a", "https://h.example/a/"),
        ("https://h.example/a/", "https://h.example/a/"),
        ("file:///a", "file:///a/"),
        ("/a b", "file:///a%20b/"),
    ],
)
def test_a_place_is_written_in_one_way(location: str, url: str) -> None:
    assert repository_url(location) == url


def test_a_relative_directory_is_one_of_the_working_directory(
    repo: Path, vendor: Vendor, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repo.parent)
    assert open_repository("repo", [vendor.fingerprint], read).url == repo.as_uri() + "/"


def test_the_pinned_key_may_be_one_of_several(repo: Path, vendor: Vendor, read: Read) -> None:
    assert open_repository(str(repo), ["0" * 40, vendor.fingerprint], read).fingerprint == vendor.fingerprint


def test_a_host_that_is_not_there_is_named_with_the_file_and_the_two_ways_on(vendor: Vendor, read: Read) -> None:
    with LoopbackServer() as server:
        gone = server.origin
    with pytest.raises(RepositoryUnreachable) as caught:
        open_repository(f"{gone}/rhel9/", [vendor.fingerprint], read)
    words = f"cannot get repodata/repomd.xml of the RPM repository from {gone.removeprefix('http://')}: "
    assert str(caught.value).startswith(words)
    assert "--toolchain-repo URL-or-DIR" in caught.value.hint
    assert "--without toolchain" in caught.value.hint


def test_a_server_without_metadata_is_named(repo: Path, vendor: Vendor, read: Read) -> None:
    with LoopbackServer() as server:
        url = serve(server, repo)
        server.fail(f"/rhel9/{module.REPOMD}", 404)
        with pytest.raises(RepositoryUnreachable, match=rf"cannot get {module.REPOMD} of .* 404"):
            open_repository(url, [vendor.fingerprint], read)


@pytest.mark.parametrize("file", [module.SIGNATURE, module.KEY])
def test_a_repository_without_signature_or_key_is_not_signed(repo: Path, vendor: Vendor, read: Read, file: str) -> None:
    with LoopbackServer() as server:
        url = serve(server, repo)
        server.fail(f"/rhel9/{file}", 404)
        with pytest.raises(RepositoryNotSigned, match=f"there is no {file} beside it") as caught:
            open_repository(url, [vendor.fingerprint], read)
    assert "--rpm-fingerprint" in caught.value.hint


@pytest.mark.parametrize("file", [module.SIGNATURE, module.KEY])
def test_a_server_that_is_not_well_is_not_called_unsigned(repo: Path, vendor: Vendor, file: str) -> None:
    def unwell(url: str, max_bytes: int) -> bytes:
        if url.endswith(file):
            raise HttpRefused(url, 503, "")
        return Path(url.removeprefix("file://")).read_bytes()

    with pytest.raises(RepositoryUnreachable):
        open_repository(str(repo), [vendor.fingerprint], unwell)


def test_a_directory_without_repodata_is_named(tmp_path: Path, vendor: Vendor, read: Read) -> None:
    with pytest.raises(RepositoryUnreachable) as caught:
        open_repository(str(tmp_path / "nothing"), [vendor.fingerprint], read)
    assert caught.value.place == f"the directory {tmp_path}/nothing/"
    assert "No such file" in str(caught.value)


def test_an_interrupt_stays_one(repo: Path, vendor: Vendor) -> None:
    def interrupted(url: str, max_bytes: int) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_repository(str(repo), [vendor.fingerprint], interrupted)


@pytest.mark.group(45)
def test_a_repository_signed_by_a_stranger_is_refused(
    tmp_path: Path, vendor: Vendor, stranger: Vendor, read: Read
) -> None:
    write_repository(tmp_path / "repo", toolkit("13.0"), stranger)
    with pytest.raises(RepositoryNotSigned) as caught:
        open_repository(str(tmp_path / "repo"), [vendor.fingerprint], read)
    assert grouped(vendor.fingerprint) in str(caught.value)
    assert grouped(stranger.fingerprint) in str(caught.value)


@pytest.mark.group(45)
def test_the_right_key_beside_a_strangers_signature_is_refused(
    repo: Path, vendor: Vendor, stranger: Vendor, read: Read
) -> None:
    repomd = (repo / module.REPOMD).read_bytes()
    (repo / module.SIGNATURE).write_bytes(stranger.sign(repomd))
    (repo / module.KEY).write_bytes(vendor.key + stranger.key)
    with pytest.raises(RepositoryNotSigned):
        open_repository(str(repo), [vendor.fingerprint], read)


@pytest.mark.group(45)
def test_a_repomd_changed_after_signing_is_refused(repo: Path, vendor: Vendor, read: Read) -> None:
    repomd = (repo / module.REPOMD).read_bytes()
    (repo / module.REPOMD).write_bytes(repomd.replace(b"<revision>", b"<revision>1"))
    with pytest.raises(RepositoryNotSigned, match=grouped(vendor.fingerprint)):
        open_repository(str(repo), [vendor.fingerprint], read)


@pytest.mark.parametrize("file", [module.SIGNATURE, module.KEY])
@pytest.mark.parametrize("data", [b"", b"<html>log in</html>", b"\xff" * 40])
def test_what_is_no_signature_or_key_is_refused(repo: Path, vendor: Vendor, read: Read, file: str, data: bytes) -> None:
    (repo / file).write_bytes(data)
    with pytest.raises(RepositoryNotSigned):
        open_repository(str(repo), [vendor.fingerprint], read)


def test_nothing_of_an_unsigned_repository_is_asked_for_after_its_signature(
    repo: Path, vendor: Vendor, stranger: Vendor, read: Read
) -> None:
    with LoopbackServer() as server:
        url = serve(server, repo)
        with pytest.raises(RepositoryNotSigned):
            open_repository(url, [stranger.fingerprint], read)
        assert server.count(f"/rhel9/repodata/{primary_of(repo).name}") == 0


def test_a_flipped_bit_in_primary_is_refused_with_both_digests(repo: Path, vendor: Vendor, read: Read) -> None:
    primary = primary_of(repo)
    good = primary.read_bytes()
    bad = good[:-20] + bytes([good[-20] ^ 1]) + good[-19:]
    primary.write_bytes(bad)
    with pytest.raises(MetadataMismatch) as caught:
        open_repository(str(repo), [vendor.fingerprint], read)
    assert hashlib.sha256(good).hexdigest() in str(caught.value)
    assert hashlib.sha256(bad).hexdigest() in str(caught.value)


@pytest.mark.group(45)
def test_an_older_primary_is_refused(repo: Path, tmp_path: Path, vendor: Vendor, read: Read) -> None:
    write_repository(tmp_path / "old", toolkit("12.9"), vendor)
    primary_of(repo).write_bytes(primary_of(tmp_path / "old").read_bytes())
    with pytest.raises(MetadataMismatch, match=r"the signed repomd\.xml says"):
        open_repository(str(repo), [vendor.fingerprint], read)


def test_a_primary_cut_short_is_refused_by_its_size(repo: Path, vendor: Vendor, read: Read) -> None:
    primary = primary_of(repo)
    size = primary.stat().st_size
    primary.write_bytes(primary.read_bytes()[:-1])
    with pytest.raises(MetadataMismatch, match=f"says {size} bytes, the file has {size - 1} bytes"):
        open_repository(str(repo), [vendor.fingerprint], read)


def test_a_signed_repomd_may_not_lead_out_of_the_repository(repo: Path, vendor: Vendor, read: Read) -> None:
    repomd = (repo / module.REPOMD).read_text()
    resign(repo, vendor, repomd.replace('href="repodata/', 'href="https://evil.example/repodata/'))
    with pytest.raises(LocationEscapes, match=r"evil\.example"):
        open_repository(str(repo), [vendor.fingerprint], read)


@pytest.mark.group(45)
def test_a_signed_package_may_not_lead_out_of_the_repository(tmp_path: Path, vendor: Vendor, read: Read) -> None:
    write_repository(tmp_path / "repo", [Rpm("a", location="../../x.rpm")], vendor)
    with pytest.raises(LocationEscapes, match=r"a-1\.0-1\.x86_64 is '\.\./\.\./x\.rpm'"):
        open_repository(str(tmp_path / "repo"), [vendor.fingerprint], read)


def test_metadata_over_the_cap_is_refused(
    repo: Path, vendor: Vendor, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PRIMARY_BYTES", 100)
    with pytest.raises(RepositoryUnreachable, match="larger than the 100 bytes allowed"):
        open_repository(str(repo), [vendor.fingerprint], read)


@pytest.mark.parametrize("comment", [b"Comment: '''", b"Comment: \x1b[2J"])
def test_a_key_that_a_lock_file_could_not_hold_is_refused(
    repo: Path, vendor: Vendor, read: Read, comment: bytes
) -> None:
    head, _, rest = vendor.key.partition(b"\n")
    (repo / module.KEY).write_bytes(head + b"\n" + comment + b"\n" + rest)
    with pytest.raises((InvalidRepodata, RepositoryNotSigned)):
        open_repository(str(repo), [vendor.fingerprint], read)


def test_a_key_with_windows_line_ends_is_read(repo: Path, vendor: Vendor, read: Read) -> None:
    (repo / module.KEY).write_bytes(vendor.key.replace(b"\n", b"\r\n"))
    assert open_repository(str(repo), [vendor.fingerprint], read).key.encode() == vendor.key
