"""Pure. Which entries does a manifest list, if it is written exactly as `pkg build` writes it?

Such a text is taken apart line by line, which is several times as fast as reading any TOML, and takes a fraction of the
memory. Whatever is written or wrong in any other way is left to the one who reads all TOML and knows all faults.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from intact.bundle.tarstream import LARGEST_NUMBER
from intact.bundle.values import owner_of, path_of, target_of
from intact.model.entries import Digest, DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry

__all__ = ["DIRECTORY_MODE", "ENTRIES", "FILE_MODE", "ListedEntries", "canonical_entries", "split_canonical"]

ListedEntries = Mapping[str, list[Entry]]
FILE_MODE: Final = 0o644
DIRECTORY_MODE: Final = 0o755

ENTRIES: Final = b"\n[entries]\n"
_BEGIN = re.compile(r"(directories|files|hardlinks|symlinks) = \[\n")
_END = "]\n"
_TEXT = r'"([^"\\\x00-\x1f\x7f]+)"'  # a TOML string without escapes
_NUMBER = r"(0|[1-9][0-9]{0,10})"
_MODE = r'(?:, mode = "([0-7]{4})")?'
_OWNERS = rf"(?:, owner = {_TEXT})?(?:, group = {_TEXT})?"
_FILE = re.compile(
    rf'  \{{path = {_TEXT}, size = {_NUMBER}, sha256 = "([0-9a-f]{{64}})"{_MODE}{_OWNERS}'
    rf"(?:, mtime = {_NUMBER})?(, config = true)?\}},\n"
)
_DIRECTORY = re.compile(rf"  \{{path = {_TEXT}{_MODE}{_OWNERS}\}},\n")
_SYMLINK = re.compile(rf"  \{{path = {_TEXT}, target = {_TEXT}{_OWNERS}\}},\n")
_HARDLINK = re.compile(rf"  \{{path = {_TEXT}, target = {_TEXT}\}},\n")


def split_canonical(text: bytes) -> tuple[bytes, bytes] | None:
    """Take a manifest apart into what stands before its entries, and their lines; None if it cannot be done.

    Whoever finds that the first part is complete TOML without any entries knows that the line between the two begins a
    table of that name.
    """
    before, border, lines = text.partition(ENTRIES)
    return (before + b"\n", lines) if border else None


def canonical_entries(lines: bytes, created: int) -> ListedEntries | None:
    """Read the entries by kind, in the order that they have; None if anything is not as we write it, or not right.

    Args:
        created: the default of each file's time.
    """
    found: dict[str, list[Entry]] = {}
    try:
        text = lines.decode()
        at = 0
        while at < len(text):
            begin = _BEGIN.match(text, at)
            if begin is None or begin[1] in found:
                return None
            found[begin[1]], at = _rows(begin[1], text, begin.end(), created)
            if not text.startswith(_END, at):
                return None
            at += len(_END)
    except ValueError:
        return None
    return found


def _rows(kind: str, text: str, at: int, created: int) -> tuple[list[Entry], int]:
    """Read the lines of one kind; return them with the place where they end."""
    pattern, make = _KINDS[kind]
    rows = []
    for line in pattern.finditer(text, at):
        if line.start() != at:
            break
        rows.append(make(line, created))
        at = line.end()
    return rows, at


def _file(line: re.Match[str], created: int) -> FileEntry:
    path, size, digest, mode, owner, group, mtime, config = line.groups()
    return FileEntry(
        path_of(path),
        FILE_MODE if mode is None else int(mode, 8),
        _account(owner),
        _account(group),
        created if mtime is None else _number(mtime),
        _number(size),
        Digest(digest),
        config is not None,
    )


def _directory(line: re.Match[str], _created: int) -> DirectoryEntry:
    path, mode, owner, group = line.groups()
    return DirectoryEntry(
        path_of(path), DIRECTORY_MODE if mode is None else int(mode, 8), _account(owner), _account(group)
    )


def _symlink(line: re.Match[str], _created: int) -> SymlinkEntry:
    path, target, owner, group = line.groups()
    return SymlinkEntry(path_of(path), target_of(target), _account(owner), _account(group))


def _hardlink(line: re.Match[str], _created: int) -> HardlinkEntry:
    path, target = line.groups()
    return HardlinkEntry(path_of(path), path_of(target))


def _account(name: str | None) -> str:
    return "root" if name is None else owner_of(name)


def _number(digits: str) -> int:
    number = int(digits)
    if number > LARGEST_NUMBER:
        raise ValueError(digits)
    return number


_KINDS: Mapping[str, tuple[re.Pattern[str], Callable[[re.Match[str], int], Entry]]] = {
    "directories": (_DIRECTORY, _directory),
    "files": (_FILE, _file),
    "hardlinks": (_HARDLINK, _hardlink),
    "symlinks": (_SYMLINK, _symlink),
}
