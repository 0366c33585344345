"""Pure. Which rows of a manifest's section has another one not, and which row has a path, without taking all of them apart?

A section is one piece of text with a row for each entry, sorted by path. Looking into the text itself takes no memory for
each row, and where two sections are the same for a long way, comparing them takes no time worth mentioning.
"""

import re
from collections.abc import Iterator
from operator import lt
from typing import Final

from intact.model.values import dataclass

__all__ = ["START", "Rows", "path_in"]

START: Final = b'  {path = "'
_PATH: Final = re.compile(rb'\n  \{path = "([^"]*)"')
# As it may be written (`tarstream.LARGEST_NUMBER` is 8 GiB - 1): any other is a difference, and is judged by whoever reads it.
_TIME: Final = re.compile(rb'", mtime = (?:0|[1-9]\d{0,8}|[1-7]\d{9})(?=[,}])')
_PIECE: Final = 1 << 18
_BLOCK: Final = 1 << 10  # bytes that are compared at once, at first


def path_in(row: bytes) -> bytes:
    """Return the path of a row; raises ValueError if it has no end."""
    return row[len(START) : row.index(b'"', len(START))]


class Rows:
    """The rows of a section: those of one kind of entry. They stay in the text that they are a part of.

    Attributes:
        count: how many they are.
    """

    def __init__(self, text: bytes, start: int = 0, end: int | None = None) -> None:
        """Begin; raises ValueError if they are not one entry each, or not sorted by path."""
        self._section = _Section(text, start, len(text) if end is None else end)
        self.count = 0
        last = b""
        if text.endswith(b"\n", start, end):
            raise ValueError("rows with an empty one at the end")
        for piece in self.pieces():
            paths = _PATH.findall(piece)
            if len(paths) != piece.count(b"\n") or not last < paths[0] or not all(map(lt, paths, paths[1:])):
                raise ValueError("rows that are no rows, or in another order")
            self.count += len(paths)
            last = paths[-1]

    def pieces(self) -> Iterator[bytes]:
        """Yield the text in pieces of many rows, for what takes memory for each row; a newline is before each row.

        A pattern that begins with that is found three times as fast as one that begins with ``^``.
        """
        for part in self._section.parts():
            yield b"\n" + part.text[part.start : part.end]

    def find(self, path: bytes) -> bytes | None:
        """Return the row with this path."""
        return self._section.find(path) or None

    def has_below(self, directory: bytes) -> bool:
        """Tell whether there is a row with a path below a directory."""
        start = directory + b"/"
        return self._section.row_at(self._section.first_from(start)).startswith(START + start)

    def against(self, others: "Rows", *, but_times: bool = False) -> tuple[list[bytes], list[bytes]]:
        """Return the rows that only these have, and those that only the others have.

        Args:
            but_times: a time alone is no difference; for files, because in a link's row it is not one.
        """
        only_mine: list[bytes] = []
        only_theirs: list[bytes] = []
        for mine, theirs in _side_by_side(self._section, others._section):  # noqa: SLF001  same class
            pair = (mine.without_times(), theirs.without_times()) if but_times else (mine, theirs)
            for row, other in _differences(*pair):
                only_mine += [mine.find(path_in(row))] if row else ()
                only_theirs += [theirs.find(path_in(other))] if other else ()
        return only_mine, only_theirs


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of a text, in which a row ends where the next one begins."""

    text: bytes
    start: int
    end: int

    def row_end(self, at: int) -> int:
        end = self.text.find(b"\n", at, self.end)
        return self.end if end == -1 else end

    def row_at(self, at: int) -> bytes:
        return self.text[at : self.row_end(at)]

    def first_from(self, path: bytes) -> int:
        """Return where the first row begins whose path is this one or sorts behind it."""
        text, skipped = self.text, len(START)
        low, high = self.start, self.end
        while low < high:
            start = text.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = text.index(b'"', start + skipped)
            if text[start + skipped : end] < path:
                low = self.row_end(end) + 1
            else:
                high = start
        return low

    def find(self, path: bytes) -> bytes:
        """Return the row with this path; nothing if there is none."""
        row = self.row_at(self.first_from(path))
        return row if row.startswith(b'%s%s"' % (START, path)) else b""

    def parts(self) -> "Iterator[_Section]":
        at = self.start
        while at < self.end:
            end = self.row_end(min(at + _PIECE, self.end))
            yield _Section(self.text, at, end)
            at = end + 1

    def without_times(self) -> "_Section":
        if self.text.find(b", mtime = ", self.start, self.end) == -1:
            return self
        text = _TIME.sub(b'"', self.text[self.start : self.end])
        return _Section(text, 0, len(text))


def _side_by_side(some: _Section, others: _Section) -> Iterator[tuple[_Section, _Section]]:
    """Yield parts of two sections, of which each has the rows with the same range of paths."""
    there = others.start
    for part in some.parts():
        last = part.text.rfind(b"\n", part.start, part.end) + 1 or part.start
        path = path_in(part.row_at(last))
        stop = others.end if part.end == some.end else others.first_from(path + b"\0") - 1
        yield part, _Section(others.text, there, max(stop, there))
        there = stop + 1
    if some.start == some.end:
        yield some, others


def _differences(some: _Section, others: _Section) -> Iterator[tuple[bytes, bytes]]:
    """Yield the rows in which two sorted sections differ, in pairs; empty where one has nothing for the other."""
    at, there = some.start, others.start
    while at < some.end or there < others.end:
        row, other = some.row_at(at), others.row_at(there)
        if row == other:
            same = _same_rows(some, at, others, there)
            at, there = at + same, there + same
            continue
        if not other or (row and path_in(row) < path_in(other)):
            other = b""
        elif not row or path_in(other) < path_in(row):
            row = b""
        yield row, other
        at += len(row) + 1 if row else 0
        there += len(other) + 1 if other else 0


def _same_rows(some: _Section, at: int, others: _Section, there: int) -> int:
    """Count the bytes of the rows that are the same from there on, of which the first is."""
    most = min(some.end - at, others.end - there)
    same, size = 0, _BLOCK
    while same < most and _is_same(some.text, at, others.text, there, same, min(same + size, most)):
        same = min(same + size, most)
        size = min(2 * size, _PIECE)
    low, high = same, min(same + size, most)
    while low < high:  # the first byte that differs is between the two
        middle = (low + high + 1) // 2
        if _is_same(some.text, at, others.text, there, low, middle):
            low = middle
        else:
            high = middle - 1
    return max(some.row_end(at), some.text.rfind(b"\n", at, at + low)) - at + 1


def _is_same(some: bytes, at: int, others: bytes, there: int, low: int, high: int) -> bool:
    return some[at + low : at + high] == others[there + low : there + high]
