from __future__ import annotations

import base64
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.connected.signing.keyfile import (
    ExposedKey,
    KeyExists,
    LockedKey,
    UnusableKey,
    ask_passphrase,
    new_key,
    read_key,
)
from mirror.core.errors import Unreadable, Unwritable
from mirror.core.signatures.sshsig import to_strings
from tests.support.keys import private_key, signer, write_private_key


def keygen(*arguments: object) -> str:
    words = ["ssh-keygen", *map(str, arguments)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def problem(path: Path) -> str:
    with pytest.raises(UnusableKey) as caught:
        read_key(path)
    assert caught.value.path == str(path)
    return caught.value.problem


def test_a_new_key_is_a_private_file_that_ssh_keygen_reads(tmp_path: Path) -> None:
    path = tmp_path / "a" / "keys" / "builder"
    public = new_key(path, "the builder")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.with_suffix(".pub").read_text() == f"{public.openssh()} the builder\n"
    assert keygen("-y", "-f", path).split()[:2] == public.openssh().split()
    assert sorted(os.listdir(path.parent)) == ["builder", "builder.pub"]
    assert read_key(path).public == read_key(path.with_suffix(".pub")).public == public


def test_two_new_keys_differ(tmp_path: Path) -> None:
    assert new_key(tmp_path / "a") != new_key(tmp_path / "b")


@pytest.mark.parametrize("umask", [0, 0o077])
def test_a_new_key_is_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        new_key(tmp_path / "key")
    finally:
        os.umask(old)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("dear")
    with pytest.raises(KeyExists) as caught:
        new_key(tmp_path / "key")
    assert str(caught.value) == f"{tmp_path}/key exists already"
    assert (tmp_path / "key").read_text() == "dear"
    assert os.listdir(tmp_path) == ["key"]


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_path_that_has_no_name_is_no_place_for_a_key(path: str) -> None:
    with pytest.raises(Unwritable) as caught:
        new_key(Path(path))
    assert str(caught.value) == f"cannot write {Path(path)}: it is a directory, and no name of a key"
    assert caught.value.hint == "Name the file that the key is to be."


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyExists):
        new_key(tmp_path / "key")
    assert os.listdir(tmp_path) == ["key"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unwritable, match=f"cannot write {tmp_path}/file: "):
        new_key(tmp_path / "file" / "key")
    with pytest.raises(Unwritable, match="File name too long"):
        new_key(tmp_path / ("x" * 255))
    assert os.listdir(tmp_path) == ["file"]


def test_reads_the_keys_that_ssh_keygen_makes(tmp_path: Path) -> None:
    keygen("-q", "-t", "ed25519", "-N", "", "-C", "someone@example.org", "-f", tmp_path / "id")
    private, public = read_key(tmp_path / "id"), read_key(tmp_path / "id.pub")
    assert private.public == public.public
    assert (private.is_private, private.is_locked, public.is_private) == (True, False, False)
    assert private.unlock(None).public_key().public_bytes_raw() == public.public.raw


@pytest.mark.group(69)
def test_unlocks_a_key_with_its_passphrase_only(tmp_path: Path) -> None:
    keygen("-q", "-t", "ed25519", "-a", "1", "-N", "right", "-f", tmp_path / "id")
    key = read_key(tmp_path / "id")
    assert key.is_locked
    assert key.unlock(b"right").public_key().public_bytes_raw() == key.public.raw
    for wrong in (b"wrong", b"", None):
        with pytest.raises(LockedKey) as caught:
            key.unlock(wrong)
        assert str(caught.value).startswith(f"the private key {tmp_path}/id is locked: ")
    with pytest.raises(LockedKey, match="the passphrase is wrong"):
        key.unlock(b"wrong")


def test_a_new_key_with_a_passphrase_is_locked(tmp_path: Path) -> None:
    public = new_key(tmp_path / "key", passphrase=b"secret")
    assert read_key(tmp_path / "key").is_locked
    assert read_key(tmp_path / "key").unlock(b"secret").public_key().public_bytes_raw() == public.raw


@pytest.mark.group(69)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601, 0o777])
def test_a_private_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_private_key(tmp_path / "key")
    path.chmod(mode)
    with pytest.raises(ExposedKey) as caught:
        read_key(path)
    assert str(caught.value) == f"the private key {path} has mode {mode:04o}, expected 0600: others may use it"


def test_a_private_key_that_only_its_owner_reads_is_fine(tmp_path: Path) -> None:
    path = write_private_key(tmp_path / "key")
    path.chmod(0o400)
    assert read_key(path).is_private


@pytest.mark.group(73)
def test_dos_line_ends_are_refused_in_both_halves(tmp_path: Path) -> None:
    path = write_private_key(tmp_path / "key")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert problem(path) == "it has DOS line ends: it was altered on its way here"
    (tmp_path / "key.pub").write_bytes(signer("alice").public.openssh().encode() + b"\r\n")
    assert "DOS line ends" in problem(tmp_path / "key.pub")


@pytest.mark.group(73)
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_keys_are_refused(tmp_path: Path, kind: str) -> None:
    keygen("-q", "-t", kind, "-N", "", "-f", tmp_path / "id")
    assert problem(tmp_path / "id").startswith("expected an ssh-ed25519 key, got '")
    assert problem(tmp_path / "id.pub").startswith("expected a key of type ssh-ed25519, got '")


def test_other_formats_of_private_keys_are_refused(tmp_path: Path) -> None:
    keygen("-q", "-t", "rsa", "-m", "PEM", "-N", "", "-f", tmp_path / "id")
    assert problem(tmp_path / "id") == "expected a private key in OpenSSH's format, got another format"


@pytest.mark.group(73)
def test_certificates_are_refused(tmp_path: Path) -> None:
    authority, path = write_private_key(tmp_path / "ca", "ca"), tmp_path / "id"
    keygen("-q", "-t", "ed25519", "-N", "", "-f", path)
    keygen("-q", "-s", authority, "-I", "someone", f"{path}.pub")
    assert "got 'ssh-ed25519-cert-v01@openssh.com'" in problem(tmp_path / "id-cert.pub")


ALICE = signer("alice").public.openssh()


@pytest.mark.group(73)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        ALICE + "\n" + ALICE + "\n",
        ALICE + "\n\n",
        "# a comment\n" + ALICE + "\n",
        'command="x" ' + ALICE + "\n",
        "ssh-ed25519 " + base64.b64encode(to_strings(b"ssh-ed25519", b"\1" * 31)).decode(),
        "ssh-ed25519 " + base64.b64encode(to_strings(b"ssh-ed25519", b"\1" * 33)).decode(),
        "ssh-ed25519 " + base64.b64encode(to_strings(b"ssh-ed25519", bytes([1]) + bytes(31))).decode(),
        "ssh-ed25519\n",
        "é" + ALICE,
    ],
)
def test_a_public_key_file_is_one_plain_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.pub").write_text(text, encoding="utf-8")
    assert problem(tmp_path / "key.pub")


def test_the_comment_of_a_public_key_may_be_anything(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"{ALICE} alice on her laptop")
    assert read_key(tmp_path / "key.pub").public == signer("alice").public


def rebuilt(path: Path, old: bytes, new: bytes) -> Path:
    """The private key file with some of its bytes replaced."""
    lines = path.read_bytes().splitlines()
    blob = base64.b64decode(b"".join(lines[1:-1]))
    assert old in blob
    text = base64.b64encode(blob.replace(old, new, 1))
    path.write_bytes(b"\n".join([lines[0], text, lines[-1], b""]))
    return path


def test_a_private_key_whose_halves_differ_is_refused(tmp_path: Path) -> None:
    path = rebuilt(write_private_key(tmp_path / "key", "alice"), signer("alice").public.raw, signer("bob").public.raw)
    key = read_key(path)
    assert key.public == signer("bob").public  # what it says in the clear, until it is unlocked
    with pytest.raises(UnusableKey, match="the private key is damaged"):
        key.unlock(None)


def test_a_private_key_with_wrong_secret_bytes_is_refused(tmp_path: Path) -> None:
    seeds = [private_key(name).private_bytes_raw() for name in ("alice", "bob")]
    path = rebuilt(write_private_key(tmp_path / "key", "alice"), *seeds)
    with pytest.raises(UnusableKey, match="the private key is damaged: "):
        read_key(path).unlock(None)


@pytest.mark.group(73)
def test_several_keys_in_one_file_are_refused(tmp_path: Path) -> None:
    path = write_private_key(tmp_path / "key")
    path.write_bytes(path.read_bytes() * 2)
    assert problem(path)
    one = rebuilt(write_private_key(tmp_path / "two"), b"\0\0\0\1\0\0\0\x33", b"\0\0\0\2\0\0\0\x33")
    assert problem(one) == "expected one key in the file, got another number"


def test_a_private_key_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = write_private_key(tmp_path / "key")
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        assert problem(path)


@pytest.mark.parametrize("body", [b"", b"AAAA", base64.b64encode(b"openssh-key-v1\0" + b"\xff" * 4)])
def test_an_armor_round_something_else_is_refused(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + body + b"\n-----END OPENSSH PRIVATE KEY-----\n")
    path.chmod(0o600)
    assert problem(path)


def test_a_path_that_is_no_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="No such file"):
        read_key(tmp_path / "none")
    with pytest.raises(Unreadable, match="Is a directory"):
        read_key(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    assert problem(tmp_path / "fifo") == "expected a key file, got a device or a pipe"
    (tmp_path / "big").write_bytes(b"x" * (1 << 20))
    assert problem(tmp_path / "big") == "expected a key file, got one of more than 16384 bytes"


@pytest.mark.group(69)
def test_without_a_terminal_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(LockedKey) as caught:
            ask_passphrase(tmp_path / "key")
    assert str(caught.value) == (
        f"the private key {tmp_path}/key is locked: it needs a passphrase and there is no terminal to ask on"
    )


def test_on_a_terminal_the_passphrase_is_asked_for_and_not_shown() -> None:
    code = "from pathlib import Path; from mirror.connected.signing.keyfile import ask_passphrase as ask; print(ask(Path('k')))"
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # no controlling terminal, so getpass reads the terminal that is stdin
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.read(18) == b"Passphrase for k: "
        os.write(ours, b"secret\n")
        assert process.stdout.read() == b"b'secret'\n"
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        os.read(ours, 1)  # the terminal has echoed nothing
    os.close(ours)
    os.close(theirs)
