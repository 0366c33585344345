"""Acts. How does a package become a bundle, the same bytes every time?

1. The payload is compressed frame by frame into a scratch file beside the output, so memory stays bounded.
2. The frame table goes into the manifest, the manifest is signed, and both become frame 0.
3. Frame 0 and the payload are written under a temporary name, synced, and renamed.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

from intact.bundle.head import head_bytes
from intact.bundle.manifest_text import parse_manifest, render_manifest
from intact.bundle.package import PackageSource
from intact.bundle.tarstream import END_OF_ARCHIVE, TarFault, member_header, padding
from intact.bundle.zstdframes import (
    MOST_HEADER_BYTES,
    FrameFault,
    GrowingFrame,
    compress_frame,
    parse_frame_header,
)
from intact.model.entries import Digest, FileEntry
from intact.model.errors import IntactError, ManifestInvalid, machine_error
from intact.model.limits import DEFAULT_LIMITS
from intact.model.manifest import Frame, PackageIdentity
from intact.model.values import dataclass, replace
from intact.system.hostfiles import replace_file, scratch_file, start_write_back
from intact.system.workers import Beside, in_order

__all__ = ["BuiltBundle", "SourceChanged", "build_bundle", "write_head"]

Signer = Callable[[bytes], bytes]
Piece = bytes | memoryview

_SMALL_FRAME = 1 << 20
_LARGE_FRAME = 4 << 20
_HEAD_LEVEL = 19
_HEAD_FALLBACK_LEVELS = (-5, -100)


class SourceChanged(IntactError):
    """A file was written to while the bundle was being built from it."""


@dataclass(frozen=True, slots=True)
class BuiltBundle:
    """What was built.

    Attributes:
        size: bytes of the bundle.
        content: bytes of the files in it.
        sha256: of the bundle file.
    """

    path: Path
    identity: PackageIdentity
    size: int
    content: int
    frames: int
    sha256: str


def build_bundle(
    source: PackageSource,
    output: Path | None = None,
    *,
    signers: Sequence[Signer] = (),
    level: int = 9,
    progress: Callable[[int], None] = lambda _count: None,
) -> BuiltBundle:
    """Build a bundle; it appears at `output` whole or not at all.

    Args:
        output: a file or a directory; None for the bundle's own name in the working directory.
        signers: each returns an armored signature over the exact manifest bytes.
        level: of zstd, 1 to 19.
        progress: called with the number of content bytes read since its last call.

    Raises:
        SourceChanged: a source is not what its digest said a moment ago.
        ManifestInvalid: an installer would refuse the result.
        MachineError: something could not be read or written.
    """
    path = _output_path(source.manifest.identity, output)
    with scratch_file(path.parent) as payload:
        try:
            frames = tuple(_write_frames(source, payload, level, progress))
        except OSError as error:
            raise machine_error("build", error, str(path)) from error
        manifest = replace(source.manifest, frames=frames)
        text = render_manifest(manifest)
        parse_manifest(text, str(path))  # what we would refuse to install is not published
        with replace_file(path) as file:
            write_head(file, text, [sign(text) for sign in signers])
            digest = _copy_payload(payload, file)
            size = file.tell()
    content = sum(entry.size for entry in manifest.entries if isinstance(entry, FileEntry))
    return BuiltBundle(path, manifest.identity, size, content, len(frames), digest)


def write_head(file: BinaryIO, manifest: bytes, signatures: Sequence[bytes]) -> None:
    """Write frame 0, at a level at which no reader takes it for a decompression bomb.

    Raises:
        ManifestInvalid: there is no such level.
    """
    content = head_bytes(manifest, signatures)
    for level in (_HEAD_LEVEL if len(manifest) < _SMALL_FRAME else 3, *_HEAD_FALLBACK_LEVELS):
        frame = compress_frame(content, level)
        if _is_accepted(frame):
            file.write(frame)
            return
    raise ManifestInvalid(
        "the manifest repeats itself so much that readers take it for a decompression bomb",
        remedy="look for large extended attributes",
    )


def _is_accepted(frame: bytes) -> bool:
    try:
        header = parse_frame_header(frame[:MOST_HEADER_BYTES])
        reading = GrowingFrame(header, largest_size=header.content_size, ratio=DEFAULT_LIMITS.head_ratio)
        reading.feed(frame)
    except FrameFault:
        return False
    return reading.complete


def _output_path(identity: PackageIdentity, output: Path | None) -> Path:
    # An epoch's colon would make tar take the name for a host, so it is written as in Debian's file names.
    name = identity.file_name.replace(":", "%3a")
    if output is None:
        return Path.cwd() / name
    return output / name if output.is_dir() else output.absolute()


def _write_frames(
    source: PackageSource, payload: BinaryIO, level: int, progress: Callable[[int], None]
) -> Iterator[Frame]:
    """Compress the archive on all processors, and write the frames in their order."""
    with closing(Beside()) as beside:
        works = (partial(_make_frame, pieces, level) for pieces in _cut(source, beside, progress))
        with closing(in_order(works)) as made:
            for stored, frame in made:
                payload.write(stored)
                yield frame


def _cut(
    source: PackageSource, beside: Beside, progress: Callable[[int], None]
) -> Iterator[tuple[Piece, ...]]:
    """Cut the archive into the content of frames: small files share one, a large file has several."""
    pending: list[Piece] = []
    size = 0
    for entry in source.manifest.entries:
        if not isinstance(entry, FileEntry):
            continue
        for piece in _member(source, entry, _LARGE_FRAME - size, beside, progress):
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


def _make_frame(pieces: tuple[Piece, ...], level: int) -> tuple[bytes, Frame]:
    content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    stored = compress_frame(content, level)
    return stored, Frame(len(stored), len(content), Digest(hashlib.sha256(stored).hexdigest()))


def _member(
    source: PackageSource, entry: FileEntry, room: int, beside: Beside, progress: Callable[[int], None]
) -> Iterator[bytes]:
    """Yield a member of the archive in pieces, as they fit into frames; the content is hashed meanwhile.

    Args:
        room: bytes that the frame still has, which is more than none.
    """
    header = _header(entry)
    yield header
    state, count = hashlib.sha256(), 0
    with _opened(source, entry) as content:
        while count <= entry.size:
            piece = content.read(_fitting(room - len(header) - count, entry.size - count))
            if not piece:
                break
            if entry.size > _SMALL_FRAME:
                beside.begin(partial(state.update, piece))
            else:
                state.update(piece)
            count += len(piece)
            progress(len(piece))
            yield piece
    beside.finish()
    if count != entry.size or state.hexdigest() != entry.digest:
        raise SourceChanged(
            "the file changed while the bundle was being built",
            path=entry.path,
            remedy="build again when nothing writes to it",
            root_state="no bundle was written",
        )
    if padding(entry.size):
        yield bytes(padding(entry.size))


def _fitting(room: int, left: int) -> int:
    """Return how much to read: what fills the frame, or one frame after the other, and one byte to see the end."""
    return max(min(left, room % _LARGE_FRAME or _LARGE_FRAME), 1)


def _header(entry: FileEntry) -> bytes:
    try:
        return member_header(entry.path, entry.size, entry.mode, entry.mtime)
    except TarFault as fault:
        raise ManifestInvalid(
            str(fault), path=entry.path, remedy="leave the file out, or split it"
        ) from fault


def _opened(source: PackageSource, entry: FileEntry) -> BinaryIO:
    try:
        return source.open_content(entry)
    except OSError as error:
        raise machine_error("open", error, entry.path) from error


def _copy_payload(payload: BinaryIO, file: BinaryIO) -> str:
    """Copy the payload behind the head, and return the digest of both."""
    file.seek(0)
    state = hashlib.sha256(file.read())
    payload.seek(0)
    with closing(Beside()) as beside:
        while piece := payload.read(_SMALL_FRAME):
            beside.begin(partial(state.update, piece))
            file.write(piece)
            start_write_back(file)
        beside.finish()
    return state.hexdigest()
