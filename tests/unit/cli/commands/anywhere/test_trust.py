from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mirror.cli.commands.anywhere import trust
from mirror.cli.main import main
from mirror.connected.signing.keyfile import UnusableKey, new_key, read_public
from mirror.connected.signing.rotation import DraftBusy, DraftChanged, NoRootKey, RoleTooSmall, Rotation
from mirror.core.errors import InvalidDocument
from mirror.core.trust.quorum import UnknownSigner
from mirror.core.trust.truststore import NoTrustedRoot, TrustStore, UnconfirmedRoot, UnsafeTrustStore
from mirror.core.words import grouped
from tests.support.faults import HOUSE, needs_strace
from tests.support.keys import key, make_root, role, sign_manifest, sign_root, trust_store, write_private_key
from tests.support.otheruser import OTHER, call_as_other, home_of_other, needs_root, shared_directory


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    trust.configure(parser.add_subparsers())
    args = parser.parse_args(["trust", *map(str, words)])
    return trust.run(args)


def day(distance: int) -> str:
    """So many days from today, UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + distance * 86_400))


def result(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "root.json"
    path.write_bytes(sign_root(make_root())[0])
    path.with_suffix(".sig").write_bytes(sign_root(make_root())[1])
    return path


def test_init_makes_a_root_prints_its_fingerprint_and_says_that_one_person_holds_all(
    mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("init") == 0
    out, err = capsys.readouterr()
    root = TrustStore(mirror_home).load_root()
    assert "".join("".join(out.splitlines()[:2]).split()) == f"rootfingerprint{root.fingerprint}"
    assert "WARNING: ONE PERSON HOLDS EVERYTHING." in err
    assert str(mirror_home / "keys" / "root") in err
    assert str(mirror_home / "keys" / "builder") in err


def test_init_again_shows_the_same_root_and_makes_nothing(
    mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init", "--json")
    first = result(capsys)
    assert first["created"] == [str(mirror_home / "keys" / "root"), str(mirror_home / "keys" / "builder")]
    assert run("init", "--json") == 0
    assert result(capsys) == {**first, "created": []}


def test_init_of_keys_that_were_here_before_tells_to_put_their_roots_back(
    mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init")
    assert "note: " not in capsys.readouterr().out
    shutil.rmtree(mirror_home / "roots")
    assert run("init", "--json") == 0
    (note,) = result(capsys)["notes"]
    assert f"put back {mirror_home}/roots" in note
    shutil.rmtree(mirror_home / "roots")
    assert run("init") == 0
    assert f"\nnote: {note}\n" in capsys.readouterr().out


def test_init_with_ones_own_keys(tmp_path: Path, mirror_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder, root = write_private_key(tmp_path / "b", "alice"), write_private_key(tmp_path / "r", "rita")
    assert run("init", "--key", builder, "--root-key", root, "--json") == 0
    facts = result(capsys)
    assert facts["created"] == []
    assert facts["roles"]["builder"]["keys"][0]["public"] == key("alice").public.openssh()
    assert facts["roles"]["root"]["keys"][0]["public"] == key("rita").public.openssh()
    assert not (mirror_home / "keys").exists()


def test_init_with_a_key_that_the_trusted_root_does_not_name(tmp_path: Path, mirror_home: Path) -> None:
    trust_store(mirror_home)
    with pytest.raises(UnknownSigner):
        run("init", "--key", write_private_key(tmp_path / "b", "stranger"))


def test_add_trusts_a_root_by_its_fingerprint(
    document: Path, mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("add", document, "--fingerprint", make_root().fingerprint, "--json") == 0
    assert result(capsys)["fingerprint"] == make_root().fingerprint
    assert TrustStore(mirror_home).load_root() == make_root()
    assert run("add", document) == 0  # it is trusted already


def test_add_takes_a_fingerprint_as_people_write_it_down(document: Path, mirror_home: Path) -> None:
    text = make_root().fingerprint.upper()
    assert run("add", document, "--fingerprint", " ".join(text[at : at + 8] for at in range(0, 64, 8))) == 0


def test_add_without_a_fingerprint_or_with_another_trusts_nothing(document: Path, mirror_home: Path) -> None:
    for words in ((), ("--fingerprint", "0" * 64)):
        with pytest.raises(UnconfirmedRoot):
            run("add", document, *words)
    assert not mirror_home.exists()


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "0" * 65])
def test_add_refuses_what_is_no_fingerprint(document: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("add", document, "--fingerprint", text)
    assert caught.value.code == 2
    assert "expected the root's fingerprint, 64 hex digits" in capsys.readouterr().err


def test_show_says_who_may_do_what(mirror_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_root(builder=role("bob"), approver=role("ann", "abe", threshold=1), expires=2_000_000_000)
    trust_store(mirror_home, root)
    assert run("show") == 0
    out, err = capsys.readouterr()
    assert out == (
        f"root fingerprint  {grouped(root.fingerprint[:32])}\n"
        f"                  {grouped(root.fingerprint[32:])}\n"
        "  version   1, expires 2033-05-18T03:33:20Z\n"
        f"  root      1 of 1  {key('root')}\n"
        f"  builder   1 of 1  {key('bob')}\n"
        f"  approver  1 of 2  {key('abe')}, {key('ann')}\n"
        f"  kept in   {mirror_home}\n"
    )
    assert err == ""


def test_show_warns_of_a_root_in_which_one_key_decides(mirror_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trust_store(mirror_home)
    assert run("show") == 0
    assert capsys.readouterr().err.startswith("WARNING: one key alone decides what the closed hosts install")
    run("show", "--json")
    assert result(capsys)["one_person"] is True


def test_show_without_a_root_says_how_to_get_one() -> None:
    with pytest.raises(NoTrustedRoot) as caught:
        run("show")
    assert "mirror trust add BUNDLE --fingerprint HEX" in caught.value.hint


@pytest.mark.parametrize("words", [[], ["nonsense"], ["add"]])
def test_help_is_what_a_wrong_command_gets(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2
    assert "usage: " in capsys.readouterr().err


BARE = """
import sys
class NoThirdParty:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("cryptography", "bcrypt", "requests", "packaging"):
            raise ImportError("No module named " + repr(name))
sys.meta_path.insert(0, NoThirdParty())
from mirror.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def bare(home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own where nothing but the standard library can be imported."""
    command = [sys.executable, "-c", BARE, "trust", *map(str, words)]
    return subprocess.run(command, env={**os.environ, "MIRROR_HOME": str(home)}, capture_output=True, text=True)


def test_the_closed_side_adds_and_shows_with_the_standard_library_alone(document: Path, tmp_path: Path) -> None:
    added = bare(tmp_path / "closed", "add", document, "--fingerprint", make_root().fingerprint)
    shown = bare(tmp_path / "closed", "show", "--json")
    assert (added.returncode, shown.returncode) == (0, 0), added.stderr + shown.stderr
    assert json.loads(shown.stdout)["fingerprint"] == make_root().fingerprint


def test_the_closed_side_cannot_init_and_says_so(tmp_path: Path) -> None:
    refused = bare(tmp_path / "closed", "init")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: 'trust init' runs on the connected machine only")
    assert not (tmp_path / "closed").exists()


def test_a_private_key_is_not_taken_for_its_public_half(mirror_home: Path, tmp_path: Path) -> None:
    run("init")
    private = write_private_key(tmp_path / "alice", "alice")
    with pytest.raises(UnusableKey, match="alice: it is a private key, and a root names public ones") as caught:
        run("add", private, "--role", "approver")
    assert f"Name its public half, {private}.pub " in caught.value.hint


def test_keys_are_added_and_removed_in_a_draft_and_count_once_it_is_signed(
    mirror_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init")
    public = tmp_path / "alice.pub"
    public.write_text(key("alice").public.openssh() + " alice@example.org\n")
    capsys.readouterr()
    assert run("add", public, "--role", "approver") == 0
    assert "nobody trusts it yet" in capsys.readouterr().out
    assert TrustStore(mirror_home).load_root().version == 1
    assert run("rotate", "--threshold", "approver=1", "--expires", "2030-01-01", "--json") == 0
    facts = result(capsys)
    assert (facts["version"], facts["trusted"], facts["missing"], facts["expires"]) == (2, True, [], 1893542399)
    assert [one["name"] for one in facts["roles"]["approver"]["keys"]] == ["alice"]
    assert TrustStore(mirror_home).load_root().approver == role("alice")
    assert run("rotate", "--threshold", "approver=0", "--expires", "never") == run("remove", "alice") == 0
    assert run("rotate", "--json") == 0
    capsys.readouterr()
    assert TrustStore(mirror_home).load_root().version == 4


@needs_root
@pytest.mark.parametrize("umask", [0o777, 0o277, 0o077])
def test_a_umask_that_takes_rights_from_its_owner_makes_no_store_that_cannot_be_read(umask: int) -> None:
    root = make_root()
    with shared_directory() as directory:
        home, document = home_of_other(directory), directory / "root.json"
        document.write_bytes(sign_root(root)[0])
        document.with_suffix(".sig").write_bytes(sign_root(root)[1])

        def trusting() -> None:
            os.environ["MIRROR_HOME"] = str(home / "deep" / "mirror")
            os.umask(umask)
            assert main(["trust", "add", str(document), "--fingerprint", root.fingerprint]) == 0
            rotation = Rotation(TrustStore.default())
            rotation.draft(make_root(version=2, expires=4_000_000_000))
            public = new_key(rotation.own_key)
            os.umask(0o022)
            assert main(["trust", "show"]) == 0
            assert rotation.next_root().expires == 4_000_000_000 and public == read_public(
                rotation.own_key.with_suffix(".pub")
            )

        call_as_other(trusting)


@needs_strace
@pytest.mark.group(71)
def test_what_was_told_is_what_is_signed(mirror_home: Path, tmp_path: Path) -> None:
    """A passphrase takes its time, and who sent the draft can change it meanwhile."""
    trust_store(mirror_home)
    held, sent = write_private_key(tmp_path / "held", "root"), tmp_path / "next-root.json"
    sent.write_bytes(make_root(version=2, expires=4_000_000_000).encode())
    slowly = ["strace", "-o", "/dev/null", "-P", str(held), "-e", "inject=openat:delay_enter=3000000:when=1"]
    words = [sys.executable, "-u", "-m", "mirror.cli.main", "trust", "rotate", str(sent), "--key", str(held)]
    with subprocess.Popen(
        [*slowly, *words], cwd=HOUSE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and "it expires 2096-10-02T07:06:40Z, not never" in process.stdout.readline()
        sent.write_bytes(make_root(version=2, builder=role("builder", "mallory")).encode())
        said = process.communicate()[1]
    assert process.returncode == DraftChanged.exit_code
    assert f"error: {sent} was root " in said and "hint: Nothing was signed." in said
    assert not sent.with_suffix(".sig").exists()
    assert TrustStore(mirror_home).load_root() == make_root()


@needs_root
@pytest.mark.group(67)
@pytest.mark.parametrize("ending", ["json", "sig"])
def test_a_draft_that_somebody_put_into_the_store_is_not_gone_on_with(mirror_home: Path, ending: str) -> None:
    """A group may write the store itself, and nothing that counts in it."""
    trust_store(mirror_home)
    mirror_home.chmod(0o775)
    write_private_key(mirror_home / "root", "root")
    public = mirror_home / "alice.pub"
    public.write_text(key("alice").public.openssh() + "\n")
    evil = make_root(version=2, builder=role("builder", "mallory"))
    Rotation(TrustStore(mirror_home)).draft(evil)
    (mirror_home / "next-root.sig").write_bytes(sign_root(evil, ("mallory",))[1])
    os.chown(mirror_home / f"next-root.{ending}", OTHER, OTHER)
    rotate: tuple[object, ...] = ("rotate", "--key", mirror_home / "root")
    drafting = ((*rotate, "--expires", "2099-01-01"), ("add", public, "--role", "approver"), ("remove", "mallory"))
    for words in (rotate, *(drafting if ending == "json" else ())):
        with pytest.raises(UnsafeTrustStore, match=rf"next-root\.{ending} belongs to user id {OTHER}") as caught:
            run(*words)
        assert caught.value.hint.startswith("Others may have written it: remove it, draft anew")
    assert TrustStore(mirror_home).load_root().version == 1


@needs_root
def test_who_else_could_change_a_draft_that_was_sent_is_told(
    mirror_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trust_store(mirror_home)
    held, sent = write_private_key(tmp_path / "held", "root"), tmp_path / "next-root.json"
    sent.write_bytes(make_root(version=2, expires=4_000_000_000).encode())
    os.chown(sent, OTHER, OTHER)
    assert run("rotate", sent, "--key", held) == 0
    assert f"note: {sent} belongs to user {OTHER}: see that what is changed is what you" in capsys.readouterr().err
    assert sent.read_bytes() == make_root(version=2, expires=4_000_000_000).encode()


@pytest.mark.group(60)
@pytest.mark.parametrize("is_sent", [False, True])
def test_two_who_draft_or_sign_at_once_lose_nothing(
    mirror_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], is_sent: bool
) -> None:
    trust_store(mirror_home)
    public = {name: tmp_path / f"{name}.pub" for name in ("ann", "ben")}
    for name, path in public.items():
        path.write_text(key(name).public.openssh() + "\n")
    run("add", public["ann"], "--role", "approver")
    sent = Path(shutil.copy(mirror_home / "next-root.json", tmp_path))
    rotate = ["trust", "rotate", "--key", str(write_private_key(tmp_path / "held", "root"))]
    commands = [["trust", "add", str(public["ben"]), "--role", "approver"], ["trust", "remove", "ann"], rotate]
    with Rotation(TrustStore(mirror_home), sent if is_sent else None).alone():
        for words in [[*rotate, str(sent)]] if is_sent else commands:
            capsys.readouterr()
            assert main(words) == DraftBusy.exit_code
            assert "error: another run of mirror is at work on " in capsys.readouterr().err
    run(*commands[0][1:])
    assert [one.name for one in Rotation(TrustStore(mirror_home)).next_root().approver.keys] == ["ann", "ben"]


def test_a_draft_that_others_must_sign_says_who(
    mirror_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_root(root=role("ann", "ben", threshold=2))
    TrustStore(mirror_home).add_root(*sign_root(root, ("ann", "ben")), root.fingerprint)
    ann = write_private_key(tmp_path / "ann", "ann")
    assert run("rotate", "--key", ann, "--expires", "2099-01-01") == 0
    out = capsys.readouterr().out
    assert "signing root version 2; after version 1, it expires 2099-01-01T23:59:59Z, not never" in out
    assert "it needs 2 holders of root version 1, has 1 (ann), missing ben" in out
    assert f"send them {mirror_home}/next-root.json and {mirror_home}/next-root.sig" in out


def test_a_rotation_without_a_change_signs_nothing(mirror_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("init")
    public = mirror_home / "alice.pub"
    public.write_text(key("alice").public.openssh() + "\n")
    run("add", public, "--role", "approver")
    run("rotate")
    capsys.readouterr()
    for words in ((), ("--expires", "never"), ("--threshold", "builder=1")):
        assert run("rotate", *words) == 0
        assert capsys.readouterr().out.startswith(
            "nothing to change, and nothing was signed: root version 2 is the newest"
        )
        assert run("rotate", *words, "--json") == 0
        facts = result(capsys)
        assert (facts["version"], facts["trusted"], facts["missing"], facts["changes"]) == (2, True, [], [])
    run("remove", "alice")
    run("add", public, "--role", "approver")  # taken back: a draft that differs in nothing
    assert run("rotate") == 0
    assert TrustStore(mirror_home).load_root().version == 2


@pytest.mark.parametrize("holders", ["ours", "others"])
def test_a_rotation_where_no_root_key_is_names_it_and_keeps_the_draft(
    mirror_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], holders: str
) -> None:
    if holders == "ours":
        run("init")
        backup = (mirror_home / "keys" / "root").rename(tmp_path / "backup")
    else:
        trust_store(mirror_home)
        backup = write_private_key(tmp_path / "held", "root")
    draft = mirror_home / "next-root.json"
    assert main(["trust", "rotate", "--expires", "2099-01-01"]) == NoRootKey.exit_code
    out, err = capsys.readouterr()
    assert "drafted root version 2; after version 1, it expires 2099-01-01T23:59:59Z, not never\n" in out
    assert f"nothing was signed: there is no root key here, for {mirror_home}/keys/root is missing" in err
    assert "with --key FILE" in err
    assert f"send them {draft}; they run `mirror trust rotate FILE`" in err
    assert TrustStore(mirror_home).load_root().version == 1
    if holders == "others":
        sent = shutil.copy(draft, tmp_path)
        assert run("rotate", sent, "--key", backup) == 0  # at the holder's, who trusts the same root here
        return
    assert main(["trust", "rotate", "--key", str(backup)]) == 0
    assert TrustStore(mirror_home).load_root().version == 2


def test_signatures_that_came_back_are_enough_where_no_root_key_is(mirror_home: Path) -> None:
    root = make_root(version=2, expires=4_000_000_000)
    trust_store(mirror_home)
    (mirror_home / "next-root.json").write_bytes(root.encode())
    (mirror_home / "next-root.sig").write_bytes(sign_root(root)[1])
    assert run("rotate") == 0
    assert TrustStore(mirror_home).load_root() == root


@pytest.mark.parametrize("text", ["\u0662\u0660\u0663\u0660-01-01", "2030-01-1\uff11"])
def test_the_day_on_which_a_root_expires_has_ascii_digits_alone(
    mirror_home: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trust_store(mirror_home)
    with pytest.raises(SystemExit):
        run("rotate", "--expires", text)
    assert f"expected YYYY-MM-DD or 'never', got {text!r}" in capsys.readouterr().err


@pytest.mark.parametrize("past", ["2020-01-01", "1970-01-01", "1969-12-31", day(-1)])
def test_no_root_is_made_that_has_expired(mirror_home: Path, past: str, capsys: pytest.CaptureFixture[str]) -> None:
    trust_store(mirror_home)
    with pytest.raises(SystemExit):
        run("rotate", "--expires", past)
    assert f"expected today, a day to come or 'never', got {past}" in capsys.readouterr().err
    assert not (mirror_home / "next-root.json").exists()


def test_an_expired_root_is_shown_as_such_and_hands_its_date_to_no_other(
    mirror_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trust_store(mirror_home, make_root(expires=1_600_000_000))
    held = write_private_key(tmp_path / "held", "root")
    run("show")
    assert "version   1, EXPIRED 2020-09-13T12:26:40Z: nothing is trusted by it\n" in capsys.readouterr().out
    for words in (("--threshold", "builder=1"), ()):
        sent = tmp_path / "sent.json"
        sent.write_bytes(make_root(version=2, expires=1_600_000_000).encode())
        with pytest.raises(InvalidDocument, match="expected a time to come, got 2020-09-13T12:26:40Z") as caught:
            run("rotate", sent, "--key", held, *words)
        assert "`mirror trust rotate --expires YYYY-MM-DD`" in caught.value.hint
    public = tmp_path / "alice.pub"
    public.write_text(key("alice").public.openssh() + "\n")
    run("add", public, "--role", "approver")  # it may be drafted, but not signed without another date
    with pytest.raises(InvalidDocument):
        run("rotate", "--key", held)
    assert run("rotate", "--key", held, "--expires", "2099-01-01") == 0
    capsys.readouterr()
    run("show")
    assert "version   2, expires 2099-01-01T23:59:59Z\n" in capsys.readouterr().out


def test_a_root_that_expires_soon_is_told_and_one_that_expires_today_still_holds(
    mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init")
    for days, is_told in ((0, True), (29, True), (40, False)):
        assert run("rotate", "--expires", day(days)) == 0
        capsys.readouterr()
        run("show")
        out = capsys.readouterr().out
        note = f"note: the trusted root expires at {day(days)}T23:59:59Z, and nothing is trusted by it then: whoever"
        assert (note in out) is is_told


def test_an_approver_leaves_in_one_step_and_no_root_is_between_in_which_they_alone_suffice(
    mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init")
    for name in ("alice", "bob"):
        public = mirror_home / f"{name}.pub"
        public.write_text(key(name).public.openssh() + "\n")
        run("add", public, "--role", "approver")
    run("rotate", "--threshold", "approver=2")
    with pytest.raises(RoleTooSmall) as caught:
        run("remove", "alice")
    command = caught.value.hint.rpartition("or let fewer sign: `mirror trust ")[2].partition("`")[0]
    assert command == "remove alice --threshold approver=1"
    assert run(*command.split()) == run("rotate") == 0
    root = TrustStore(mirror_home).load_root()
    assert (root.version, root.approver) == (3, role("bob"))


def test_ssh_keygen_takes_what_export_prints(
    mirror_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trust_store(mirror_home, make_root(approver=role("alice"), expires=4_000_000_000))
    assert run("export") == 0
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(capsys.readouterr().out)
    assert len(allowed.read_text().splitlines()) == 2
    for name, code in (("builder", 0), ("alice", 0), ("root", 255)):
        (tmp_path / "sig").write_bytes(sign_manifest(b"a manifest", name))
        sig = str(tmp_path / "sig")
        words = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", name, "-n", "mirror-manifest@v1", "-s", sig]
        done = subprocess.run(words, input=b"a manifest", capture_output=True, check=False)
        assert done.returncode == code, (name, done)


@pytest.mark.parametrize("words", [("--threshold", "king=1"), ("--threshold", "root"), ("--expires", "tomorrow")])
def test_a_rotation_is_asked_for_in_words_that_mean_something(mirror_home: Path, words: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        run("rotate", *words)
