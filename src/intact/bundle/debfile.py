"""Acts. Which parts does the file of a Debian package have, and what comes out of them?

    tool.deb (ar) ── open_parts ──► control.tar.*, data.tar.* ── decompressed ──► tar streams

Each stream says so when it is cut off or damaged; none gives a short result in silence. Memory stays bounded however
well a part is compressed.
"""

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from typing import BinaryIO, cast

import zstandard

from intact.bundle.read import damaged
from intact.model.values import dataclass

__all__ = ["Part", "Parts", "Slice", "decompressed", "open_parts"]

_AR_MAGIC = b"!<arch>\n"
_HEADER = 60
# One zstd block has at least 4 bytes and at most 128 KiB of content: 1 KiB of input is at most 32 MiB of output.
_ZSTD_INPUT = 1 << 10
_XZ_INPUT = 1 << 16
_XZ_OUTPUT = 1 << 20
_XZ_MEMORY = 128 << 20  # `xz -9` wants 65 MiB


class Slice(io.RawIOBase):
    """Reads a part of a file as if it were a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._at = start
        self._end = start + size

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]  # io's own type is newer than 3.10
        """Fill the buffer as far as the part goes."""
        self._file.seek(self._at)
        found = self._file.read(min(len(buffer), self._end - self._at))
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


@dataclass(frozen=True, slots=True)
class Part:
    """One member of the package file; `start` and `size` are bytes of it."""

    name: str
    file: BinaryIO
    start: int
    size: int

    def open(self) -> io.BufferedReader:
        """Open the part for reading."""
        return io.BufferedReader(Slice(self.file, self.start, self.size))


@dataclass(frozen=True, slots=True)
class Parts:
    """The two archives of a Debian package, as stored."""

    control: Part
    data: Part


def open_parts(file: BinaryIO, name: str) -> Parts:
    """Find the archives of a package, in the order that deb(5) prescribes.

    Args:
        name: of the package file, for messages.

    Raises:
        BundleDamaged: it is cut off, or no Debian package of format 2.
    """
    found = list(_members(file, name))
    if not found or found[0].name != "debian-binary":
        raise damaged(name, "this is an ar archive, but not a Debian package")
    with found[0].open() as version:
        text = version.read(64)
    if not text.startswith(b"2."):
        raise damaged(name, f"this is a Debian package of format {text[:16]!r}; only 2.x is known")
    # deb(5): members that start with an underscore (signatures of other tools) are passed over.
    archives = [one for one in found[1:] if not one.name.startswith("_")]
    if [one.name.partition(".tar")[0] for one in archives] != ["control", "data"]:
        names = ", ".join(one.name for one in archives) or "nothing"
        raise damaged(name, f"a Debian package has control.tar and data.tar, this one has {names}")
    return Parts(archives[0], archives[1])


def _members(file: BinaryIO, name: str) -> Iterator[Part]:
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise damaged(name, "the file is empty" if not end else "this is not a Debian package")
    at = len(_AR_MAGIC)
    while at < end:
        file.seek(at)
        header = file.read(_HEADER)
        size_text = header[48:58].rstrip(b" ")
        if len(header) != _HEADER or header[58:] != b"`\n" or not size_text.isdigit() or not header.isascii():
            raise damaged(name, f"the ar header at byte {at} is damaged")
        size = int(size_text)
        if at + _HEADER + size > end:
            raise damaged(name, "the package is cut off")
        yield Part(header[:16].decode("ascii").rstrip(" /"), file, at + _HEADER, size)
        at += _HEADER + size + size % 2


def decompressed(part: Part, name: str) -> BinaryIO:
    """Open the tar archive in a part; reading raises where it is damaged or cut off.

    Raises:
        BundleDamaged: the way of compression is not known.
    """
    stored = part.open()
    match part.name.partition(".tar")[2]:
        case "":
            return stored
        case ".gz":
            return cast("BinaryIO", gzip.GzipFile(fileobj=stored, mode="rb"))
        case ".xz" | ".lzma":
            return io.BufferedReader(_Pieces(_xz_pieces(stored)))
        case ".bz2":
            return cast("BinaryIO", bz2.BZ2File(stored))
        case ".zst":
            return io.BufferedReader(_Pieces(_zstd_pieces(stored)))
        case _:
            raise damaged(name, f"{part.name} is compressed in a way that is not known")


def _zstd_pieces(stored: BinaryIO) -> Iterator[bytes]:
    """Decompress frame after frame; the library's own reader takes a cut off frame for a whole one."""
    fed = stored.read(_ZSTD_INPUT)
    while fed:
        frame = zstandard.ZstdDecompressor().decompressobj()
        while True:
            yield frame.decompress(fed)
            if frame.eof:
                break
            fed = stored.read(_ZSTD_INPUT)
            if not fed:
                raise EOFError("the zstd stream is cut off")
        fed = frame.unused_data or stored.read(_ZSTD_INPUT)


def _xz_pieces(stored: BinaryIO) -> Iterator[bytes]:
    """Decompress stream after stream, none of which may want more memory than the highest level of xz does."""
    fed = stored.read(_XZ_INPUT)
    while fed:
        stream = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
        while True:
            yield stream.decompress(fed, _XZ_OUTPUT)
            if stream.eof:
                break
            fed = stored.read(_XZ_INPUT) if stream.needs_input else b""
            if stream.needs_input and not fed:
                raise EOFError("the xz stream is cut off")
        fed = stream.unused_data.lstrip(b"\0")  # between streams there may be zeros
        while not fed and (more := stored.read(_XZ_INPUT)):
            fed = more.lstrip(b"\0")


class _Pieces(io.RawIOBase):
    """Reads pieces of any length as if they were a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview", /) -> int:  # type: ignore[override]  # as above
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
