"""Whose a place is: real directories, owners, groups, links and access lists, which root gives away."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import struct
from pathlib import Path

import pytest

from mirror.core.trust.ownership import reaching
from tests.support.otheruser import OTHER, call_as_other, needs_root, shared_directory

pytestmark = pytest.mark.group(67)

NOBODYS_GROUP = 54399
"""In no group database."""


def problems(path: Path, *trusted: int) -> list[str]:
    """Who else could change what is at a place, by the last part of each place's path."""
    with reaching(path) as way:
        found = way.exposures(trusted or {os.geteuid()})
    return [f"{one.place.name} {one.problem}" for one in found]


def grant(path: Path, *entries: tuple[int, int, int], default: bool = False) -> None:
    """As setfacl(1), which is not everywhere: an access list of entries (tag, permissions, id) beside the usual ones."""
    usual = ((0x01, 7, 0xFFFFFFFF), (0x04, 5, 0xFFFFFFFF), (0x10, 7, 0xFFFFFFFF), (0x20, 5, 0xFFFFFFFF))
    data = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in sorted((*usual, *entries)))
    try:
        os.setxattr(path, f"system.posix_acl_{'default' if default else 'access'}", data)
    except OSError as exc:
        if exc.errno != errno.EOPNOTSUPP:
            raise
        pytest.skip("this file system keeps no access lists")


def test_a_directory_of_ones_own_below_directories_of_roots_is_ones_own(tmp_path: Path) -> None:
    assert problems(tmp_path) == []
    with reaching(tmp_path / "a/b") as way:
        assert (way.missing, way.end.place) == (("a", "b"), tmp_path)
        assert way.exposures({os.geteuid()}) == ()


@needs_root
def test_a_group_that_may_write_is_somebody_else(tmp_path: Path) -> None:
    place = tmp_path / "p"
    place.mkdir()
    os.chown(place, -1, NOBODYS_GROUP)
    place.chmod(0o2775)
    assert problems(place) == [f"p may be written by the group {NOBODYS_GROUP}"]
    assert problems(place / "below/it") == [f"p may be written by the group {NOBODYS_GROUP}"]
    place.chmod(0o1775)  # sticky: they cannot replace what is in it, but could add to what it is itself
    assert problems(place / "below") == []
    assert problems(place) == [f"p may be written by the group {NOBODYS_GROUP}"]


@needs_root
def test_group_0_is_nobodys_own_for_containers_give_it_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o775)
    os.chown(tmp_path, 0, 0)
    assert problems(tmp_path) == [f"{tmp_path.name} may be written by the group root (group 0)"]


def user_with_a_group_of_their_own() -> pwd.struct_passwd:
    users = pwd.getpwall()
    for user in users:
        try:
            group = grp.getgrgid(user.pw_gid)
        except KeyError:
            continue
        alone = [other.pw_uid for other in users if other.pw_gid == user.pw_gid] == [user.pw_uid]
        if user.pw_uid and user.pw_gid and group.gr_name == user.pw_name and not group.gr_mem and alone:
            return user
    pytest.skip("no user of this host has a group of their own")


@needs_root
def test_a_users_private_group_is_the_user(tmp_path: Path) -> None:
    """As on systems whose umask is 002. The group of another user is not."""
    user = user_with_a_group_of_their_own()
    os.chown(tmp_path, user.pw_uid, user.pw_gid)
    tmp_path.chmod(0o2775)
    assert problems(tmp_path, user.pw_uid) == []
    os.chown(tmp_path, 0, user.pw_gid)
    assert problems(tmp_path, 0) == [
        f"{tmp_path.name} may be written by the group {user.pw_name} (group {user.pw_gid})"
    ]


@needs_root
def test_a_directory_of_another_user_on_the_way_is_found_wherever_it_is(tmp_path: Path) -> None:
    (tmp_path / "theirs/ours").mkdir(parents=True)
    os.chown(tmp_path / "theirs", OTHER, OTHER)
    assert problems(tmp_path / "theirs/ours/p") == [f"theirs belongs to user {OTHER}"]
    (tmp_path / "theirs").chmod(0o1755)  # the owner of a sticky directory may replace what is in it
    assert problems(tmp_path / "theirs/ours") == [f"theirs belongs to user {OTHER}"]
    assert problems(tmp_path / "theirs/ours", 0, OTHER) == []


@needs_root
def test_a_link_is_a_step_and_so_is_all_that_it_leads_through(tmp_path: Path) -> None:
    (tmp_path / "open/inner").mkdir(parents=True)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "good").mkdir()
    (tmp_path / "relative").symlink_to("open/inner")
    (tmp_path / "absolute").symlink_to(tmp_path / "open/../open/inner")
    (tmp_path / "home").symlink_to("good")
    assert problems(tmp_path / "relative/p") == ["open may be written by every user"]
    assert set(problems(tmp_path / "absolute/p")) == {"open may be written by every user"}
    assert problems(tmp_path / "home/p") == []  # a home directory that is a link of root's
    os.lchown(tmp_path / "home", OTHER, OTHER)
    assert problems(tmp_path / "home/p") == [f"home belongs to user {OTHER}"]


def test_a_link_at_the_end_is_the_end_unless_it_is_to_be_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with reaching(tmp_path / "link") as way:
        assert way.end.is_link
    with reaching(tmp_path / "link", is_followed=True) as way:
        assert way.end.place == tmp_path


def test_links_that_go_round_and_files_on_the_way_are_errors_that_name_the_place(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "file").touch()
    (tmp_path / "all").touch()
    (tmp_path / "all").chmod(0o666)
    for name, code in (("round/p", errno.ELOOP), ("file/p", errno.ENOTDIR), ("all/p", errno.ENOTDIR)):
        path = tmp_path / name
        before = os.listdir("/proc/self/fd")
        with pytest.raises(OSError) as caught, reaching(path):
            pass
        assert caught.value.errno == code
        assert str(caught.value.filename).startswith(str(path.parent))
        assert len(os.listdir("/proc/self/fd")) == len(before)


@needs_root
def test_an_access_list_that_lets_one_more_user_write_is_read(tmp_path: Path) -> None:
    place = tmp_path / "p"
    place.mkdir(mode=0o755)
    grant(place, (0x02, 7, OTHER))
    assert problems(place) == [f"p may be written by user {OTHER}"]
    assert problems(place / "below") == [f"p may be written by user {OTHER}"]
    grant(place, (0x02, 5, OTHER), (0x08, 7, NOBODYS_GROUP))
    assert problems(place) == [f"p may be written by the group {NOBODYS_GROUP}"]
    place.chmod(0o755)  # takes the right away through the list's mask
    assert problems(place) == []


@needs_root
def test_a_default_list_by_which_others_could_write_what_is_made_there_is_read(tmp_path: Path) -> None:
    grant(tmp_path, (0x02, 7, OTHER), default=True)
    told = f"{tmp_path.name} gives user {OTHER} the right to write what is made in it, by its default access list"
    assert problems(tmp_path) == [told]
    assert problems(tmp_path / "below") == [told]
    (tmp_path / "ours").mkdir(mode=0o755)
    os.removexattr(tmp_path / "ours", "system.posix_acl_default")
    (tmp_path / "ours").chmod(0o755)
    assert problems(tmp_path / "ours") == []


@needs_root
def test_an_ordinary_user_finds_the_same_and_what_they_may_not_read_counts_as_anothers() -> None:
    with shared_directory() as shared:
        (shared / "mine").mkdir()
        os.chown(shared / "mine", OTHER, OTHER)
        (shared / "dark/mine").mkdir(parents=True)
        os.chown(shared / "dark/mine", OTHER, OTHER)
        os.chown(shared / "dark", 0, NOBODYS_GROUP)
        (shared / "dark").chmod(0o771)

        def look() -> None:
            assert problems(shared / "mine") == []  # /tmp above it is root's, and sticky
            assert problems(shared / "dark/mine") == [
                f"dark may be written by the group {NOBODYS_GROUP}",
                "dark may be written by whom an access list names that you may not read",
            ]

        call_as_other(look)
