"""Acts. How does a package become a bundle, the same bytes every time?

1. The payload is compressed frame by frame into a scratch file beside the output, so memory stays bounded.
2. The frame table goes into the manifest, the manifest is signed, and both become frame 0.
3. Frame 0 and the payload are written under a temporary name, synced, and renamed.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from intact.system.hostfiles import replace_file, scratch_file
from intact.system.workers import in_order

__all__ = ["BuiltBundle", "SourceChanged", "build_bundle", "write_head"]

Signer = Callable[[bytes], bytes]

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
            payload.seek(0)
        except OSError as error:
            raise machine_error("build", error, str(path)) from error
        manifest = replace(source.manifest, frames=frames)
        text = render_manifest(manifest)
        parse_manifest(text, str(path))  # what we would refuse to install is not published
        with replace_file(path) as file:
            write_head(file, text, [sign(text) for sign in signers])
            shutil.copyfileobj(payload, file, 1 << 20)
            size = file.tell()
            digest = _digest_of(file)
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
    works = (partial(_make_frame, content, level) for content in _cut(_archive(source, progress)))
    with closing(in_order(works)) as made:
        for stored, frame in made:
            payload.write(stored)
            yield frame


def _cut(archive: Iterable[bytes]) -> Iterator[bytes]:
    """Cut the archive into the content of frames: small files share one, a large file has several."""
    pending: list[bytes | memoryview] = []
    size = 0
    for piece in archive:
        rest = memoryview(piece)
        while size + len(rest) >= _LARGE_FRAME:
            fitting = _LARGE_FRAME - size
            yield b"".join((*pending, rest[:fitting]))
            pending, size, rest = [], 0, rest[fitting:]
        pending.append(rest)
        size += len(rest)
        if not piece and size >= _SMALL_FRAME:  # an empty piece marks the end of a file
            yield b"".join(pending)
            pending, size = [], 0
    yield b"".join((*pending, END_OF_ARCHIVE))


def _make_frame(content: bytes, level: int) -> tuple[bytes, Frame]:
    stored = compress_frame(content, level)
    return stored, Frame(len(stored), len(content), Digest(hashlib.sha256(stored).hexdigest()))


def _archive(source: PackageSource, progress: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the tar stream in pieces, an empty one behind each file, without its end."""
    for entry in source.manifest.entries:
        if not isinstance(entry, FileEntry):
            continue
        yield _header(entry)
        state, count = hashlib.sha256(), 0
        with _opened(source, entry) as content:
            while piece := content.read(_SMALL_FRAME):
                state.update(piece)
                count += len(piece)
                progress(len(piece))
                yield piece
        if count != entry.size or state.hexdigest() != entry.digest:
            raise SourceChanged(
                "the file changed while the bundle was being built",
                path=entry.path,
                remedy="build again when nothing writes to it",
                root_state="no bundle was written",
            )
        if padding(entry.size):
            yield bytes(padding(entry.size))
        yield b""


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


def _digest_of(file: BinaryIO) -> str:
    file.seek(0)
    state = hashlib.sha256()
    while chunk := file.read(1 << 20):
        state.update(chunk)
    return state.hexdigest()
