"""Acts. How do the files of a package become frames, each file read once?

The content is hashed while it is packed, and the manifest gets the digests of what was packed: they agree, whatever
happens to the files. That a content is one state of its file, the one that was described, is another question; it is
asked before the content is read and afterwards.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import BinaryIO

from intact.bundle.package import UNREAD, PackageSource
from intact.bundle.tarstream import END_OF_ARCHIVE, TarFault, member_header, padding, stream_length
from intact.bundle.zstdframes import compress_frame
from intact.model.entries import Digest, FileEntry
from intact.model.errors import IntactError, ManifestInvalid, machine_error
from intact.model.manifest import Frame, Manifest
from intact.model.paths import RelPath
from intact.model.values import replace
from intact.system.workers import Beside, in_order

__all__ = ["SourceChanged", "most_frames", "pack"]

Piece = bytes | memoryview

_SMALL_FRAME = 1 << 20
_LARGE_FRAME = 4 << 20


class SourceChanged(IntactError):
    """A file was written to, touched or replaced while the bundle was being built from it."""


def pack(
    source: PackageSource, write: Callable[[bytes], object], level: int, progress: Callable[[int], None]
) -> Manifest:
    """Write the payload, and return the manifest with its frames and the digests of what is in them.

    Args:
        write: called with one frame after the other.

    Raises:
        SourceChanged: a file is not, or not any longer, what its entry was made from.
        ManifestInvalid: a file does not fit into an archive.
        MachineError: a file cannot be opened.
        OSError: something could not be read or written.
    """
    with closing(_Stream(source, progress)) as stream:
        works = (partial(_make_frame, pieces, level) for pieces in stream.cut())
        with closing(in_order(works)) as made:  # on all processors
            frames = []
            for stored, frame in made:
                write(stored)
                frames.append(frame)
        entries = tuple(
            replace(entry, digest=stream.digests[entry.path]) if isinstance(entry, FileEntry) else entry
            for entry in source.manifest.entries
        )
    return replace(source.manifest, entries=entries, frames=tuple(frames))


def most_frames(source: PackageSource) -> int:
    """Return a number that the frames of the payload do not exceed; it depends on the sizes of the files alone."""
    files = (entry for entry in source.manifest.entries if isinstance(entry, FileEntry))
    return stream_length(files) // _SMALL_FRAME + 1


@contextmanager
def _told_of(entry: FileEntry) -> Iterator[None]:
    """Say of which file it is that something went wrong while it was read."""
    try:
        yield
    except OSError as error:
        raise machine_error("read", error, entry.path) from error


def _make_frame(pieces: tuple[Piece, ...], level: int) -> tuple[bytes, Frame]:
    content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    stored = compress_frame(content, level)
    return stored, Frame(len(stored), len(content), Digest(hashlib.sha256(stored).hexdigest()))


class _Stream:
    """The archive as it is read from the files, with the digests of those that were read; to be closed."""

    def __init__(self, source: PackageSource, progress: Callable[[int], None]) -> None:
        self.digests: dict[RelPath, Digest] = {}
        self._source = source
        self._progress = progress
        self._beside = Beside()
        self.close = self._beside.close

    def cut(self) -> Iterator[tuple[Piece, ...]]:
        """Cut the archive into the content of frames: small files share one, a large file has several."""
        pending: list[Piece] = []
        size = 0
        for entry in self._source.manifest.entries:
            if not isinstance(entry, FileEntry):
                continue
            for piece in self._member(entry, _LARGE_FRAME - size):
                rest = memoryview(piece)
                while size + len(rest) >= _LARGE_FRAME:
                    fitting = _LARGE_FRAME - size
                    yield (*pending, rest[:fitting])
                    pending, size, rest = [], 0, rest[fitting:]
                if rest:  # a frame of one piece only is not copied
                    pending.append(rest)
                    size += len(rest)
            if size >= _SMALL_FRAME:
                yield tuple(pending)
                pending, size = [], 0
        yield (*pending, END_OF_ARCHIVE)

    def _member(self, entry: FileEntry, room: int) -> Iterator[bytes]:
        """Yield a member of the archive in pieces, as they fit into frames; the content is hashed meanwhile.

        Args:
            room: bytes that the frame still has, which is more than none.
        """
        header = _header(entry)
        yield header
        state, count = hashlib.sha256(), 0
        with self._opened(entry) as content, _told_of(entry):
            self._insist_that(self._source.is_as_seen(entry, content), entry)
            while count <= entry.size:
                piece = content.read(_fitting(room - len(header) - count, entry.size - count))
                if not piece:
                    break
                if entry.size > _SMALL_FRAME:
                    self._beside.begin(partial(state.update, piece))
                else:
                    state.update(piece)
                count += len(piece)
                self._progress(len(piece))
                yield piece
            self._insist_that(count == entry.size and self._source.is_as_seen(entry, content), entry)
        self._beside.finish()
        digest = Digest(state.hexdigest())
        self._insist_that(entry.digest in {UNREAD, digest}, entry)
        self.digests[entry.path] = digest
        if padding(entry.size):
            yield bytes(padding(entry.size))

    def _opened(self, entry: FileEntry) -> BinaryIO:
        try:
            return self._source.open_content(entry)
        except OSError as error:
            raise machine_error("open", error, entry.path) from error

    @staticmethod
    def _insist_that(unchanged: bool, entry: FileEntry) -> None:  # noqa: FBT001  the question is in its name
        if not unchanged:
            raise SourceChanged(
                "the file changed while the bundle was being built",
                path=entry.path,
                remedy="build again when nothing writes to it",
                root_state="no bundle was written",
            )


def _fitting(room: int, left: int) -> int:
    """Return how much to read: what fills the frame, or one frame after the other, and one byte to see the end."""
    return max(min(left, room % _LARGE_FRAME or _LARGE_FRAME), 1)


def _header(entry: FileEntry) -> bytes:
    try:
        return member_header(entry.path, entry.size, entry.mode, entry.mtime)
    except TarFault as fault:
        raise ManifestInvalid(
            str(fault), path=entry.path, remedy="leave the file out, or change it"
        ) from fault
