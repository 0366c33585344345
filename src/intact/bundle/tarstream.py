"""Pure. Which exact tar bytes stand around the content of a bundle's files?

The tar stream of a bundle is a function of its manifest: the members are its regular files, in manifest
order, named by their path. A reader makes the header that must be there and compares bytes; it never parses
one, so a header can't decide anything.

    member   = [pax header + pax record, if the path does not fit] + header + content + zeros to 512
    stream   = member* + 1024 zero bytes
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from intact.model.entries import FileEntry
from intact.model.values import dataclass

__all__ = [
    "BLOCK",
    "END_OF_ARCHIVE",
    "LARGEST_NUMBER",
    "Span",
    "TarFault",
    "insist_on_fitting",
    "layout",
    "member_header",
    "member_length",
    "padding",
    "size_in_header",
    "span_at",
    "stream_length",
]

BLOCK: Final = 512
END_OF_ARCHIVE: Final = bytes(2 * BLOCK)
LARGEST_NUMBER: Final = 8**11 - 1
"""What eleven octal digits hold: the largest size (8 GiB - 1) and the latest time of a member."""

_NAME_BYTES = 100
_PREFIX_BYTES = 155
_SIZE_FIELD = slice(124, 136)
_PAX_NAME = "././@PaxHeader"
_FILE, _PAX = b"0", b"x"


class TarFault(ValueError):
    """A member that this subset of tar can't express, or bytes that are no header of ours."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a file lies in the decompressed stream.

    Attributes:
        start: offset of its first header block.
        content: offset of its first content byte.
        end: offset of what follows it, padding included.
    """

    entry: FileEntry
    start: int
    content: int
    end: int


def member_header(path: str, size: int, mode: int, mtime: int) -> bytes:
    """Return the header blocks of a regular file: 512 bytes, or 1536 and more when the path needs pax.

    Args:
        path: at most 1024 bytes of UTF-8, relative.
        size: bytes of content, at most `LARGEST_NUMBER`.
        mode: only the rwx bits are written; set-id bits never get into a header.
        mtime: seconds since 1970, at most `LARGEST_NUMBER`.

    Raises:
        TarFault: size or time do not fit.
    """
    insist_on_fitting(size, mtime)
    encoded = path.encode()
    split = _split(encoded) if path.isascii() else None
    if split is not None:
        return _block(split, size, mode, mtime, _FILE)
    record = _pax_record(encoded)
    short = path.rpartition("/")[2].encode("ascii", "replace")[:_NAME_BYTES]
    return b"".join(
        (
            _block((_PAX_NAME.encode(), b""), len(record), 0o644, 0, _PAX),
            record + bytes(padding(len(record))),
            _block((short, b""), size, mode, mtime, _FILE),
        )
    )


def insist_on_fitting(size: int, mtime: int) -> None:
    """Make sure that there is a header for a file of that size and time.

    Raises:
        TarFault: size or time do not fit.
    """
    if not 0 <= size <= LARGEST_NUMBER:
        raise TarFault(f"a file of {size} bytes does not fit: 8 GiB - 1 is the most")
    if not 0 <= mtime <= LARGEST_NUMBER:
        raise TarFault(f"the time {mtime} does not fit: 0 to {LARGEST_NUMBER} (in the year 2242)")


def padding(size: int) -> int:
    """Count the zero bytes that fill the last block of `size` bytes."""
    return -size % BLOCK


def size_in_header(block: bytes) -> int:
    """Read the size field of a header block: eleven octal digits and a NUL, nothing else.

    Raises:
        TarFault: the field has another form.
    """
    field = block[_SIZE_FIELD]
    digits = field[:-1]
    if len(digits) != 11 or field[-1] != 0 or digits.strip(b"01234567"):
        raise TarFault("the size field is not eleven octal digits and a NUL")
    return int(digits, 8)


def layout(files: Iterable[FileEntry]) -> Iterator[Span]:
    """Tell for each file, in the order given, where it lies in the stream."""
    at = 0
    for entry in files:
        span = span_at(entry, at)
        yield span
        at = span.end


def span_at(entry: FileEntry, start: int) -> Span:
    """Tell where a file lies in the stream that begins at `start`."""
    content = start + _header_length(entry.path.encode())
    return Span(entry, start, content, content + entry.size + padding(entry.size))


def member_length(path: bytes, size: int) -> int:
    """Count the bytes of a member, header and padding included."""
    if len(path) <= _NAME_BYTES and path.isascii():  # nearly all
        return BLOCK + size + -size % BLOCK
    return _header_length(path) + size + padding(size)


def stream_length(files: Iterable[FileEntry]) -> int:
    """Count the bytes of the whole stream, end marker included."""
    end = 0
    for entry in files:
        end += member_length(entry.path.encode(), entry.size)
    return end + len(END_OF_ARCHIVE)


def _header_length(path: bytes) -> int:
    if path.isascii() and (len(path) <= _NAME_BYTES or _split(path) is not None):
        return BLOCK
    record = len(_pax_record(path))
    return BLOCK + record + padding(record) + BLOCK


def _split(path: bytes) -> tuple[bytes, bytes] | None:
    """Take a path apart into ustar's name and prefix; None if it does not fit."""
    if len(path) <= _NAME_BYTES:
        return path, b""
    at = path.find(b"/", len(path) - _NAME_BYTES - 1)
    return (path[at + 1 :], path[:at]) if 0 < at <= _PREFIX_BYTES else None


def _pax_record(path: bytes) -> bytes:
    """``LENGTH path=PATH`` and a newline, where LENGTH counts its own digits too."""
    rest = len(b" path=\n") + len(path)
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d path=%s\n" % (length, path)


def _block(name: tuple[bytes, bytes], size: int, mode: int, mtime: int, kind: bytes) -> bytes:
    before, after, constant = _common(mode, mtime, kind)
    digits = b"%011o\0" % size
    checksum = constant + sum(name[0]) + sum(name[1]) + sum(digits)
    return b"".join(
        (
            name[0].ljust(_NAME_BYTES, b"\0"),
            before,
            digits,
            b"%011o\0" % mtime,
            b"%06o\0 " % checksum,
            after,
            name[1].ljust(_PREFIX_BYTES, b"\0"),
            bytes(12),
        )
    )


@lru_cache(maxsize=256)
def _common(mode: int, mtime: int, kind: bytes) -> tuple[bytes, bytes, int]:
    """Return what most members share: the fields before the size, those after the checksum, and the sum of all that."""
    before = (
        b"%07o\0" % (mode & 0o777) + b"0000000\0" * 2
    )  # no uid and gid: the manifest's names alone decide
    after = b"".join((kind, bytes(100), b"ustar\x0000", b"root".ljust(32, b"\0") * 2, b"0000000\0" * 2))
    return before, after, sum(before + b"%011o\0" % mtime + b" " * 8 + after)
