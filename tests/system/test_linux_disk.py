"""Every verb of the disk, on the real one."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from intact.model.entries import Digest
from intact.model.errors import Locked, MachineError, RootUnusable
from intact.model.objects import Attributes, Kind
from intact.model.paths import ROOT, RelPath
from intact.system.accounts import account_names
from intact.system.linux import LinuxDisk
from intact.system.signals import signals_held

A, B, D = RelPath("a"), RelPath("b"), RelPath("d")
PLAIN = Attributes(0o640, os.geteuid(), os.getegid(), 1_000_000_000)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LinuxDisk]:
    """A root of its own."""
    (tmp_path / "root").mkdir()
    made = LinuxDisk(str(tmp_path / "root"))
    yield made
    made.close()


def _write(disk: LinuxDisk, path: RelPath, text: str = "x", attributes: Attributes = PLAIN) -> None:
    with disk.create_file(path) as writer:
        writer.write(text.encode())
        writer.finish(attributes)


def test_a_file_is_created_with_its_attributes(disk: LinuxDisk) -> None:
    _write(disk, A, "hello")
    seen = disk.observe(A)
    assert seen is not None
    assert (seen.kind, seen.mode, seen.size, seen.mtime_ns) == (Kind.FILE, 0o640, 5, 1_000_000_000)
    assert disk.read_file(A) == b"hello"
    assert disk.digest(A) == Digest("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")


def test_many_directories_need_few_descriptors(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 2 * len(list(Path("/proc/self/fd").iterdir())) + 64  # a quarter of it must be free
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, hard))
    disk = LinuxDisk(str(tmp_path))
    try:
        for number in range(few + 10):
            disk.make_directory(RelPath(f"d{number}"))
            _write(disk, RelPath(f"d{number}/f"))
    finally:
        disk.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(list(tmp_path.glob("*/f"))) == few + 10


def test_a_file_is_private_until_it_is_finished(disk: LinuxDisk, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with disk.create_file(A) as writer:
            assert (tmp_path / "root/a").stat().st_mode & 0o777 == 0o600
            writer.finish(Attributes(0o666, os.geteuid(), os.getegid()))
            assert (tmp_path / "root/a").stat().st_mode & 0o777 == 0o666
        disk.make_directory(D)
        assert (tmp_path / "root/d").stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


@needs_root
def test_owner_comes_before_mode_so_that_set_id_bits_stay(disk: LinuxDisk) -> None:
    _write(disk, A, "x", Attributes(0o6755, 12, 34))
    seen = disk.observe(A)
    assert seen is not None
    assert (seen.mode, seen.uid, seen.gid) == (0o6755, 12, 34)
    disk.set_attributes(A, Attributes(0o4711, 1, 1))
    seen = disk.observe(A)
    assert seen is not None
    assert (seen.mode, seen.uid) == (0o4711, 1)


@needs_root
def test_capabilities_are_set_read_and_removed(disk: LinuxDisk) -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    try:
        _write(disk, A, "x", Attributes(0o755, 1, 1, None, (("security.capability", capability),)))
    except MachineError as error:
        pytest.skip(f"no capabilities here: {error}")
    seen = disk.observe(A, xattrs=True)
    assert seen is not None
    assert seen.is_privileged
    disk.set_attributes(A, Attributes(0o755, 1, 1))
    seen = disk.observe(A, xattrs=True)
    assert seen is not None
    assert seen.is_privileged
    disk.set_attributes(A, Attributes(0o755, 1, 1), without=("security.capability",))
    seen = disk.observe(A, xattrs=True)
    assert seen is not None
    assert not seen.is_privileged


def test_creating_what_exists_is_refused(disk: LinuxDisk) -> None:
    _write(disk, A)
    with pytest.raises(MachineError, match="EEXIST"), disk.create_file(A):
        pass
    with pytest.raises(MachineError, match="EEXIST"):
        disk.make_directory(A)
    with pytest.raises(MachineError, match="EEXIST"):
        disk.write_durably(A, b"")


def test_exchange_swaps_a_full_directory_and_a_link(disk: LinuxDisk) -> None:
    disk.make_directory(D)
    _write(disk, D / "inner")
    disk.make_symlink(A, "target", os.geteuid(), os.getegid())
    disk.exchange(A, D)
    assert disk.read_file(A / "inner") == b"x"
    link = disk.observe(D)
    assert link is not None
    assert link.target == "target"


def test_moving_to_a_taken_name_is_refused_and_moving_over_is_not(disk: LinuxDisk) -> None:
    _write(disk, A, "a")
    _write(disk, B, "b")
    with pytest.raises(MachineError) as caught:
        disk.move_new(A, B)
    assert caught.value.errno == errno.EEXIST
    disk.move_over(A, B)
    assert disk.read_file(B) == b"a"
    assert disk.observe(A) is None


def test_a_parent_that_is_a_link_is_never_followed(disk: LinuxDisk, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "root/way").symlink_to(tmp_path / "outside")
    way = RelPath("way")
    assert disk.observe(way / "x") is None
    for attempt in (
        lambda: disk.write_durably(way / "x", b""),
        lambda: disk.make_directory(way / "x"),
        lambda: disk.make_symlink(way / "x", "y", 0, 0),
        lambda: disk.list_directory(way),
    ):
        with pytest.raises(MachineError, match=r"ENOTDIR|ELOOP"):
            attempt()
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_file_that_is_a_link_or_a_pipe_is_never_opened(disk: LinuxDisk, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root/link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "root/pipe")
    with pytest.raises(MachineError, match="ELOOP"):
        disk.read_file(RelPath("link"))
    with pytest.raises(MachineError, match="not a regular file"):
        disk.read_file(RelPath("pipe"))


def test_a_directory_that_moved_is_forgotten_with_all_below(disk: LinuxDisk) -> None:
    inner = D / "one"
    disk.make_directory(D)
    disk.make_directory(inner)
    _write(disk, inner / "x", "old")
    disk.move_new(D, RelPath("moved"))
    disk.make_directory(D)
    disk.make_directory(inner)
    _write(disk, inner / "x", "new")
    assert disk.read_file(RelPath("moved/one/x")) == b"old"
    assert disk.read_file(inner / "x") == b"new"


def test_more_directories_than_descriptors_are_no_obstacle_to_a_verb_with_two_paths(disk: LinuxDisk) -> None:
    places = [RelPath(f"d{number}") for number in range(600)]
    for place in places:
        disk.make_directory(place)
        _write(disk, place / "x")
    for one, other in zip(places, reversed(places), strict=True):
        disk.link(one / "x", other / f"link-of-{one}")
    assert all(len(disk.list_directory(place)) == 2 for place in places)


def test_copying_keeps_the_content_and_sets_the_attributes(disk: LinuxDisk) -> None:
    _write(disk, A, "content " * 1000)
    disk.copy_file(A, B, PLAIN)
    assert disk.digest(A) == disk.digest(B)
    one, other = disk.observe(A), disk.observe(B)
    assert one is not None
    assert other is not None
    assert one.inode != other.inode


def test_a_tree_is_walked_parents_first(disk: LinuxDisk) -> None:
    disk.make_directory(D)
    disk.make_directory(D / "e")
    _write(disk, D / "e" / "f")
    assert list(disk.tree(D)) == ["d/e", "d/e/f"]
    assert list(disk.tree(A)) == []
    _write(disk, A)
    assert list(disk.tree(A)) == []


def test_blocks_are_overwritten_in_place(disk: LinuxDisk) -> None:
    disk.write_durably(A, bytes(10))
    disk.overwrite_block(A, 4, b"abc")
    assert disk.read_file(A) == b"\0\0\0\0abc\0\0\0"


def test_syncing_and_space(disk: LinuxDisk) -> None:
    disk.watch_filesystem(ROOT)
    disk.watch_filesystem(ROOT)
    disk.sync_filesystem(ROOT)
    disk.sync_directory(ROOT)
    space = disk.space(ROOT)
    assert 0 < space.free_bytes <= space.total_bytes
    assert not space.read_only


def test_removing(disk: LinuxDisk) -> None:
    disk.make_directory(D)
    _write(disk, D / "x")
    with pytest.raises(MachineError, match="ENOTEMPTY"):
        disk.remove_directory(D)
    disk.remove_file(D / "x")
    disk.remove_directory(D)
    assert disk.list_directory(ROOT) == []


def test_a_missing_root_is_told(tmp_path: Path) -> None:
    with pytest.raises(RootUnusable, match="ENOENT"):
        LinuxDisk(str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    with pytest.raises(RootUnusable, match="ENOTDIR"):
        LinuxDisk(str(tmp_path / "file"))


def test_the_lock_is_exclusive_names_its_holder_and_ends_with_it(disk: LinuxDisk, tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom intact.system.linux import LinuxDisk\nfrom intact.model.paths import RelPath\n"
        "d = LinuxDisk(sys.argv[1])\nwith d.locked(RelPath('lock'), timeout=1, holder='pid 42, `pkg`'):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, disk.root], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Locked, match="pid 42"), disk.locked(RelPath("lock"), timeout=0.1, holder="me"):
            pass
        other.kill()
    with disk.locked(RelPath("lock"), timeout=0.1, holder="me"):
        assert (tmp_path / "root/lock").read_text() == "me"
    assert (tmp_path / "root/lock").stat().st_mode & 0o777 == 0o600


def test_accounts_come_from_the_root_first(disk: LinuxDisk, tmp_path: Path) -> None:
    users, _ = account_names(disk, is_host=False)
    assert "root" in users
    (tmp_path / "root/etc").mkdir()
    (tmp_path / "root/etc/passwd").write_text("somebody:x:4242:4242::/:/bin/sh\nbroken line\n")
    (tmp_path / "root/etc/group").write_text("people:x:4343:\n")
    users, groups = account_names(disk, is_host=False)
    assert users == {"root": 0, "somebody": 4242}
    assert groups == {"root": 0, "people": 4343}


def test_signals_wait_only_in_the_main_thread() -> None:
    seen: list[str] = []

    def work() -> None:
        with signals_held():
            seen.append("worked")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["worked"]


def test_a_held_signal_is_delivered_at_the_end() -> None:
    reached = []

    def work() -> None:
        with signals_held():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["the end"]


def test_a_signal_that_another_thread_takes_is_held_too() -> None:
    reached = []
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()

    def work() -> None:
        with signals_held():
            for _ in range(50):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.001)
            reached.append("the end")

    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        stop.set()
        other.join()
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o444, 0o666, 0o4755, 0o2755, 0o1777])
@pytest.mark.parametrize("owner", [(os.geteuid(), os.getegid()), (12, 34), (0, 34)])
def test_what_is_put_has_content_and_attributes_at_once(
    disk: LinuxDisk, mode: int, owner: tuple[int, int]
) -> None:
    if os.geteuid() != 0 and owner != (os.geteuid(), os.getegid()):
        pytest.skip("needs root to give files away")
    umask = os.umask(0o027)
    try:
        inode = disk.put_file(A, [b"hel", memoryview(b"lo")], Attributes(mode, *owner, 1_000_000_000))
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(umask)
    seen = disk.observe(A)
    assert seen is not None
    assert (seen.inode, seen.mode, (seen.uid, seen.gid)) == (inode, mode, owner)
    assert (seen.mtime_ns, disk.read_file(A)) == (1_000_000_000, b"hello")


def test_a_file_is_private_until_it_is_whole(disk: LinuxDisk, tmp_path: Path) -> None:
    def content() -> Iterator[bytes]:
        yield b"x"
        modes.append((tmp_path / "root/a").stat().st_mode & 0o7777)

    modes: list[int] = []
    disk.put_file(A, content(), Attributes(0o4755, os.geteuid(), os.getegid()))
    assert modes == [0o600]
    if os.geteuid() == 0:
        disk.remove_file(A)
        disk.put_file(A, content(), Attributes(0o666, 0, 34))
        assert modes == [0o600, 0o600]


def test_what_exists_is_not_put_again_and_what_fails_on_the_way_is_closed(disk: LinuxDisk) -> None:
    def content() -> Iterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    before = len([*Path("/proc/self/fd").iterdir()])
    with pytest.raises(ZeroDivisionError):
        disk.put_file(A, content(), PLAIN)
    assert len([*Path("/proc/self/fd").iterdir()]) == before
    with pytest.raises(MachineError, match="EEXIST"):
        disk.put_file(A, [b""], PLAIN)


def test_a_file_that_vanishes_between_two_looks_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    look = os.stat

    def stat_and_vanish(*words: object, **named: object) -> os.stat_result:
        found = look(*words, **named)  # type: ignore[arg-type]
        (tmp_path / "file").unlink(missing_ok=True)
        return found

    disk = LinuxDisk(str(tmp_path))
    assert disk.observe_whole(RelPath("file")) is not None
    monkeypatch.setattr(os, "stat", stat_and_vanish)
    assert disk.observe_whole(RelPath("file")) is None
