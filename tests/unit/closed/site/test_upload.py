"""Uploads by twine to an index that a test can make say anything; to real ones in ``tests/e2e/test_site.py``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.closed.site.credentials import PASSWORD, USERNAME, ask_keyring, read_credentials
from mirror.closed.site.index import IndexRefused, IndexUnreachable, NoIndexPages
from mirror.closed.site.shelf import NameTaken, NothingToGive, Published, read_shelf, verified_bundle
from mirror.closed.site.upload import TwineMissing, find_twine, publish_index
from mirror.core.errors import InvalidDocument, MirrorError, Unreadable
from tests.support.bundles import BundleSimulator
from tests.support.site import SiteBundle
from tests.support.uploads import UploadIndex
from tests.support.wheels import sha256_of

SECRET = "s3cret&words"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SiteBundle:
    found = SiteBundle(tmp_path_factory.mktemp("bundle"), rpms=False)
    found.write()
    return found


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UploadIndex]:
    """An index, and a user with credentials in the environment and a home without any."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(USERNAME, "me")
    monkeypatch.setenv(PASSWORD, SECRET)
    monkeypatch.delenv("NETRC", raising=False)
    with UploadIndex() as found:
        yield found


def publish(bundle: SiteBundle, url: str, pages: str = "") -> Published:
    with verified_bundle(bundle.path, store=bundle.store()) as opened:
        return publish_index(opened, read_shelf(opened), url, pages)


def put(index: UploadIndex, bundle: SiteBundle) -> None:
    """Everything is there already."""
    index.files.update((wheel.name, wheel.read_bytes()) for wheel in bundle.wheels)


def posts(index: UploadIndex) -> int:
    return sum(line.startswith("POST") for line in index.asked)


@pytest.mark.group(78)
def test_what_is_missing_is_uploaded_and_what_is_there_is_not(bundle: SiteBundle, index: UploadIndex) -> None:
    left, right = bundle.wheels
    index.login = f"me:{SECRET}"
    index.files[left.name] = left.read_bytes()
    published = publish(bundle, index.url)
    assert (published.added, published.kept, published.notes) == ((right.name,), (left.name,), ())
    assert index.files == {wheel.name: wheel.read_bytes() for wheel in bundle.wheels}
    assert posts(index) == 1
    again = publish(bundle, index.url)
    assert (again.added, len(again.kept), posts(index)) == ((), 2, 1)
    assert any("twine" in command for command in index.commands)
    assert not [command for command in index.commands if SECRET in command]


@pytest.mark.group(77)
@pytest.mark.parametrize("tells", ["sha256", "md5", ""])
def test_other_bytes_under_a_name_end_it_before_anything_is_uploaded(
    bundle: SiteBundle, index: UploadIndex, tells: str
) -> None:
    left, right = bundle.wheels
    index.tells = tells
    index.files[right.name] = right.read_bytes()[:-1] + b"x"
    with pytest.raises(NameTaken) as exc_info:
        publish(bundle, index.url)
    (found,) = exc_info.value.files
    assert found[::2] == (right.name, sha256_of(right))
    assert str(exc_info.value).startswith(f"{index.url} has another {right.name}: sha256 ")
    index.files[right.name] += b"longer"
    with pytest.raises(NameTaken, match="another"):
        publish(bundle, index.url)
    assert (posts(index), list(index.files)) == (0, [right.name])
    del left


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (403, "This user may not do that on this index"),
        (413, "client_max_body_size"),
        (503, "The index cannot answer now"),
    ],
)
def test_an_upload_that_is_refused_says_who_can_change_that_and_the_same_command_goes_on(
    bundle: SiteBundle, index: UploadIndex, status: int, step: str
) -> None:
    index.refuse_uploads = status
    with pytest.raises(IndexRefused) as exc_info:
        publish(bundle, index.url)
    assert (exc_info.value.status, exc_info.value.doing) == (status, f"the upload of {bundle.wheels[0].name}")
    assert step in exc_info.value.hint
    assert SECRET not in f"{exc_info.value} {exc_info.value.context()}"


def test_an_upload_that_is_cut_goes_on_with_what_is_missing(bundle: SiteBundle, index: UploadIndex) -> None:
    index.refuse_uploads = -1
    with pytest.raises(IndexUnreachable, match=f"to the upload of {bundle.wheels[0].name}: "):
        publish(bundle, index.url)
    assert index.files == {}
    index.refuse_uploads = 0
    assert len(publish(bundle, index.url).added) == 2


def test_an_index_that_knows_nobody_or_that_is_not_there_is_named(bundle: SiteBundle, index: UploadIndex) -> None:
    index.login, index.asks_readers = "me:other", True
    with pytest.raises(IndexRefused, match="answers 401 Unauthorized to the list of its projects") as exc_info:
        publish(bundle, index.url)
    assert "TWINE_PASSWORD" in exc_info.value.hint
    index.asks_readers, index.pages = False, 503
    with pytest.raises(IndexRefused, match="503"):
        publish(bundle, index.url)
    index.pages = 404
    with pytest.raises(NoIndexPages, match=rf"no package index answers at {index.url}simple/, {index.url}\+simple/"):
        publish(bundle, index.url)
    with pytest.raises(IndexUnreachable, match="Connection refused"):
        publish(bundle, "http://127.0.0.1:1/")
    with pytest.raises(IndexUnreachable, match="to the list of its projects: "):
        publish(bundle, index.url.replace("http:", "https:"))
    assert posts(index) == 0


@pytest.mark.group(77)
def test_a_page_that_is_none_is_not_taken_for_an_empty_index(
    bundle: SiteBundle, index: UploadIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.closed.site.index.MAX_PAGE_BYTES", 1000)
    index.pages = b"<a href=x>" * 1000
    with pytest.raises(IndexUnreachable, match="it is no page of an index"):
        publish(bundle, index.url)
    assert posts(index) == 0


@pytest.mark.group(77)
def test_a_page_that_links_to_a_file_of_this_machine_has_it_read_by_nobody(
    bundle: SiteBundle, index: UploadIndex
) -> None:
    index.pages = f'<a href="file://{bundle.wheels[0]}">'.encode()
    with pytest.raises(IndexUnreachable, match="it is no address of a web server"):
        publish(bundle, index.url)


@pytest.mark.group(77)
def test_a_redirect_to_another_server_is_no_answer(bundle: SiteBundle, index: UploadIndex) -> None:
    """As pypiserver sends for projects that it does not have; credentials stay here."""
    with UploadIndex() as elsewhere:
        put(elsewhere, bundle)
        index.redirect = f"{elsewhere.url}simple/left-pad/"
        assert len(publish(bundle, index.url).added) == 2
        assert elsewhere.asked == []


def test_credentials_come_from_netrc_where_the_environment_has_none(
    bundle: SiteBundle, index: UploadIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(USERNAME)
    monkeypatch.delenv(PASSWORD)
    index.login, index.asks_readers = f"you:{SECRET}", True
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login you password {SECRET}\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert len(publish(bundle, index.url).added) == 2
    assert not [command for command in index.commands if SECRET in command]


def test_credentials_come_from_the_keyring_where_nothing_else_has_any(
    bundle: SiteBundle, index: UploadIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(USERNAME)
    monkeypatch.delenv(PASSWORD)
    index.login, index.asks_readers = f"she:{SECRET}", True
    with pytest.raises(IndexRefused, match="401"):
        publish(bundle, index.url)
    (tmp_path / "ring.py").write_text(
        "import keyring.backend, keyring.credentials\n"
        "class Ring(keyring.backend.KeyringBackend):\n"
        "    priority = 1\n"
        "    def set_password(self, service, username, password): pass\n"
        f"    def get_password(self, service, username): return {SECRET!r}\n"
        f"    def get_credential(self, service, username):\n"
        f"        return keyring.credentials.SimpleCredential('she', {SECRET!r})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "ring.Ring")
    assert len(publish(bundle, index.url).added) == 2
    found = ask_keyring(index.url, find_twine(), {**os.environ, USERNAME: "he"})
    assert found is not None and (found.username, found.password) == ("he", SECRET)
    assert SECRET not in repr(found)


def test_a_netrc_file_that_cannot_be_understood_is_named_without_its_words(tmp_path: Path) -> None:
    path = tmp_path / ".netrc"
    path.write_text(f"machine a login b pasword {SECRET}\n")
    path.chmod(0o600)
    with pytest.raises(InvalidDocument) as exc_info:
        read_credentials("http://a/", {"HOME": str(tmp_path)})
    assert str(path) in str(exc_info.value) and SECRET not in str(exc_info.value)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidDocument):
        read_credentials("http://a/", {"HOME": str(tmp_path)})
    with pytest.raises(Unreadable):
        read_credentials("http://a/", {"NETRC": str(tmp_path / "none")})
    assert read_credentials("http://a/", {}) is None


def test_without_twine_it_says_what_does_without(bundle: SiteBundle, tmp_path: Path) -> None:
    script = "import sys\nfrom mirror.closed.site.upload import find_twine\nfind_twine()\n"
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n{script}"]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert "TwineMissing: twine uploads to an index, and it is neither on the PATH nor in " in done.stderr
    assert "mirror serve" in TwineMissing.hint


def test_a_bundle_without_wheels_has_nothing_for_an_index(tmp_path: Path) -> None:
    simulator = BundleSimulator()
    simulator.add("meta/words.txt", b"words")
    path = simulator.write(tmp_path / "b.tar")
    with verified_bundle(path, store=simulator.store(tmp_path / "trust")) as opened, pytest.raises(NothingToGive):
        read_shelf(opened)


@pytest.mark.group(78)
@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("https://me:pa55@pypi.example/", "it holds a user name or password"),
        ("https://me@pypi.example/", "it holds a user name or password"),
        ("ftp://pypi.example/", "expected the path of a directory, or an address"),
        ("https://", "expected the path of a directory, or an address"),
        ("https://pypi.example:port/", "expected the path of a directory, or an address"),
        ("https://[/", "expected the path of a directory, or an address"),
        ("https://pypi.example/?a=b", "expected an address without"),
    ],
)
def test_an_address_that_is_none_is_a_mistake_in_the_command_line(
    to: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["publish", "b.tar", "--to", to])
    err = capsys.readouterr().err
    assert words in err and "pa55" not in err


@pytest.mark.group(78)
def test_the_command_tells_what_it_did_and_never_a_password(
    bundle: SiteBundle, index: UploadIndex, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle.trust(monkeypatch)
    put(index, bundle)
    assert main(["publish", str(bundle.path), "--to", index.url, "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["place"], document["added"], len(document["kept"])) == (index.url, [], 2)
    index.files.clear()
    index.refuse_uploads = 403
    assert main(["publish", "-v", str(bundle.path), "--to", index.url]) == IndexRefused.exit_code
    out, err = capsys.readouterr()
    assert "ref: index-refused" in err and SECRET not in out + err


def test_every_error_of_an_index_can_be_told(index: UploadIndex) -> None:
    for status in (400, 401, 403, 404, 405, 409, 413, 429, 500, 503):
        error: MirrorError = IndexRefused(index.url, status, "No", "it")
        assert error.hint and str(error) == f"{index.url} answers {status} No to it"
