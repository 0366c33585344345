"""A file outside the root gets to its name whole, or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from intact.model.errors import MachineError, NoSpace
from intact.system import hostfiles
from intact.system.hostfiles import append_file, replace_file, scratch_file, write_new_file


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with replace_file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_of_the_old_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with path.open("rb") as old:
        with replace_file(path, 0o600) as file:
            file.write(b"new")
        assert old.read() == b"old"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_mode_holds_under_any_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        with replace_file(tmp_path / "x") as file:
            file.write(b"x")
            assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o644


def fail_inside(path: Path, failure: BaseException) -> None:
    with replace_file(path) as file:
        file.write(b"half")
        raise failure


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), OSError(28, "No space left")])
def test_a_failed_block_leaves_the_old_file_and_no_litter(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    expected = NoSpace if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected):
        fail_inside(path, failure)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_of_a_directory_cannot_be_taken(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(MachineError, match="EISDIR"), replace_file(tmp_path / "d") as file:
        file.write(b"x")
    assert list(tmp_path.iterdir()) == [tmp_path / "d"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("target")
    with replace_file(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "target").read_bytes() == b"precious"
    assert not (tmp_path / "link").is_symlink()


def test_a_device_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    for name in ("pipe", "stdout", "to-pipe"):
        with pytest.raises(MachineError, match="EEXIST"), replace_file(tmp_path / name):
            pass
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["pipe", "stdout", "to-pipe"]


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    with replace_file(tmp_path / ("n" * 255)) as file:
        file.write(b"x")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"x"


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "x"
    with pytest.raises(MachineError, match="ENOENT") as caught, replace_file(missing):
        pass
    assert caught.value.path == str(missing)
    with pytest.raises(MachineError, match="ENOENT"):
        write_new_file(missing, b"x", 0o600)
    with pytest.raises(MachineError, match="ENOENT"), scratch_file(missing.parent):
        pass


def test_file_and_directory_are_synced_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real_sync, real_rename = os.fsync, os.rename

    def sync(fd: int) -> None:
        calls.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        real_sync(fd)

    def rename(source: Path, target: Path) -> None:
        calls.append("rename")
        real_rename(source, target)

    monkeypatch.setattr("intact.system.hostfiles.os.fsync", sync)
    monkeypatch.setattr("intact.system.hostfiles.os.rename", rename)
    with replace_file(tmp_path / "x") as file:
        file.write(b"x")
    assert calls == ["file", "rename", "directory"]
    calls.clear()
    write_new_file(tmp_path / "y", b"y", 0o600)
    assert calls == ["file", "directory"]


def test_a_failed_sync_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("intact.system.hostfiles.os.fsync", sync)
    with pytest.raises(MachineError, match="EIO"), replace_file(tmp_path / "x") as file:
        file.write(b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_new_file(path, b"one", 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "dangling").symlink_to("elsewhere")
    for taken in (path, tmp_path / "dangling"):
        with pytest.raises(MachineError, match="EEXIST"):
            write_new_file(taken, b"two", 0o600)
    assert path.read_bytes() == b"one"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (3 << 20) + 7])
def test_a_file_is_copied_behind_what_is_there(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    with scratch_file(tmp_path) as source, replace_file(tmp_path / "x") as target:
        source.write(content)
        target.write(b"head")
        target.seek(1)
        append_file(source, target)
        assert target.tell() == 4 + size
    assert (tmp_path / "x").read_bytes() == b"head" + content


def test_a_copy_that_a_full_disk_ends_is_an_error(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("needs /dev/full")
    with scratch_file(tmp_path) as source, Path("/dev/full").open("r+b", buffering=0) as target:
        source.write(b"x")
        with pytest.raises(OSError, match="No space"):
            append_file(source, target)


def test_a_new_file_has_no_name_before_it_is_whole(tmp_path: Path) -> None:
    with replace_file(tmp_path / "x") as file:
        file.write(b"new")
        assert list(tmp_path.iterdir()) == []
    assert (tmp_path / "x").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


@pytest.mark.parametrize("refused", ["O_TMPFILE", "proc"])
def test_where_no_file_can_be_nameless_it_has_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    if refused == "O_TMPFILE":
        monkeypatch.setattr(hostfiles, "_NAMELESS", os.O_RDWR)  # EISDIR, as an old filesystem says it
    else:
        monkeypatch.setattr(os.path, "exists", lambda _path: False)
    with replace_file(tmp_path / "x") as file:
        file.write(b"new")
        (temporary,) = tmp_path.iterdir()
        assert temporary.name.endswith(".tmp")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_a_scratch_file_has_no_name(tmp_path: Path) -> None:
    with scratch_file(tmp_path) as file:
        file.write(b"x")
        assert list(tmp_path.iterdir()) == []
        file.seek(0)
        assert file.read() == b"x"
    assert file.closed
