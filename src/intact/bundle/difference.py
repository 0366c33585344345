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
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from intact.bundle.canonical_entries import split_canonical
from intact.bundle.tarstream import END_OF_ARCHIVE, member_length
from intact.model.limits import Limits
from intact.model.paths import RelPath
from intact.model.values import dataclass

__all__ = ["Difference", "difference"]

_KINDS: Final = (b"directories", b"files", b"hardlinks", b"symlinks")
_START: Final = b'  {path = "'
# With one of these, a line may mean something else than it seems to.
_MARKS: Final = (b'"""', b"'''")
_MARKS_OF_ENTRIES: Final = (*_MARKS, b"\\", b'{path = ", mtime = ')
_FILE: Final = re.compile(rb'^  \{path = "([^"]*)", size = (\d{1,11}), sha256 = "', re.MULTILINE)
_HARDLINK: Final = re.compile(rb'^  \{path = "([^"]*)", target = "([^"]*)"\},$', re.MULTILINE)
_TIME: Final = re.compile(rb'", mtime = \d+')
# `entry_rules.is_privileged` reads them; a mode that nobody needs a permission for is the only one that is passed over.
_RIGHTS: Final = re.compile(
    rb', (?:owner|group) = "(?!(?:root|0)")|, xattrs = |, mode = "(?!0[0-7][0145][0145]")'
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
    """A manifest, taken apart: what stands before its entries, and a line for each entry, by kind.

    Attributes:
        timeless: the same as `rows`, without times.
    """

    head: bytes
    sections: Mapping[bytes, bytes]
    rows: Mapping[bytes, Sequence[bytes]]
    timeless: Mapping[bytes, Sequence[bytes]]


def difference(old: bytes, new: bytes, limits: Limits) -> Difference | None:
    """Compare two manifests of one package.

    Args:
        old: one that was read before, and found to be right.
    """
    if len(new) > limits.manifest or (before := _lines(old)) is None or (after := _lines(new)) is None:
        return None
    try:
        return _difference(before, after, limits)
    except ValueError:  # a line without a path, or with one that cannot be
        return None


def _difference(before: _Lines, after: _Lines, limits: Limits) -> Difference | None:
    added = {kind: _without(after, before, kind) for kind in _KINDS}
    removed = {kind: _without(before, after, kind) for kind in _KINDS}
    files = sorted((path, int(size)) for path, size in _FILE.findall(after.sections[b"files"]))
    directories = {_path(row): row for row in after.rows[b"directories"]}
    links = _HARDLINK.findall(after.sections[b"hardlinks"])
    paths = sorted([*directories, *(path for path, _ in files), *map(_path, _links(after))])
    if not _is_sound(after, added, removed, (files, links, paths), limits):
        return None
    gone = _gone(paths, removed)
    chosen = {kind: {*added[kind], *_with_rights(after.sections[kind])} for kind in _KINDS}
    _choose_names_of_files(chosen, after, (added, removed), links)
    above = {one for rows in chosen.values() for row in rows for one in _ancestors(_path(row))}
    chosen[b"directories"] |= {directories[one] for one in above.intersection(directories)}
    wanted = frozenset(map(_path, chosen[b"files"]))
    starts, length = _starts(files, wanted)
    return Difference(
        text=_text(after, chosen),
        gone=tuple(RelPath.parse(one.decode()) for one in gone),
        starts={RelPath(path.decode()): start for path, start in starts.items()},
        length=length,
        entries=len(paths),
        entries_before=sum(map(len, before.rows.values())),
        size=sum(size for _, size in files),
    )


def _lines(text: bytes) -> _Lines | None:
    """Take a manifest apart that has the form in which we write it."""
    split = split_canonical(text)
    if split is None:
        return None
    head, body = split
    if any(one in head for one in _MARKS) or any(one in body for one in _MARKS_OF_ENTRIES):
        return None
    sections: dict[bytes, bytes] = dict.fromkeys(_KINDS, b"")
    at = 0
    for kind in _KINDS:
        opening = kind + b" = [\n"
        if body.startswith(opening, at):
            at += len(opening)
            end = body.find(b"\n]\n", at)
            if end <= at:
                return None
            sections[kind] = body[at:end]
            at = end + 3
    rows = {kind: section.split(b"\n") if section else [] for kind, section in sections.items()}
    count = sum(map(len, rows.values()))
    counts = {body.count(b"\n" + _START), body.count(b"{path = "), body.count(b"},\n")}
    if at != len(body) or counts != {count}:
        return None
    files = sections[b"files"]
    timeless = _TIME.sub(b'"', files).split(b"\n") if b", mtime = " in files else rows[b"files"]
    return _Lines(head, sections, rows, {**rows, b"files": timeless})


def _without(some: _Lines, others: _Lines, kind: bytes) -> list[bytes]:
    """Return the rows of a kind that the others do not have."""
    known = set(others.timeless[kind])
    return [
        row for row, plain in zip(some.rows[kind], some.timeless[kind], strict=True) if plain not in known
    ]


def _path(row: bytes) -> bytes:
    return row[len(_START) : row.index(b'"', len(_START))]


def _links(lines: _Lines) -> Iterator[bytes]:
    yield from lines.rows[b"hardlinks"]
    yield from lines.rows[b"symlinks"]


def _ancestors(path: bytes) -> Iterator[bytes]:
    at = path.find(b"/")
    while at != -1:
        yield path[:at]
        at = path.find(b"/", at + 1)


def _is_sound(
    after: _Lines,
    added: Mapping[bytes, Sequence[bytes]],
    removed: Mapping[bytes, Sequence[bytes]],
    known: tuple[Sequence[tuple[bytes, int]], Sequence[tuple[bytes, bytes]], Sequence[bytes]],
    limits: Limits,
) -> bool:
    """Tell whether what is new and what stays can stand beside each other, as `entry_rules` would find for all of it."""
    files, links, paths = known
    if (len(files), len(links)) != (len(after.rows[b"files"]), len(after.rows[b"hardlinks"])):
        return False
    known_paths = set(paths)
    if len(known_paths) != len(paths) or len(paths) > limits.entries:
        return False
    if sum(size for _, size in files) > limits.content:
        return False
    if any(_holds(paths, path) and path not in known_paths for path in map(_path, removed[b"directories"])):
        return False  # a directory of which only the new manifest says nothing is root's 0755 from now on
    kind_before = {_path(row): kind for kind, rows in removed.items() for row in rows}
    others = {*(path for path, _ in files), *map(_path, _links(after))}  # all that can hold nothing
    for kind, rows in added.items():
        for row in rows:
            path = _path(row)
            if kind_before.get(path, kind) != kind or not others.isdisjoint(_ancestors(path)):
                return False
            if kind != b"directories" and _holds(paths, path):
                return False
    return True


def _holds(paths: Sequence[bytes], directory: bytes) -> bool:
    """Tell whether one of the sorted paths lies below a directory."""
    start = directory + b"/"
    at = bisect_left(paths, start)
    return at < len(paths) and paths[at].startswith(start)


def _gone(paths: Sequence[bytes], removed: Mapping[bytes, Sequence[bytes]]) -> list[bytes]:
    """Return what is not there any more, and the directories that were there for its sake alone."""
    staying = set(paths)
    gone = {path for rows in removed.values() for row in rows if (path := _path(row)) not in staying}
    above = {one for path in gone for one in _ancestors(path)} - staying
    return sorted(gone.union(one for one in above if not _holds(paths, one)))


def _with_rights(section: bytes) -> Iterator[bytes]:
    for found in _RIGHTS.finditer(section):
        start = section.rfind(b"\n", 0, found.start()) + 1
        end = section.find(b"\n", found.end())
        yield section[start:] if end == -1 else section[start:end]


def _choose_names_of_files(
    chosen: dict[bytes, set[bytes]],
    after: _Lines,
    changes: Iterable[Mapping[bytes, Sequence[bytes]]],
    links: Sequence[tuple[bytes, bytes]],
) -> None:
    """The names of a file are one object: if one of them changes, all of them are looked at."""
    touched = {_path(row) for row in chosen[b"files"]}
    for change in changes:
        touched.update(map(_path, change[b"files"]))
        touched.update(target for _, target in _HARDLINK.findall(b"\n".join(change[b"hardlinks"])))
    names = [
        row for row, (_, target) in zip(after.rows[b"hardlinks"], links, strict=True) if target in touched
    ]
    if names:
        firsts = {target for _, target in links if target in touched}
        chosen[b"hardlinks"].update(names)
        chosen[b"files"].update(row for row in after.rows[b"files"] if _path(row) in firsts)


def _starts(files: Iterable[tuple[bytes, int]], wanted: frozenset[bytes]) -> tuple[dict[bytes, int], int]:
    """Say where some files begin in the stream of all, and how long that is."""
    starts = {}
    at = 0
    for path, size in files:
        if path in wanted:
            starts[path] = at
        at += member_length(path, size)
    return starts, at + len(END_OF_ARCHIVE)


def _text(after: _Lines, chosen: Mapping[bytes, set[bytes]]) -> bytes:
    lines = [after.head + b"[entries]"]
    for kind in _KINDS:
        if rows := [row for row in after.rows[kind] if row in chosen[kind]]:
            lines += [kind + b" = [", *rows, b"]"]
    return b"\n".join([*lines, b""])
