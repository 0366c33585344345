"""A bundle is made of one state of each file, the one that was described; or its build ends, with the file's name."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from intact.bundle.build import build_bundle
from intact.bundle.package import PackageSource
from intact.bundle.packing import SourceChanged
from intact.bundle.source_files import wait_past
from intact.bundle.source_manifest import read_source_manifest
from intact.model.entries import FileEntry
from intact.model.errors import MachineError

LARGE = (9 << 20) + 5
TIMES = 1_500_000_000_000_000_000
MANIFEST = """format = 1
[package]
name = "p"
version = "1"
architecture = "all"
[[tree]]
source = "t"
modes = "keep"
"""


@pytest.fixture
def described(tmp_path: Path) -> PackageSource:
    """A package of a small and a large file, with times of long ago."""
    (tmp_path / "t").mkdir()
    (tmp_path / "out").mkdir()
    for name, size in (("small", 5), ("large", LARGE)):
        path = tmp_path / "t" / name
        path.write_bytes(bytes(size))
        os.utime(path, ns=(TIMES, TIMES))
    (tmp_path / "m.toml").write_text(MANIFEST)
    return read_source_manifest(tmp_path / "m.toml")


def overwrite(path: Path, at: int = 0) -> None:
    """Write other content, and make size and time what they were: an edit that hides itself."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"?")
    os.utime(path, ns=(TIMES, TIMES))


def put_another_in_its_place(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    os.utime(other, ns=(TIMES, TIMES))
    other.rename(path)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"?")


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


CHANGES: dict[str, Callable[[Path], None]] = {
    "an_edit_that_hides_itself": overwrite,
    "another_file_in_its_place": put_another_in_its_place,
    "longer": grow,
    "shorter": lambda path: os.truncate(path, 1),
    "touched": os.utime,
    "another_mode": lambda path: path.chmod(0o755),
    "a_pipe": become_a_pipe,
}


@pytest.mark.parametrize("name", ["small", "large"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_changed_before_it_was_packed_is_named(
    tmp_path: Path, described: PackageSource, name: str, change: Callable[[Path], None]
) -> None:
    change(tmp_path / "t" / name)
    counted: list[int] = []
    with pytest.raises(SourceChanged, match="changed while") as caught:
        build_bundle(described, tmp_path / "out", progress=counted.append)
    assert caught.value.path == name
    assert sum(counted) == (LARGE if name == "small" else 0)  # what has become of it is not read
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("at", [0, LARGE - 1], ids=["where_it_was_read", "where_it_was_not_read_yet"])
def test_a_file_that_is_written_to_while_it_is_read_is_named(
    tmp_path: Path, described: PackageSource, at: int
) -> None:
    written: list[int] = []

    def progress(_count: int) -> None:
        if not written:
            overwrite(tmp_path / "t/large", at)
            written.append(at)

    with pytest.raises(SourceChanged) as caught:
        build_bundle(described, tmp_path / "out", progress=progress)
    assert caught.value.path == "large"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_is_gone_is_named(tmp_path: Path, described: PackageSource) -> None:
    (tmp_path / "t/small").unlink()
    with pytest.raises(MachineError, match="ENOENT") as caught:
        build_bundle(described, tmp_path / "out")
    assert caught.value.path == "small"
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_was_read_already_may_change(tmp_path: Path, described: PackageSource) -> None:
    def sign(_manifest: bytes) -> bytes:
        overwrite(tmp_path / "t/large")
        return b"signature"

    assert build_bundle(described, tmp_path / "out", signers=[sign]).path.exists()


def test_whatever_is_written_after_a_description_gives_another_time(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "m.toml").write_text(MANIFEST)
    path = tmp_path / "t" / "x"
    for round_ in range(20):
        path.write_bytes(b"%10d" % round_)  # a moment ago, for a clock that ticks a hundred times a second
        source = read_source_manifest(tmp_path / "m.toml")
        path.write_bytes(b"%10d" % -round_)
        (entry,) = source.manifest.entries
        assert isinstance(entry, FileEntry)
        with source.open_content(entry) as content:
            assert not source.is_as_seen(entry, content)


def test_nobody_waits_for_files_of_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    wait_past(time.time_ns() - 10**9)
    assert waited == []
    wait_past(time.time_ns())
    assert waited == [0.02]
