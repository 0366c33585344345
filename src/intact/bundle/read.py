"""Acts. Which bytes does somebody claim to be a bundle, before anybody has vouched for them?

Only frame 0 is read, within ceilings, and taken apart into manifest bytes and signatures. Nothing is parsed
beyond that, and no byte of the payload is touched.
"""

import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from intact.bundle.head import split_head
from intact.bundle.tarstream import TarFault
from intact.bundle.zstdframes import (
    LEAST_PADDING,
    MOST_HEADER_BYTES,
    ZSTD_MAGIC,
    FrameFault,
    GrowingFrame,
    padding_length,
    parse_frame_header,
)
from intact.model.errors import BundleDamaged, machine_error
from intact.model.limits import DEFAULT_LIMITS, Limits

__all__ = ["UnverifiedBundle", "damaged", "open_bundle"]

_CHUNK = 64 << 10
_PIPE = 1 << 20  # the most that an ordinary user may have (pipe(7), /proc/sys/fs/pipe-max-size)
_OTHER_FORMATS = (
    (b"\x1f\x8b", "a gzip file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"PK", "a zip file"),
    (b"BZh", "a bzip2 file"),
    (b"!<arch>\n", "an ar archive (perhaps a .deb: turn it into a bundle with `pkg build FILE.deb`)"),
    (b"\xed\xab\xee\xdb", "an rpm package"),
)


class UnverifiedBundle:
    """The head of a bundle, and the stream that follows it; made by `open_bundle`.

    Attributes:
        name: what messages call it.
        manifest_bytes: exactly as stored; not parsed.
        signatures: armored, one signer each.
        head_length: bytes that frame 0 takes in the file, with what pads it.
    """

    def __init__(
        self,
        name: str,
        head: tuple[bytes, tuple[bytes, ...]],
        stream: BinaryIO,
        rest: bytes,
        head_length: int,
        *,
        is_file: bool,
    ) -> None:
        """Use `open_bundle`."""
        self.name = name
        self.manifest_bytes, self.signatures = head
        self.head_length = head_length
        self._stream = stream
        self._rest = rest
        self._offset = head_length if is_file else None

    @property
    def can_be_read_again(self) -> bool:
        """Tell whether `begin_again` is possible: a file can, a pipe cannot."""
        return self._offset is not None

    def hold(self, path: Path) -> bool:
        """Wait until nobody else holds the file; then tell whether it is still the one that stands at `path`."""
        with suppress(OSError):  # a filesystem without locks
            fcntl.flock(self._stream.fileno(), fcntl.LOCK_EX)
        try:
            return os.path.samestat(os.fstat(self._stream.fileno()), path.stat())
        except OSError as error:
            raise machine_error("look", error, str(path)) from error

    def begin_again(self) -> None:
        """Go back to the first byte of the payload."""
        self._offset = self.head_length

    def read(self, count: int) -> bytes:
        """Return the next bytes of the payload, fewer than `count` only at the end of the file."""
        return self.reader(count)()

    def reader(self, count: int) -> Callable[[], bytes]:
        """Return what gives the next bytes, and be behind them already.

        It may be called in any thread, and later: a file is read there, a pipe was read when this returned.
        """
        if self._offset is None:
            return partial(_same, self._read_stream(count))
        place, self._offset = self._offset, self._offset + count
        return partial(self._read_file, place, count)

    def _read_file(self, place: int, count: int) -> bytes:
        behind_head = place - self.head_length
        content = self._rest[
            behind_head : behind_head + count
        ]  # what was read with the head is not read again
        try:
            while len(content) < count and (
                more := os.pread(self._stream.fileno(), count - len(content), place + len(content))
            ):
                content += more
        except OSError as error:
            raise machine_error("read", error, self.name) from error
        return content

    def _read_stream(self, count: int) -> bytes:
        parts = [self._rest[:count]] if self._rest else []
        self._rest = self._rest[count:]
        missing = count - sum(map(len, parts))
        while missing:
            chunk = _read(self._stream, missing, self.name)
            if not chunk:
                break
            parts.append(chunk)
            missing -= len(chunk)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over payload bytes; a file is not read for that, a pipe has to be."""
        if self._offset is not None:
            self._offset += count
            return
        buffered = min(count, len(self._rest))
        self._rest = self._rest[buffered:]
        count -= buffered
        if count and self._stream.seekable():
            self._stream.seek(count, os.SEEK_CUR)
            return
        while count:
            chunk = _read(self._stream, min(count, _CHUNK), self.name)
            if not chunk:
                return
            count -= len(chunk)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):  # it was only read
            self._stream.close()

    def __enter__(self) -> "UnverifiedBundle":  # noqa: PYI034  Self starts with Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def damaged(name: str, what: str) -> BundleDamaged:
    """Return the error for a bundle that is not what it should be."""
    return BundleDamaged(
        what, path=name, remedy="get the file again, and compare its size and checksum with the publisher's"
    )


def open_bundle(source: Path | BinaryIO, name: str, limits: Limits = DEFAULT_LIMITS) -> UnverifiedBundle:
    """Read the head of a bundle.

    Args:
        source: a file, or a stream such as standard input, which then belongs to the result.
        name: what messages call it.

    Raises:
        BundleDamaged: it is not a bundle, cut off, or beyond a ceiling.
        MachineError: it cannot be read.
    """
    stream = _open(source, name) if isinstance(source, Path) else source
    if stream is source:
        _widen(stream)
    try:
        return _read_head(stream, name, limits, is_file=stream is not source)
    except BaseException:
        stream.close()
        raise


def _open(path: Path, name: str) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _insist_on_file(descriptor, name)
            return os.fdopen(descriptor, "rb", buffering=0)
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise machine_error("open", error, name) from error


def _widen(stream: BinaryIO) -> None:
    """Give a pipe more room, so that we and whoever fills it take turns less often."""
    with suppress(OSError):  # it is no pipe, or there are too many such pipes
        if fcntl.fcntl(stream.fileno(), fcntl.F_GETPIPE_SZ) < _PIPE:
            fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)


def _insist_on_file(descriptor: int, name: str) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise damaged(name, "this is not a regular file (`-` reads a bundle from standard input)")


def _read(stream: BinaryIO, count: int, name: str) -> bytes:
    try:
        return stream.read(count)
    except OSError as error:
        raise machine_error("read", error, name) from error


def _same(content: bytes) -> bytes:
    return content


def _read_head(stream: BinaryIO, name: str, limits: Limits, *, is_file: bool) -> UnverifiedBundle:
    start = b""
    while len(start) < MOST_HEADER_BYTES and (chunk := _read(stream, _CHUNK, name)):
        start += chunk
    if not start.startswith(ZSTD_MAGIC):
        raise damaged(name, _what_it_is(start))
    try:
        largest = limits.manifest + limits.signatures * (limits.signature + 1024) + 1024
        header = parse_frame_header(start[:MOST_HEADER_BYTES], largest_window=limits.window)
        frame = GrowingFrame(header, largest_size=largest, ratio=limits.head_ratio)
        frame.feed(start)
        while not frame.complete:
            chunk = _read(stream, _CHUNK, name)
            if not chunk:
                break
            frame.feed(chunk)
            if frame.fed > limits.head_compressed:  # without the payload that was read with it
                raise damaged(name, f"its head takes more than {limits.head_compressed} bytes")
        head = split_head(frame.content(), limits)
    except (FrameFault, TarFault) as fault:
        raise damaged(name, f"the head of the bundle is not in order: {fault}") from fault
    padding, rest = _padding(stream, frame.unused, name, limits.head_compressed - frame.fed)
    return UnverifiedBundle(name, head, stream, rest, frame.fed + padding, is_file=is_file)


def _padding(stream: BinaryIO, rest: bytes, name: str, most: int) -> tuple[int, bytes]:
    """Pass over what pads the head, which can only be zeros; return its length, and what was read behind it.

    Args:
        rest: what was read behind frame 0.
        most: bytes that it may have.
    """
    while len(rest) < LEAST_PADDING and (chunk := _read(stream, _CHUNK, name)):
        rest += chunk
    length = padding_length(rest)
    if not length:
        return 0, rest
    if length > most:
        raise damaged(name, "its head takes more bytes than any may")
    zeros, rest = rest[LEAST_PADDING:length], rest[length:]
    left = length - LEAST_PADDING - len(zeros)
    while not zeros.strip(b"\0"):
        if not left:
            return length, rest
        chunk = _read(stream, _CHUNK, name)
        if not chunk:
            raise damaged(name, "it is cut off behind its head")
        zeros, rest = chunk[:left], chunk[left:]
        left -= len(zeros)
    raise damaged(name, "something is hidden behind its head")


def _what_it_is(start: bytes) -> str:
    if not start:
        return "the file is empty"
    for magic, what in _OTHER_FORMATS:
        if start.startswith(magic):
            return f"this is {what}, not a bundle"
    if start[257:262] == b"ustar":
        return "this is a plain tar archive, not a bundle"
    return "this is not a bundle (a bundle starts with a zstd frame)"
