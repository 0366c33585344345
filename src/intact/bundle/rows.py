"""Pure. Which rows of a manifest's section has another one not, and which row has a path, without taking all of them apart?

A section is one piece of text with a row for each entry, sorted by path. Looking into the text itself takes no memory for
each row, and where two sections are the same for a long way, comparing them takes no time worth mentioning.
"""

import re
from collections.abc import Iterator
from operator import lt
from typing import Final

__all__ = ["START", "Rows", "path_in"]

START: Final = b'  {path = "'
_PATH: Final = re.compile(rb'\n  \{path = "([^"]*)"')
_TIME: Final = re.compile(rb'", mtime = \d+')
_PIECE: Final = 1 << 18
_BLOCK: Final = 1 << 10  # bytes that are compared at once, at first


def path_in(row: bytes) -> bytes:
    """Return the path of a row; raises ValueError if it has no end."""
    return row[len(START) : row.index(b'"', len(START))]


class Rows:
    """The rows of a section: those of one kind of entry.

    Attributes:
        text: the rows, with a newline between two of them.
        count: how many they are.
    """

    def __init__(self, text: bytes) -> None:
        """Begin; raises ValueError if they are not one entry each, or not sorted by path."""
        self.text = text
        self.count = 0
        last = b""
        if text.endswith(b"\n"):
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
        at = 0
        while at < len(self.text):
            end = self._end(min(at + _PIECE, len(self.text)))
            yield b"\n" + self.text[at:end]
            at = end + 1

    def find(self, path: bytes) -> bytes | None:
        """Return the row with this path."""
        at = self._first_from(path)
        row = self.text[at : self._end(at)]
        return row if row.startswith(b'%s%s"' % (START, path)) else None

    def has_below(self, directory: bytes) -> bool:
        """Tell whether there is a row with a path below a directory."""
        start = directory + b"/"
        at = self._first_from(start)
        return self.text.startswith(START + start, at)

    def against(self, others: "Rows") -> tuple[list[bytes], list[bytes]]:
        """Return the rows that only these have, and those that only the others have; a time alone is no difference."""
        mine, theirs = _without_times(self.text), _without_times(others.text)
        pairs = list(_differences(mine, theirs))
        only_mine, only_theirs = [row for row, _ in pairs if row], [other for _, other in pairs if other]
        if mine is not self.text:
            only_mine = [self.find(path_in(row)) or row for row in only_mine]
        if theirs is not others.text:
            only_theirs = [others.find(path_in(row)) or row for row in only_theirs]
        return only_mine, only_theirs

    def _first_from(self, path: bytes) -> int:
        """Return where the first row begins whose path is this one or sorts behind it."""
        text, skipped = self.text, len(START)
        low, high = 0, len(text)
        while low < high:
            start = text.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = text.index(b'"', start + skipped)
            if text[start + skipped : end] < path:
                low = self._end(end) + 1
            else:
                high = start
        return low

    def _end(self, start: int) -> int:
        end = self.text.find(b"\n", start)
        return len(self.text) if end == -1 else end


def _without_times(text: bytes) -> bytes:
    return _TIME.sub(b'"', text) if b", mtime = " in text else text


def _differences(some: bytes, others: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the rows in which two sorted texts differ, in pairs; empty where one has nothing for the other."""
    at = there = 0
    while at < len(some) or there < len(others):
        row, other = _row_at(some, at), _row_at(others, there)
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


def _same_rows(some: bytes, at: int, others: bytes, there: int) -> int:
    """Count the bytes of the rows that are the same from there on, of which the first is."""
    same, size = 0, _BLOCK
    while (block := some[at + same : at + same + size]) and block == others[
        there + same : there + same + size
    ]:
        same += len(block)
        size *= 2
    low, high = same, min(same + size, len(some) - at, len(others) - there)
    while low < high:  # the first byte that differs is between the two
        middle = (low + high + 1) // 2
        if some[at + low : at + middle] == others[there + low : there + middle]:
            low = middle
        else:
            high = middle - 1
    return max(len(_row_at(some, at)), some.rfind(b"\n", at, at + low) - at) + 1


def _row_at(text: bytes, at: int) -> bytes:
    end = text.find(b"\n", at)
    return text[at:] if end == -1 else text[at:end]
