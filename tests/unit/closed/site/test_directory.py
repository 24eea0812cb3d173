"""A site's directory: what is added to it, what is refused, and what stands when something stops it."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.closed.prefix.lock import PrefixBusy, holding
from mirror.closed.site.directory import RECORD, NotASite, SiteRecord, publish_directory
from mirror.closed.site.shelf import NameTaken, Published, PublishedChanged, read_shelf, verified_bundle
from mirror.core.bundle.reader import DigestMismatch
from mirror.core.errors import InvalidDocument, Unreadable, Unwritable
from mirror.core.progress import Advance, Silent
from tests.support.bundles import SEQUENCE
from tests.support.mounts import needs_mounts
from tests.support.site import SiteBundle, pip
from tests.support.wheels import sha256_of


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[SiteBundle, SiteBundle, SiteBundle]:
    """One bundle, the next, and one that has other bytes under a name of the first."""
    top = tmp_path_factory.mktemp("bundles")
    first, second = SiteBundle(top / "1", "1.0"), SiteBundle(top / "2", "2.0", SEQUENCE + 1)
    other = SiteBundle(top / "3", "3.0", SEQUENCE + 2)
    with other.wheels[1].open("ab") as stream:
        stream.write(b"another")
    other.simulator.add_wheel(other.wheels[1])
    for bundle in (first, second, other):
        bundle.write()
    return first, second, other


def publish(bundle: SiteBundle, site: Path) -> Published:
    with verified_bundle(bundle.path, store=bundle.store()) as opened:
        return publish_directory(opened, read_shelf(opened), site)


def tree(site: Path) -> dict[str, str]:
    """Every file of a site, with its digest; without the lock."""
    return {str(p.relative_to(site)): sha256_of(p) for p in site.rglob("*") if p.is_file() and p.name != ".lock"}


def test_a_bundle_becomes_a_tree_that_any_web_server_gives_out(bundles: tuple[SiteBundle, ...], tmp_path: Path) -> None:
    first, site = bundles[0], tmp_path / "www" / "site"
    published = publish(first, site)
    names = [path.name for path in (*first.wheels, *first.rpms)]
    assert sorted(published.added) == sorted(names) and published.kept == ()
    for directory, paths in (("files", first.wheels), ("rpms", first.rpms)):
        for path in paths:
            assert (site / directory / path.name).read_bytes() == path.read_bytes()
            assert (site / directory / path.name).stat().st_mode & 0o777 == 0o644
    quiet = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = pip("--index-url", f"http://127.0.0.1:{server.server_port}/simple/", "left-pad", target=tmp_path / "t")
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "t/right_pad.py").exists()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


def test_the_next_bundle_adds_and_nothing_goes(bundles: tuple[SiteBundle, ...], tmp_path: Path) -> None:
    first, second = bundles[:2]
    publish(first, tmp_path / "site")
    before = tree(tmp_path / "site")
    published = publish(second, tmp_path / "site")
    assert sorted(published.added) == ["cuda-demo-2.0-1.x86_64.rpm", "left_pad-2.0-py3-none-any.whl"]
    assert sorted(published.kept) == ["cuda-extra-1.0-1.x86_64.rpm", "right_pad-1.5-1-py3-none-any.whl"]
    after = tree(tmp_path / "site")
    assert set(before) <= set(after)
    assert {path for path in before if before[path] != after[path]} == {
        RECORD, "rpms/repodata/repomd.xml", "simple/left-pad/index.html", "simple/left-pad/index.json",
    }  # fmt: skip
    page = json.loads((tmp_path / "site/simple/left-pad/index.json").read_bytes())
    assert page["versions"] == ["1.0", "2.0"]
    (primary,) = re.findall(r"repodata/[0-9a-f]+-primary", (tmp_path / "site/rpms/repodata/repomd.xml").read_text())
    assert (tmp_path / f"site/rpms/{primary}.xml.gz").exists()
    # The other way round, and once more: the same tree, but for repodata that nothing names any more.
    publish(second, tmp_path / "other")
    publish(first, tmp_path / "other")
    again = publish(first, tmp_path / "other")
    assert (again.added, len(again.kept)) == ((), 4)
    other = tree(tmp_path / "other")
    assert {p: d for p, d in other.items() if p in after and p != RECORD} == {
        p: d for p, d in after.items() if p in other and p != RECORD
    }
    assert set(other) ^ set(after) <= {p for p in (*other, *after) if p.endswith(".xml.gz")}


def test_what_a_killed_run_left_of_another_bundle_goes(bundles: tuple[SiteBundle, ...], tmp_path: Path) -> None:
    publish(bundles[0], tmp_path)
    left = [
        tmp_path / "files/.of_another-1-py3-none-any.whl.999999.tmp",
        tmp_path / "rpms/.a-1-1.x86_64.rpm.999999.tmp",
    ]
    for path in left:
        path.write_bytes(b"half")
    publish(bundles[1], tmp_path)
    assert not any(path.exists() for path in left)


@pytest.mark.group(77)
def test_other_bytes_under_a_name_are_refused_before_anything_is_written(
    bundles: tuple[SiteBundle, ...], tmp_path: Path
) -> None:
    first, _, other = bundles
    publish(first, tmp_path / "site")
    before = tree(tmp_path / "site")
    with pytest.raises(NameTaken) as exc_info:
        publish(other, tmp_path / "site")
    there, here = sha256_of(first.wheels[1]), sha256_of(other.wheels[1])
    assert str(exc_info.value) == (
        f"{tmp_path}/site has another right_pad-1.5-1-py3-none-any.whl: sha256 {there} there, {here} in the bundle"
    )
    assert tree(tmp_path / "site") == before
    # Also where the file is gone by now: its name was given out.
    (tmp_path / "site/files" / first.wheels[1].name).unlink()
    with pytest.raises(NameTaken):
        publish(other, tmp_path / "site")


def test_a_published_file_that_was_altered_is_found_when_its_bundle_comes_again(
    bundles: tuple[SiteBundle, ...], tmp_path: Path
) -> None:
    publish(bundles[0], tmp_path / "site")
    path = tmp_path / "site/rpms" / bundles[0].rpms[0].name
    good = sha256_of(path)
    with path.open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(PublishedChanged) as caught:
        publish(bundles[0], tmp_path / "site")
    assert str(caught.value) == (
        f"{path} has changed since it was published: sha256 {sha256_of(path)} now, {good} then and in the bundle"
    )
    assert caught.value.hint.endswith(f"publish again: rm {path}")
    path.unlink()
    assert publish(bundles[0], tmp_path / "site").added == (path.name,)


def test_what_a_site_does_not_give_out_is_told_and_nothing_is_compared_where_nothing_lies(tmp_path: Path) -> None:
    bundle = SiteBundle(tmp_path / "b", "1.0")
    bundle.simulator.add("files/chat.jinja", b"{{ messages }}")
    bundle.write()
    tasks: list[str] = []

    class Named(Silent):
        @contextmanager
        def task(self, label: str, total: int | None = None, unit: str = "B") -> Iterator[Advance]:
            tasks.append(label)
            yield lambda amount: None

    with verified_bundle(bundle.path, store=bundle.store()) as opened:
        published = publish_directory(opened, read_shelf(opened), tmp_path / "site", Named())
    assert published.notes == ("not given out: 1 file; 'mirror install' is for those",)
    assert tasks == ["publish"]


def test_what_is_gone_is_put_back_by_its_bundle_and_named_by_no_page_meanwhile(
    bundles: tuple[SiteBundle, ...], tmp_path: Path
) -> None:
    first, second = bundles[:2]
    publish(first, tmp_path / "site")
    whole = tree(tmp_path / "site")
    for path in ("files/left_pad-1.0-py3-none-any.whl", "rpms/cuda-demo-1.0-1.x86_64.rpm"):
        (tmp_path / "site" / path).unlink()
    assert publish(first, tmp_path / "site").added == ("left_pad-1.0-py3-none-any.whl", "cuda-demo-1.0-1.x86_64.rpm")
    assert tree(tmp_path / "site") == whole
    (tmp_path / "site/files/left_pad-1.0-py3-none-any.whl").unlink()
    assert publish(second, tmp_path / "site").notes == (
        "left_pad-1.0-py3-none-any.whl was published before and is gone: the pages do not name it any more",
    )
    assert json.loads((tmp_path / "site/simple/left-pad/index.json").read_bytes())["versions"] == ["2.0"]


def test_a_directory_of_somebody_else_is_left_alone(bundles: tuple[SiteBundle, ...], tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "simple").mkdir(parents=True)
    with pytest.raises(NotASite, match=f"{site} holds simple, and no {RECORD}: mirror did not publish there"):
        publish(bundles[0], site)
    assert [path.name for path in site.iterdir()] == ["simple"]
    (site / "simple").rmdir()
    (site / RECORD).write_text("{")
    with pytest.raises(InvalidDocument, match=re.escape(str(site / RECORD))):
        publish(bundles[0], site)
    (tmp_path / "file").touch()
    with pytest.raises(Unwritable, match="file"):
        publish(bundles[0], tmp_path / "file")


def test_what_lies_in_a_file_s_place_is_named(bundles: tuple[SiteBundle, ...], tmp_path: Path) -> None:
    publish(bundles[0], tmp_path / "site")
    place = tmp_path / "site/files" / bundles[0].wheels[0].name
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(Unreadable, match=rf"{place.name}: not a regular file"):
        publish(bundles[0], tmp_path / "site")


def test_two_at_once_are_one_after_the_other(bundles: tuple[SiteBundle, ...], tmp_path: Path) -> None:
    publish(bundles[0], tmp_path / "site")
    descriptor = os.open(tmp_path / "site", os.O_RDONLY)
    try:
        with holding(descriptor, tmp_path / "site"), pytest.raises(PrefixBusy, match=f"process {os.getpid()} on"):
            publish(bundles[1], tmp_path / "site")
    finally:
        os.close(descriptor)


@pytest.mark.group(43)
@pytest.mark.parametrize("name", ["simple", "files", "rpms", "rpms/repodata", "simple/left-pad"])
def test_nothing_is_written_through_a_link_that_somebody_put_into_a_site(
    bundles: tuple[SiteBundle, ...], tmp_path: Path, name: str
) -> None:
    site, others = tmp_path / "site", tmp_path / "others"
    publish(bundles[0], site)
    others.mkdir()
    (others / "index.html").write_text("theirs")
    (site / name).rename(tmp_path / "moved")
    (site / name).symlink_to(others)
    with pytest.raises(Unwritable, match=f"{name}: it is a link or a file, and no directory"):
        publish(bundles[1], site)
    assert [path.name for path in others.iterdir()] == ["index.html"]
    assert (others / "index.html").read_text() == "theirs"


class Cut(BaseException):
    """As a signal ends a command."""


class Cutting(Silent):
    """Ends the work after so many steps of copying."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "B") -> Iterator[Advance]:
        yield self.step if label == "publish" else lambda amount: None

    def step(self, amount: int) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Cut


def test_cut_while_it_copies_no_page_names_what_is_not_there_and_the_same_command_goes_on(
    bundles: tuple[SiteBundle, ...], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    publish(bundles[0], site)
    for steps in (0, 1):
        with verified_bundle(bundles[1].path, store=bundles[1].store()) as opened, pytest.raises(Cut):
            publish_directory(opened, read_shelf(opened), site, Cutting(steps))
        assert not list(site.rglob(".*.tmp"))
        for page in site.glob("simple/*/index.json"):
            for listed in json.loads(page.read_bytes())["files"]:
                assert sha256_of(page.parent / listed["url"]) == listed["hashes"]["sha256"]
    publish(bundles[1], site)
    publish(bundles[0], tmp_path / "straight")
    publish(bundles[1], tmp_path / "straight")
    assert tree(site) == tree(tmp_path / "straight")


@needs_mounts
def test_a_full_disk_is_named_and_what_was_published_stands(bundles: tuple[SiteBundle, ...], tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    environment = {**os.environ, "MIRROR_HOME": str(bundles[0].directory / "trust")}
    bundles[0].store(), bundles[1].store()
    mirror = f"{sys.executable} -m mirror.cli.main publish"
    script = (
        f"mount -t tmpfs -o size=84k x {site} && {mirror} {bundles[0].path} --to {site} && "
        f"! {mirror} {bundles[1].path} --to {site} && cd {site} && find . -name '*.tmp' && sha256sum files/*.whl"
    )
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"error: cannot write {site}/" in done.stderr and "No space left on device" in done.stderr
    assert ".tmp" not in done.stdout
    assert all(sha256_of(path) in done.stdout for path in bundles[0].wheels)


@pytest.mark.group(76)
def test_the_bundle_is_watched_while_it_is_copied(bundles: tuple[SiteBundle, ...], tmp_path: Path) -> None:
    copy = tmp_path / "copy.tar"
    shutil.copy(bundles[0].path, copy)
    with verified_bundle(copy, store=bundles[0].store()) as opened:
        shelf = read_shelf(opened)
        data = bytearray(copy.read_bytes())
        data[data.index(bundles[0].wheels[0].read_bytes()) + 60] ^= 1
        with copy.open("r+b") as stream:
            stream.write(data)
        with pytest.raises(DigestMismatch):
            publish_directory(opened, shelf, tmp_path / "site")
    assert list((tmp_path / "site/files").iterdir()) == []


def test_the_record_is_read_as_it_was_written(bundles: tuple[SiteBundle, ...], tmp_path: Path) -> None:
    publish(bundles[0], tmp_path / "site")
    data = (tmp_path / "site" / RECORD).read_bytes()
    assert SiteRecord.parse(data).encode() == data
    for name in ("../x", "", "a/b", "a\nb"):
        with pytest.raises(InvalidDocument, match="expected the name of a file"):
            SiteRecord.parse(data.replace(b"left_pad-1.0-py3-none-any.whl", json.dumps(name)[1:-1].encode()))


def test_the_command_says_what_it_did(
    bundles: tuple[SiteBundle, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundles[0].trust(monkeypatch)
    words = ["publish", str(bundles[0].path), "--to", str(tmp_path / "site")]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"published 4 files in {tmp_path}/site; 0 were there already"
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"published 0 files in {tmp_path}/site; 4 were there already"
