"""A pattern of a source manifest names the files that it means, by one walk, or says what it could not see."""

import os
from itertools import product
from pathlib import Path

import pytest

from intact.bundle.patterns import files_named

FEW = ("a", "*", "**", "[ab]")
PARTS = (*FEW, "b", "?", "[!a]", ".*", "x*", "..")
WILD = {"*", "**", "?", "[ab]", "[!a]", ".*", "x*"}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for name in ("a/a/x", "a/b/a/xy", "a/.h/x", "b/a/b/a/a", "b/x", ".h/a", "xx/a/b", "a/xy", "b/[a]"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "link").symlink_to("../b")
    (tmp_path / "b" / "b").symlink_to("../a")
    (tmp_path / "l").symlink_to("b/x")
    (tmp_path / "a" / "loop").symlink_to("loop")
    (tmp_path / "b" / "nothing").symlink_to("nowhere")
    os.mkfifo(tmp_path / "xx" / "pipe")
    return tmp_path


@pytest.mark.parametrize(("choice", "count"), [(PARTS, 1), (PARTS, 2), (PARTS, 3), (FEW, 4), (FEW, 5)])
def test_patterns_mean_what_they_mean_elsewhere_in_python(
    base: Path, choice: tuple[str, ...], count: int
) -> None:
    found = 0
    for parts in product(choice, repeat=count):
        if parts[-1] not in {"**", ".."} and set(parts) & WILD:
            pattern = "/".join(parts)
            expected = sorted({one for one in base.glob(pattern) if one.is_file()})
            assert files_named(base, pattern) == expected, pattern
            assert files_named(base, f"{base}/{pattern}") == files_named(base, pattern)
            found += len(expected)
    assert found


@pytest.mark.parametrize("pattern", ["**", "a/**", "*/**"])
def test_any_number_of_directories_are_no_files(base: Path, pattern: str) -> None:
    assert files_named(base, pattern) == []


@pytest.mark.parametrize("pattern", ["**x", "a/x**/b", "***"])
def test_any_number_of_directories_stand_alone(base: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="can only be an entire path component"):
        files_named(base, pattern)


def test_each_directory_is_listed_once(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    scandir = os.scandir

    def counting(path: Path) -> "os._ScandirIterator[str]":
        listed.append(os.fspath(path))
        return scandir(os.fspath(path))

    monkeypatch.setattr(os, "scandir", counting)
    assert files_named(base, "**/a/**/x*")
    assert len(listed) == len(set(listed))
    monkeypatch.undo()
    directories = {str(one) for one in (base, *base.glob("**/*")) if one.is_dir() and not one.is_symlink()}
    assert directories <= set(listed)


@pytest.mark.parametrize("pattern", ["**/x", "b/*/x", "b/a/*", "?/[ab]/*"])
def test_a_directory_that_cannot_be_read_is_told(
    base: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    scandir = os.scandir

    def failing(path: Path) -> "os._ScandirIterator[str]":
        if path == base / "b" / "a" or (pattern == "b/*/x" and path == base / "b"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(os.fspath(path))

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(PermissionError):
        files_named(base, pattern)
