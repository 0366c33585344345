"""Pure. How is one entry of a bundle manifest written as one line of TOML, and read back?

Defaults are left out: owner and group root, mode 0644 (files) and 0755 (directories), mtime = created.
"""

import base64
from collections.abc import Callable, Sequence
from typing import TypeVar

from intact.bundle.canonical_entries import DIRECTORY_MODE, FILE_MODE, ListedEntries
from intact.bundle.entry_rules import check_ceilings, check_entries
from intact.bundle.fields import Faults, Fields
from intact.bundle.tarstream import LARGEST_NUMBER
from intact.bundle.toml_text import text_of
from intact.bundle.values import (
    attribute_name_of,
    bytes_of,
    digest_of,
    mode_of,
    owner_of,
    path_of,
    target_of,
)
from intact.model.entries import (
    Digest,
    DirectoryEntry,
    Entry,
    FileEntry,
    HardlinkEntry,
    SymlinkEntry,
    Xattrs,
)
from intact.model.limits import Limits
from intact.model.manifest import Manifest
from intact.model.paths import ROOT

__all__ = ["entry_lines", "least_length", "read_entries"]

_E = TypeVar("_E", bound=Entry)
_NO_DIGEST = Digest("0" * 64)
_KINDS = ("directories", "files", "hardlinks", "symlinks")
_FILE_KEYS = frozenset({"path", "size", "sha256", "mode", "owner", "group", "mtime", "config", "xattrs"})
_DIRECTORY_KEYS = frozenset({"path", "mode", "owner", "group", "xattrs"})
_SYMLINK_KEYS = frozenset({"path", "target", "owner", "group"})
_HARDLINK_KEYS = frozenset({"path", "target"})


def entry_lines(manifest: Manifest) -> list[str]:
    """Write the lists of entries, by kind, in the order that they have."""
    by_kind: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for entry in manifest.entries:
        kind, keys = _entry_keys(entry, manifest.created)
        by_kind[kind].append(f"  {{path = {text_of(entry.path)}{keys}}},")
    lines = []
    for kind, rows in by_kind.items():
        if rows:
            lines += [f"{kind} = [", *rows, "]"]
    return lines


def least_length(entries: Sequence[Entry]) -> int:
    """Return a number of bytes that the lines of these entries have at least, without writing them."""
    files = sum(isinstance(entry, FileEntry) for entry in entries)
    paths = sum(len(entry.path) for entry in entries)
    return (
        paths
        + len(entries) * len('  {path = ""},\n')
        + files * (len(', size = 0, sha256 = ""') + len(_NO_DIGEST))
    )


def _entry_keys(entry: Entry, created: int) -> tuple[str, str]:
    if isinstance(entry, FileEntry):
        keys = f', size = {entry.size}, sha256 = "{entry.digest}"{_mode(entry.mode, FILE_MODE)}'
        keys += _owners(entry.owner, entry.group)
        keys += f", mtime = {entry.mtime}" if entry.mtime != created else ""
        keys += ", config = true" if entry.config else ""
        return "files", keys + _xattrs(entry.xattrs)
    if isinstance(entry, DirectoryEntry):
        keys = _mode(entry.mode, DIRECTORY_MODE) + _owners(entry.owner, entry.group)
        return "directories", keys + _xattrs(entry.xattrs)
    if isinstance(entry, SymlinkEntry):
        return "symlinks", f", target = {text_of(entry.target)}{_owners(entry.owner, entry.group)}"
    return "hardlinks", f", target = {text_of(entry.target)}"


def _mode(mode: int, default: int) -> str:
    return f', mode = "{mode:04o}"' if mode != default else ""


def _owners(owner: str, group: str) -> str:
    user = f", owner = {text_of(owner)}" if owner != "root" else ""
    return f"{user}, group = {text_of(group)}" if group != "root" else user


def _xattrs(xattrs: Xattrs) -> str:
    if not xattrs:
        return ""
    pairs = (f"{text_of(name)} = {text_of(base64.b64encode(value).decode())}" for name, value in xattrs)
    return f", xattrs = {{{', '.join(pairs)}}}"


def read_entries(
    top: Fields, created: int, faults: Faults, limits: Limits, listed: ListedEntries | None = None
) -> tuple[Entry, ...]:
    """Read all entries, sort them by path, and note what is wrong with each and between them.

    Args:
        created: the default of each file's time.
        listed: the entries by kind, if they have been read already.
    """
    content = Fields(top.table_of("entries"), "", faults, _KINDS)
    entries: list[Entry] = []
    starts: list[tuple[int, str]] = []

    def read(kind: str, known: frozenset[str], make: Callable[[Fields], _E]) -> None:
        starts.append((len(entries), kind))
        if listed is not None:
            entries.extend(listed.get(kind, ()))
            return
        rows = content.tables(kind)
        for index, row in enumerate(rows):
            entries.append(make(Fields(row, f"{kind}[{index}].", faults, known)))
        rows.clear()  # a million of them weigh a gigabyte

    def place_of(index: int) -> str:
        start, kind = max(pair for pair in starts if pair[0] <= index)
        return f"{kind}[{index - start}]"

    read("directories", _DIRECTORY_KEYS, lambda row: _directory(row, limits))
    read("files", _FILE_KEYS, lambda row: _file(row, created, limits))
    read("hardlinks", _HARDLINK_KEYS, _hardlink)
    read("symlinks", _SYMLINK_KEYS, _symlink)
    check_ceilings(entries, faults, limits)
    check_entries(entries, place_of, faults)
    entries.sort(key=lambda entry: entry.path)
    return tuple(entries)


def _file(row: Fields, created: int, limits: Limits) -> FileEntry:
    return FileEntry(
        path=row.text("path", path_of, ROOT, required=True),
        mode=row.text("mode", mode_of, FILE_MODE),
        owner=row.text("owner", owner_of, "root"),
        group=row.text("group", owner_of, "root"),
        mtime=row.number("mtime", created, LARGEST_NUMBER),
        size=row.number("size", 0, LARGEST_NUMBER, required=True),
        digest=row.text("sha256", digest_of, _NO_DIGEST, required=True),
        config=row.flag("config"),
        xattrs=_read_xattrs(row, limits) if "xattrs" in row.table else (),
    )


def _directory(row: Fields, limits: Limits) -> DirectoryEntry:
    return DirectoryEntry(
        path=row.text("path", path_of, ROOT, required=True),
        mode=row.text("mode", mode_of, DIRECTORY_MODE),
        owner=row.text("owner", owner_of, "root"),
        group=row.text("group", owner_of, "root"),
        xattrs=_read_xattrs(row, limits) if "xattrs" in row.table else (),
    )


def _symlink(row: Fields) -> SymlinkEntry:
    return SymlinkEntry(
        path=row.text("path", path_of, ROOT, required=True),
        target=row.text("target", target_of, "", required=True),
        owner=row.text("owner", owner_of, "root"),
        group=row.text("group", owner_of, "root"),
    )


def _hardlink(row: Fields) -> HardlinkEntry:
    return HardlinkEntry(
        path=row.text("path", path_of, ROOT, required=True),
        target=row.text("target", path_of, ROOT, required=True),
    )


def _read_xattrs(row: Fields, limits: Limits) -> Xattrs:
    found = []
    for key, value in row.table_of("xattrs").items():
        place = f"xattrs.{key!r}"
        if type(value) is not str:
            row.fault(place, "must be a string of base64")
            continue
        try:
            found.append((attribute_name_of(key), bytes_of(value)))
        except ValueError as fault:
            row.fault(place, str(fault))
    if sum(len(name) + len(value) for name, value in found) > limits.xattrs:
        row.fault("xattrs", f"they are longer than {limits.xattrs} bytes together")
    return tuple(sorted(found))
