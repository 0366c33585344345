"""`pkg place`: what install(1) does, whole, durable, and without harm to whatever uses the old file."""

import errno
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.command_line import PKG, Desk, clean_environment
from support.json_schema import faults

READER = """
import mmap, os, sys
with open(sys.argv[1], "rb") as file:
    view = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
print("mapped", flush=True)
sys.stdin.readline()
print(bytes(view[:4]).decode(), bytes(view[-4:]).decode(), flush=True)
"""


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def mapped(path: Path) -> "subprocess.Popen[str]":
    """A process that has mapped a file, as the loader maps a library, and reads it when it is told to."""
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "mapped\n"
    return reader


def program(path: Path) -> "subprocess.Popen[bytes]":
    shutil.copy(shutil.which("sleep") or "/bin/sleep", path)
    return subprocess.Popen([path, "60"])


def names(place: Path) -> list[str]:
    return sorted(one.name for one in place.iterdir())


def leftovers(place: Path) -> list[str]:
    return [one.name for one in place.rglob(".intact-*")]


# --- danger, and protection -------------------------------------------------------------------------------
def test_a_running_program_refuses_cp_and_takes_place(desk: Desk) -> None:
    running = program(desk.place / "tool")
    try:
        copied = subprocess.run(["cp", "/bin/true", "tool"], cwd=desk.place, capture_output=True, check=False)
        assert (copied.returncode, b"Text file busy" in copied.stderr) == (1, True)
        desk.bare("place", "/bin/true", "tool")
        assert running.poll() is None
        assert (desk.place / "tool").read_bytes() == Path("/bin/true").read_bytes()
        assert str(Path(f"/proc/{running.pid}/exe").readlink()).endswith("tool (deleted)")
    finally:
        running.kill()
        running.wait()
    assert leftovers(desk.place) == []


def test_a_mapped_library_kills_its_user_under_cp_and_not_under_place(desk: Desk) -> None:
    write(desk.place / "short", "new!")
    for how, ends in (("cp", -signal.SIGBUS), ("place", 0)):
        library = write(desk.place / f"lib-{how}.so", "old!" + "x" * 100_000 + "end.")
        reader = mapped(library)
        if how == "cp":
            subprocess.run(["cp", "short", library.name], cwd=desk.place, check=True)
        else:
            assert desk.bare("place", "short", library.name).code == 0
        said, _ = reader.communicate("go\n")
        assert reader.returncode == ends, how
        assert said == ("" if how == "cp" else "old! end.\n")
        assert library.read_text() == "new!"


# --- what install(1) does ---------------------------------------------------------------------------------
def test_a_new_file_gets_the_mode_of_its_source_under_the_umask(desk: Desk) -> None:
    before = os.umask(0o027)
    try:
        write(desk.place / "a", "a", 0o755)
        write(desk.place / "b", "b", 0o600)
        assert desk.bare("place", "a", "x").code == desk.bare("place", "b", "y").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((desk.place / "x").stat().st_mode) == 0o750
    assert stat.S_IMODE((desk.place / "y").stat().st_mode) == 0o640
    before = os.umask(0o022)  # and as a process, which has a umask of its own while it works
    try:
        assert desk.process("place", "a", "z", root=None).code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((desk.place / "z").stat().st_mode) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_old_file_hands_on_owner_mode_and_attributes_but_no_special_rights(desk: Desk) -> None:
    old = write(desk.place / "old", "old")
    os.chown(old, 12, 34)
    old.chmod(0o4751)
    os.setxattr(old, "user.note", b"kept")
    write(desk.place / "new", "new", 0o600)
    assert desk.bare("place", "new", "old").code == 0
    status = old.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12, 34, 0o751)
    assert os.getxattr(old, "user.note") == b"kept"
    assert desk.bare("place", "new", "old", "--mode", "4755", "--owner", "root", "-g", "0").code == 0
    status = old.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 0, 0o4755)


def test_preserve_takes_everything_from_the_source(desk: Desk) -> None:
    source = write(desk.place / "a", "a", 0o640)
    os.utime(source, ns=(10**18, 10**18))
    os.setxattr(source, "user.origin", b"here")
    assert (
        desk.bare("place", "-p", "a", "b", "--xattr", "user.more=1", "--xattr", "user.raw=0sAAE=").code == 0
    )
    made = desk.place / "b"
    assert (stat.S_IMODE(made.stat().st_mode), made.stat().st_mtime_ns) == (0o640, 10**18)
    assert os.getxattr(made, "user.origin") == b"here"
    assert os.getxattr(made, "user.more") == b"1"
    assert os.getxattr(made, "user.raw") == b"\0\1"


def test_several_sources_go_into_a_directory_or_none_does(desk: Desk) -> None:
    for name in "ab":
        write(desk.place / name, name)
    (desk.place / "there").mkdir()
    refused = desk.bare("place", "a", "missing", "there")
    assert (refused.code, names(desk.place / "there")) == (1, [])
    assert desk.bare("place", "a", "b", "there").code == 0
    assert names(desk.place / "there") == ["a", "b"]
    assert desk.bare("place", "-D", "a", "b", "far/away/").code == 0
    assert (desk.place / "far/away/b").read_text() == "b"
    assert desk.bare("place", "a", "b", "nowhere").code == 2
    (desk.place / "there/sub").mkdir()
    write(desk.place / "there/sub/a", "other a")
    assert desk.bare("place", "a", "there/sub/a", "there").code == 2


def test_what_stands_in_the_way_is_told_and_left(desk: Desk) -> None:
    write(desk.place / "a", "a")
    (desk.place / "dir").mkdir()
    os.mkfifo(desk.place / "pipe")
    for target in ("dir", "pipe"):
        refused = desk.bare("place", "-T", "a", target)
        assert (refused.code, "a directory or a device" in refused.err) == (1, True)
    for source in ("dir", "pipe", "/dev/null"):
        refused = desk.bare("place", source, "b")
        assert (refused.code, "not a regular file" in refused.err or "Is a directory" in refused.err) == (
            1,
            True,
        )
    assert not (desk.place / "b").exists()
    assert leftovers(desk.place) == []


def test_a_link_is_replaced_or_followed(desk: Desk) -> None:
    write(desk.place / "a", "a")
    write(desk.place / "real", "real")
    (desk.place / "one").symlink_to("two")
    (desk.place / "two").symlink_to("real")
    assert desk.bare("place", "--follow", "a", "one").code == 0
    assert (desk.place / "one").is_symlink()
    assert (desk.place / "real").read_text() == "a"
    assert desk.bare("place", "a", "one").code == 0
    assert not (desk.place / "one").is_symlink()
    (desk.place / "round").symlink_to("round")
    refused = desk.bare("place", "--follow", "a", "round")
    assert (refused.code, "ELOOP" in refused.err) == (1, True)


def test_if_changed_keeps_inode_and_time_of_what_is_right(desk: Desk) -> None:
    write(desk.place / "a", "same", 0o644)
    target = write(desk.place / "b", "same", 0o644)
    before = target.stat()
    shown = desk.bare("--json", "place", "--if-changed", "--exit-unchanged", "a", "b")
    assert (shown.code, shown.json["changed"], faults(shown.json, "place")) == (4, False, [])
    assert target.stat() == before
    assert desk.bare("place", "--if-changed", "-m", "600", "a", "b").code == 0
    assert target.stat().st_ino != before.st_ino
    (desk.place / "a").write_text("more")
    assert desk.bare("--json", "place", "--if-changed", "a", "b").json["changed"] is True
    assert leftovers(desk.place) == []


def test_a_backup_is_the_old_file_itself(desk: Desk) -> None:
    write(desk.place / "a", "new")
    old = write(desk.place / "b", "old")
    inode = old.stat().st_ino
    write(desk.place / "b~", "older")
    assert "the old one is b~" in desk.bare("place", "--backup", "a", "b").out
    assert ((desk.place / "b~").stat().st_ino, (desk.place / "b~").read_text()) == (inode, "old")
    assert desk.bare("place", "-b", "--suffix", ".bak", "a", "fresh").code == 0
    assert not (desk.place / "fresh.bak").exists()
    assert desk.bare("place", "-b", "--suffix", "/x", "a", "b").code == 2


def test_standard_input_is_a_source(desk: Desk) -> None:
    assert desk.process("place", "-", "made", "-m", "0640", data=b"typed\n", root=None).code == 0
    assert (desk.place / "made").read_text() == "typed\n"
    assert stat.S_IMODE((desk.place / "made").stat().st_mode) == 0o640
    assert desk.process("place", "-", ".", root=None).code == 2


@pytest.mark.parametrize(
    "words",
    [("-m", "9"), ("-m", "10000"), ("-o", "nobody-there"), ("--xattr", "x"), ("--xattr", "user.x=0s!")],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], desk: Desk) -> None:
    write(desk.place / "a", "a")
    assert desk.bare("place", *words, "a", "b").code == 2
    assert not (desk.place / "b").exists()


def test_a_source_that_changes_meanwhile_is_not_placed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(desk.place / "a", "a")
    sync = os.fsync

    def meanwhile(descriptor: int) -> None:
        source.write_text("changed")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    refused = desk.bare("place", "a", "b")
    assert (refused.code, "somebody wrote to it" in refused.err) == (1, True)
    assert not (desk.place / "b").exists()
    assert leftovers(desk.place) == []


def test_a_name_that_cannot_be_taken_leaves_the_others_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        write(desk.place / name, name)
    (desk.place / "there").mkdir()
    rename = os.rename

    def refuse(one: object, other: object) -> None:
        if str(other).endswith("there/b"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        rename(one, other)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rename", refuse)
    refused = desk.bare("place", "a", "b", "c", "there")
    assert (refused.code, "there/a: was placed" in refused.err) == (1, True)
    assert names(desk.place / "there") == ["a"]


def test_where_a_busy_file_cannot_be_replaced_it_is_moved_aside(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As HP-UX and some network filesystems answer."""
    write(desk.place / "new", "new")
    old = write(desk.place / "tool", "old")
    rename = os.rename

    def busy(one: object, other: object) -> None:
        if str(other) == "tool" and old.exists():
            raise OSError(errno.ETXTBSY, os.strerror(errno.ETXTBSY))
        rename(one, other)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rename", busy)
    assert desk.bare("place", "new", "tool").code == 0
    assert old.read_text() == "new"
    assert leftovers(desk.place) == []


# --- who may read it --------------------------------------------------------------------------------------
LIST, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
NOBODY = 65534


def named(rights: int, mask: int, mode: int) -> bytes:
    """An access list with an entry for nobody."""
    parts = [(1, mode >> 6), (2, rights), (4, mode >> 3 & 7), (16, mask), (32, mode & 7)]
    entries = [struct.pack("<HHI", tag, bits, NOBODY if tag == 2 else 2**32 - 1) for tag, bits in parts]
    return struct.pack("<I", 2) + b"".join(entries)


def can_read(path: Path) -> bool:
    """Tell whether nobody may read a file, in a directory that lets everybody through."""
    return not subprocess.run(
        ["cat", path.name], cwd=path.parent, user=NOBODY, group=NOBODY, capture_output=True, check=False
    ).returncode


AS_NOBODY = """
import os
from intact.cli import main, placing
os.setgroups([]); os.setgid(65534); os.setuid(65534)
main.main()
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root is somebody else")


@needs_root
def test_an_access_list_does_not_overrule_the_mode_that_was_said(desk: Desk) -> None:
    desk.place.chmod(0o755)
    write(desk.place / "new", "secret", 0o600)
    for name, words in (("kept", ()), ("taken", ("-p",))):
        target = write(desk.place / name, "old")
        os.setxattr(desk.place / "new" if words else target, LIST, named(6, 6, 0o644))
        assert desk.bare("place", *words, "new", name).code == 0
        assert (stat.S_IMODE(target.stat().st_mode), can_read(target)) == (0o664, True)
        for mode, reads in ((0o600, False), (0o640, True)):  # as chmod: the mask
            given = ("place", *words, "--if-changed", "--exit-unchanged", "--mode", f"{mode:o}", "new", name)
            assert desk.bare(*given).code == 0
            assert (stat.S_IMODE(target.stat().st_mode), can_read(target)) == (mode, reads)
            assert desk.bare(*given).code == 4, "it settles"


@needs_root
def test_at_no_moment_has_a_named_user_more_than_the_mode_says(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(desk.place / "new", "secret")
    os.setxattr(write(desk.place / "old", "old"), LIST, named(6, 6, 0o644))
    given = os.setxattr
    modes = []

    def look(where: int, *words: object) -> None:
        given(where, *words)  # type: ignore[arg-type]
        modes.append(stat.S_IMODE(os.fstat(where).st_mode))

    monkeypatch.setattr(os, "setxattr", look)
    assert desk.bare("place", "-m", "600", "new", "old").code == 0
    assert set(modes) == {0o600}


@needs_root
def test_a_directory_gives_an_old_file_s_place_no_list_that_it_had_not(desk: Desk) -> None:
    write(desk.place / "new", "new")
    old = write(desk.place / "old", "old", 0o640)
    os.setxattr(desk.place, DEFAULT, named(7, 7, 0o755))
    assert desk.bare("place", "new", "old").code == 0
    assert (os.listxattr(old), stat.S_IMODE(old.stat().st_mode)) == ([], 0o640)
    assert desk.bare("place", "new", "fresh").code == 0
    assert os.listxattr(desk.place / "fresh") == [LIST]


@needs_root
def test_a_list_that_was_said_brings_its_mode(desk: Desk) -> None:
    write(desk.place / "new", "new")
    write(desk.place / "old", "old", 0o600)
    import base64  # noqa: PLC0415

    text = "0s" + base64.b64encode(named(4, 4, 0o640)).decode()
    assert desk.bare("place", "--xattr", f"{LIST}={text}", "new", "old").code == 0
    assert stat.S_IMODE((desk.place / "old").stat().st_mode) == 0o640
    assert desk.bare("place", "-m", "600", "--xattr", f"{LIST}={text}", "new", "old").code == 0
    assert stat.S_IMODE((desk.place / "old").stat().st_mode) == 0o600


@needs_root
def test_rights_of_unchanged_content_stay_and_a_mode_that_was_said_takes_them(desk: Desk) -> None:
    write(desk.place / "a", "same")
    target = write(desk.place / "b", "same", 0o4755)
    assert desk.bare("place", "--if-changed", "--exit-unchanged", "a", "b").code == 4
    assert stat.S_IMODE(target.stat().st_mode) == 0o4755
    assert desk.bare("place", "--if-changed", "-m", "755", "a", "b").code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    os.setxattr(target, LIST, named(4, 5, 0o755))  # which the source has not
    assert desk.bare("place", "-p", "--if-changed", "--exit-unchanged", "-m", "755", "a", "b").code == 0
    assert os.listxattr(target) == []


@needs_root
def test_a_group_that_cannot_be_kept_is_told_and_its_rights_go_to_nobody(desk: Desk) -> None:
    """As cp; but a group that was asked for has to be given."""
    desk.place.chmod(0o777)
    write(desk.place / "new", "new")
    old = write(desk.place / "old", "old", 0o664)
    os.chown(old, NOBODY, 12)

    def place(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", AS_NOBODY, *words],
            cwd=desk.place,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    refused = place("place", "--group", "12", "new", "old")
    assert (refused.returncode, "EPERM" in refused.stderr) == (1, True)
    done = place("place", "new", "old")
    assert (done.returncode, "group 12 could not be kept" in done.stdout) == (0, True), done
    assert (old.stat().st_gid, stat.S_IMODE(old.stat().st_mode)) == (NOBODY, 0o644)


# --- directories ------------------------------------------------------------------------------------------
def test_directories_are_made_as_mkdir_makes_them(desk: Desk) -> None:
    write(desk.place / "a", "a")
    for umask, mode in ((0o022, 0o755), (0o027, 0o750)):
        before = os.umask(umask)
        try:
            assert desk.process("place", "-D", "a", f"{umask}/far/a", root=None).code == 0
        finally:
            os.umask(before)
        made = [desk.place / f"{umask}", desk.place / f"{umask}/far"]
        assert [stat.S_IMODE(one.stat().st_mode) for one in made] == [mode, mode]
    assert desk.bare("place", "-D", "a", "new/sub/../other/a").code == 0


def test_no_directory_is_made_for_what_is_not_placed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.bare("place", "-D", "missing", "new/sub/x").code == 1
    write(desk.place / "a", "a")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("intact.system.placing._dress", lambda descriptor, _look: full(descriptor))
    assert desk.bare("place", "-D", "a", "new/sub/x").code == 9
    assert not (desk.place / "new").exists()


# --- what is refused before anything is done --------------------------------------------------------------
def test_a_directory_as_a_source_is_told_as_one(desk: Desk) -> None:
    (desk.place / "dir").mkdir()
    refused = desk.bare("place", "dir", "x")
    assert (refused.code, "dir: it is a directory" in refused.err, "recover" in refused.err) == (
        1,
        True,
        False,
    )


def test_names_that_cannot_be_meant(desk: Desk) -> None:
    write(desk.place / "a", "a")
    (desk.place / "there").mkdir()
    (desk.place / "there/one").symlink_to("../real")
    (desk.place / "there/two").symlink_to("../real")
    for name in ("one", "two"):
        write(desk.place / name, name)
    for words in (
        ("a", ""),
        ("", "a"),
        ("--suffix", ".old", "a", "b"),
        ("--follow", "one", "two", "there"),
    ):
        assert desk.bare("place", *words).code == 2, words
    write(desk.place / "a~", "mine")
    assert desk.bare("place", "-b", "a", "a~", "there").code == 2
    assert names(desk.place / "there") == ["one", "two"]


def test_closed_or_empty_input_is_no_content(desk: Desk) -> None:
    target = write(desk.place / "conf", "a = 1")
    for words in (("place", "-", "conf"), ("--json", "place", "-", "conf")):
        done = subprocess.run(
            ["sh", "-c", 'exec "$0" "$@" <&-', PKG, *words],
            cwd=desk.place,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "standard input is closed" in done.stderr) == (2, True)
    refused = desk.process("place", "--no-empty", "-", "conf", root=None)
    assert (refused.code, "it is empty" in refused.err) == (1, True)
    assert (target.read_text(), leftovers(desk.place)) == ("a = 1", [])
    assert desk.process("place", "-", "conf", root=None).code == 0
    assert target.read_text() == ""


def test_a_link_to_a_device_or_an_open_file_is_not_replaced(desk: Desk) -> None:
    write(desk.place / "a", "a")
    os.mkfifo(desk.place / "pipe")  # nothing of the machine's: one day this test may fail
    with (desk.place / "log").open("w") as log:
        for name, target in (("to-pipe", "pipe"), ("out", f"/proc/self/fd/{log.fileno()}"), ("out2", "out")):
            (desk.place / name).symlink_to(target)
            for words in ((), ("--follow",)):
                assert desk.bare("place", *words, "a", name).code == 1, (name, words)
            assert (desk.place / name).is_symlink()
    assert (desk.place / "pipe").is_fifo()
    assert (desk.place / "log").read_text() == ""


# --- backups ----------------------------------------------------------------------------------------------
def test_a_backup_that_is_the_same_file_already_leaves_no_scratch_name(desk: Desk) -> None:
    """rename(2) does nothing for two names of one file."""
    write(desk.place / "a", "new")
    old = write(desk.place / "b", "old")
    (desk.place / "b~").hardlink_to(old)
    assert desk.bare("place", "-b", "a", "b").code == 0
    assert ((desk.place / "b~").read_text(), old.read_text()) == ("old", "new")
    assert leftovers(desk.place) == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_where_there_are_no_links_the_backup_is_a_copy(
    number: int, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(desk.place / "a", "new")
    old = write(desk.place / "b", "old", 0o640)
    os.utime(old, ns=(10**18, 10**18))

    def refuse(*_words: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    assert desk.bare("place", "-b", "a", "b").code == 0
    kept = (desk.place / "b~").stat()
    assert ((desk.place / "b~").read_text(), stat.S_IMODE(kept.st_mode), kept.st_mtime_ns) == (
        "old",
        0o640,
        10**18,
    )
    (desk.place / "link").symlink_to("b")
    assert desk.bare("place", "-b", "a", "link").code == 0
    assert (desk.place / "link~").readlink() == Path("b")
    assert leftovers(desk.place) == []


@needs_root
def test_a_backup_gives_nobody_rights(desk: Desk) -> None:
    write(desk.place / "a", "new")
    old = write(desk.place / "su", "old", 0o4755)
    other = desk.place / "other"
    other.hardlink_to(old)
    done = desk.bare("--json", "place", "-b", "a", "su").json["placed"][0]
    assert "set-id" in done["notes"][0]
    assert stat.S_IMODE((desk.place / "su~").stat().st_mode) == 0o755
    assert stat.S_IMODE(other.stat().st_mode) == 0o4755, "the other name is not ours"
    assert ((desk.place / "su~").read_text(), leftovers(desk.place)) == ("old", [])


def test_a_backup_that_cannot_have_its_name_costs_nothing(desk: Desk) -> None:
    for name in "ab":
        write(desk.place / name, name)
    (desk.place / "there").mkdir()
    write(desk.place / "there/a", "old")
    write(desk.place / "there/b", "old")
    (desk.place / "there/b~").mkdir()
    refused = desk.bare("place", "-b", "a", "b", "there")
    assert (refused.code, "another --suffix" in refused.err) == (1, True)
    assert (desk.place / "there/a").read_text() == "old"
    assert names(desk.place / "there") == ["a", "b", "b~"]


# --- signals ----------------------------------------------------------------------------------------------
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_while_it_reads_leaves_nothing(number: signal.Signals, desk: Desk) -> None:
    write(desk.place / "conf", "old")
    with subprocess.Popen(
        [PKG, "place", "-", "conf"],
        cwd=desk.place,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        deadline = time.monotonic() + 20
        while not leftovers(desk.place) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert leftovers(desk.place) != []
        running.send_signal(number)
        assert running.wait(20) == 128 + number
        assert running.stderr is not None
        told = running.stderr.read()
    assert "now: nothing was placed" in told
    assert "history" not in told
    assert names(desk.place) == ["conf", "root"]
    assert (desk.place / "conf").read_text() == "old"


def test_a_signal_between_two_renames_waits_for_the_last_sync(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.place / "there").mkdir()
    for name in "abc":
        write(desk.place / name, name)
    rename, sync = os.rename, os.fsync
    synced = []

    def interrupted(one: object, other: object) -> None:
        rename(one, other)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)

    def noted(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        sync(descriptor)

    monkeypatch.setattr(os, "rename", interrupted)
    monkeypatch.setattr(os, "fsync", noted)
    ended = desk.bare("place", "a", "b", "c", "there")
    assert (ended.code, "now: everything was placed" in ended.err) == (130, True)
    assert names(desk.place / "there") == ["a", "b", "c"]
    assert synced[-1] == str(desk.place / "there")


def test_an_error_and_a_signal_between_renames_tell_the_error(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.place / "there").mkdir()
    for name in "ab":
        write(desk.place / name, name)
    rename = os.rename

    def refuse(one: object, other: object) -> None:
        signal.raise_signal(signal.SIGINT)
        if str(other) == "there/b":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        rename(one, other)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rename", refuse)
    ended = desk.bare("place", "a", "b", "there")
    assert (ended.code, "there/a: was placed" in ended.err) == (1, True)
    assert "each file is a whole old or a whole new one" in ended.err


def test_a_signal_while_scratch_files_are_dropped_leaves_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.place / "there").mkdir()
    for name in "ab":
        write(desk.place / name, name)
    unlink = os.unlink

    def interrupted(path: object) -> None:
        signal.raise_signal(signal.SIGINT)
        unlink(path)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "unlink", interrupted)
    monkeypatch.setattr(
        "intact.operations.placing.same_content", lambda *_: signal.raise_signal(signal.SIGINT)
    )
    write(desk.place / "there/b", "b")
    ended = desk.bare("place", "--if-changed", "a", "b", "there")
    assert (ended.code, "now: nothing was placed" in ended.err) == (130, True)
    assert names(desk.place / "there") == ["b"]
