"""Pure. Which entries of a manifest are others than in the manifest before, and what do these depend on?

An upgrade shall cost what changed, and a manifest has a line for each entry. So the lines of two manifests are compared,
and only those that are new or different are read as TOML, with what they depend on:

- the directories above them;
- all names of a file, if one of them is new, different or gone;
- whatever gives rights, changed or not, because it has to be held against what its signer may do.

A time alone is no difference: a file whose content stays is not touched for it, and most builds renew all times.

This works on manifests as `manifest_text` writes them. `difference` says None for every other form, for what it would have to
read as a whole to judge it, and for everything that is wrong: whoever asks reads the whole manifest then, and finds out what.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from intact.bundle.canonical_entries import ENTRIES
from intact.bundle.rows import Rows, path_in
from intact.bundle.tarstream import END_OF_ARCHIVE, member_length
from intact.model.entries import NEW_SUFFIX
from intact.model.limits import Limits
from intact.model.paths import MAX_PATH_BYTES, RelPath
from intact.model.values import dataclass

__all__ = ["Difference", "difference"]

_KINDS: Final = (b"directories", b"files", b"hardlinks", b"symlinks")
_DIRECTORIES, _FILES, _HARDLINKS, _ = _KINDS
# With one of these, a line may mean something else than it seems to.
_MARKS: Final = (b'"""', b"'''")
# An own file of such a name cannot be told, in the database, from a configuration file's new version.
_BESIDE: Final = f'{NEW_SUFFIX}", '.encode()
_MARKS_OF_ENTRIES: Final = (*_MARKS, b"\\", b'{path = ", mtime = ', _BESIDE)
_FILE: Final = re.compile(rb'\n  \{path = "([^"]*)", size = (\d{1,11}), sha256 = "')
_HARDLINK: Final = re.compile(rb'^  \{path = "([^"]*)", target = "([^"]*)"\},$', re.MULTILINE)
# `entry_rules.is_privileged` reads them; a mode that nobody needs a permission for is the only one that is passed over.
# Everything that is not in our spelling is read, too: TOML has several for one thing.
_RIGHTS: Final = re.compile(
    rb',(?! (?:(?:owner|group) = "(?:root|0)"|mode = "0[0-7][0145][0145]"))\s*["\']?(?:owner|group|mode|xattrs)\b'
)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a manifest says otherwise than the one before.

    Attributes:
        text: a manifest of its own: the new one, with only those entries that have to be looked at.
        gone: what only the one before has, directories that nothing needs any more included.
        starts: where in the stream the files of `text` begin, bytes.
        length: bytes of the whole stream.
        entries: number of entries of the whole new manifest.
        entries_before: number of entries of the one before.
        size: bytes of all its files.
    """

    text: bytes
    gone: tuple[RelPath, ...]
    starts: Mapping[RelPath, int]
    length: int
    entries: int
    entries_before: int
    size: int


@dataclass(frozen=True, slots=True)
class _Lines:
    """A manifest, taken apart: what stands before its entries, and a row for each entry, by kind."""

    head: bytes
    rows: Mapping[bytes, Rows]

    @property
    def count(self) -> int:
        """Number of all entries."""
        return sum(rows.count for rows in self.rows.values())

    def has(self, path: bytes, but: bytes = b"") -> bool:
        """Tell whether there is an entry of any kind with this path; `but` that kind."""
        return any(rows.find(path) is not None for kind, rows in self.rows.items() if kind != but)

    def has_below(self, directory: bytes) -> bool:
        """Tell whether there is an entry of any kind below a directory."""
        return any(rows.has_below(directory) for rows in self.rows.values())


_Changes = Mapping[bytes, Sequence[bytes]]


def difference(old: bytes, new: bytes, limits: Limits) -> Difference | None:
    """Compare two manifests of one package.

    Args:
        old: one that was read before, and found to be right.
    """
    if len(new) > limits.manifest:
        return None
    try:
        before, after = _lines(old), _lines(new)
        return None if before is None or after is None else _difference(before, after, limits)
    except ValueError:  # a line without a path, or with one that cannot be, or in another order
        return None


def _lines(text: bytes) -> _Lines | None:
    """Take a manifest apart that has the form in which we write it.

    Raises:
        ValueError: its rows have not.
    """
    border = text.find(ENTRIES)
    if border == -1 or any(text.find(one, 0, border) != -1 for one in _MARKS):
        return None
    start = border + len(ENTRIES)
    if any(text.find(one, start) != -1 for one in _MARKS_OF_ENTRIES):
        return None
    rows: dict[bytes, Rows] = {}
    at = start
    for kind in _KINDS:
        opening = kind + b" = [\n"
        if not text.startswith(opening, at):
            rows[kind] = Rows(b"")
            continue
        at += len(opening)
        end = text.find(b"\n]\n", at)
        if end <= at:
            return None
        rows[kind] = Rows(text, at, end)
        at = end + 3
    found = _Lines(text[: border + 1], rows)
    tables = text.count(b"{", start) - text.count(b", xattrs = {", start)  # one for each row
    if at != len(text) or {tables, text.count(b"},\n", start)} != {found.count}:
        return None
    return found


def _difference(before: _Lines, after: _Lines, limits: Limits) -> Difference | None:
    added: dict[bytes, list[bytes]] = {}
    removed: dict[bytes, list[bytes]] = {}
    for kind in _KINDS:
        added[kind], removed[kind] = after.rows[kind].against(before.rows[kind], but_times=kind == _FILES)
    if any(len(path_in(row)) > MAX_PATH_BYTES for rows in added.values() for row in rows):
        return None
    if not _is_sound(after, added, removed):
        return None
    links = [link for piece in after.rows[_HARDLINKS].pieces() for link in _HARDLINK.findall(piece)]
    chosen = {kind: {*added[kind], *_with_rights(after.rows[kind])} for kind in _KINDS}
    _choose_names_of_files(chosen, after, (added, removed), links)
    above = {one for rows in chosen.values() for row in rows for one in _ancestors(path_in(row))}
    directories = [after.rows[_DIRECTORIES].find(one) for one in above]
    chosen[_DIRECTORIES].update(row for row in directories if row is not None)
    payload = _payload(after.rows[_FILES], frozenset(map(path_in, chosen[_FILES])))
    counted = (payload.count, len(links))
    if counted != (after.rows[_FILES].count, after.rows[_HARDLINKS].count):
        return None
    if after.count > limits.entries or payload.size > limits.content:
        return None
    return Difference(
        text=_text(after, chosen),
        gone=tuple(RelPath.parse(one.decode()) for one in _gone(after, added, removed)),
        starts=payload.starts,
        length=payload.length,
        entries=after.count,
        entries_before=before.count,
        size=payload.size,
    )


def _ancestors(path: bytes) -> Iterator[bytes]:
    at = path.find(b"/")
    while at != -1:
        yield path[:at]
        at = path.find(b"/", at + 1)


def _is_sound(after: _Lines, added: _Changes, removed: _Changes) -> bool:
    """Tell whether what is new and what stays can stand beside each other, as `entry_rules` would find for all of it.

    What was there before, in this version or with another content, stood beside the rest, so only new paths are asked.
    """
    for path in map(path_in, removed[_DIRECTORIES]):
        if not after.has(path) and after.has_below(path):
            return False  # a directory of which only the new manifest says nothing is root's 0755 from now on
    kind_before = {path_in(row): kind for kind, rows in removed.items() for row in rows}
    for kind, rows in added.items():
        for path in map(path_in, rows):
            if kind_before.get(path, kind) != kind:
                return False
            if path not in kind_before and not _can_be(after, kind, path):
                return False
    return True


def _can_be(after: _Lines, kind: bytes, path: bytes) -> bool:
    """Tell whether nothing else has this path, nothing but directories is above it, and nothing below it but in one."""
    directories = after.rows[_DIRECTORIES]
    if after.has(path, but=kind) or (kind != _DIRECTORIES and after.has_below(path)):
        return False
    return not any(directories.find(one) is None and after.has(one) for one in _ancestors(path))


def _gone(after: _Lines, added: _Changes, removed: _Changes) -> list[bytes]:
    """Return what is not there any more, and the directories that were there for its sake alone."""
    staying = {path_in(row) for rows in added.values() for row in rows}
    gone = {path for rows in removed.values() for row in rows if (path := path_in(row)) not in staying}
    above = {one for path in gone for one in _ancestors(path)}
    return sorted(gone.union(one for one in above if not after.has(one) and not after.has_below(one)))


def _with_rights(rows: Rows) -> Iterator[bytes]:
    for piece in rows.pieces():
        for found in _RIGHTS.finditer(piece):
            start = piece.rfind(b"\n", 0, found.start()) + 1
            end = piece.find(b"\n", found.end())
            yield piece[start:] if end == -1 else piece[start:end]


def _choose_names_of_files(
    chosen: dict[bytes, set[bytes]],
    after: _Lines,
    changes: Iterable[_Changes],
    links: Sequence[tuple[bytes, bytes]],
) -> None:
    """The names of a file are one object: if one of them changes, all of them are looked at."""
    touched = {path_in(row) for row in chosen[_FILES]}
    for change in changes:
        touched.update(map(path_in, change[_FILES]))
        touched.update(target for _, target in _HARDLINK.findall(b"\n".join(change[_HARDLINKS])))
    for path, target in links:
        if target in touched:
            for kind, name in ((_HARDLINKS, path), (_FILES, target)):
                if (row := after.rows[kind].find(name)) is not None:
                    chosen[kind].add(row)


@dataclass(frozen=True, slots=True)
class _Payload:
    """The stream of all files, and where in it some of them begin."""

    starts: Mapping[RelPath, int]
    length: int
    count: int
    size: int


def _payload(files: Rows, wanted: frozenset[bytes]) -> _Payload:
    starts = {}
    at = count = content = 0
    for piece in files.pieces():
        for path, digits in _FILE.findall(piece):
            size = int(digits)
            if path in wanted:
                starts[RelPath(path.decode())] = at
            at += member_length(path, size)
            count += 1
            content += size
    return _Payload(starts, at + len(END_OF_ARCHIVE), count, content)


def _text(after: _Lines, chosen: Mapping[bytes, set[bytes]]) -> bytes:
    lines = [after.head + b"[entries]"]
    for kind in _KINDS:
        if rows := sorted(chosen[kind], key=path_in):
            lines += [kind + b" = [", *rows, b"]"]
    return b"\n".join([*lines, b""])
