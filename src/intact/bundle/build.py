"""Acts. How does a package become a bundle, the same bytes every time?

1. The payload is compressed frame by frame into a scratch file beside the output, so memory stays bounded.
2. The frame table and the digests of what was packed go into the manifest, it is signed, and both become frame 0.
3. Frame 0 and the payload are written under a temporary name, synced, and renamed.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

from intact.bundle.head import head_bytes
from intact.bundle.manifest_text import parse_manifest, render_manifest
from intact.bundle.package import PackageSource
from intact.bundle.packing import pack
from intact.bundle.zstdframes import (
    MOST_HEADER_BYTES,
    FrameFault,
    GrowingFrame,
    compress_frame,
    parse_frame_header,
)
from intact.model.entries import FileEntry
from intact.model.errors import ManifestInvalid, machine_error
from intact.model.limits import DEFAULT_LIMITS
from intact.model.manifest import PackageIdentity
from intact.model.values import dataclass
from intact.system.hostfiles import append_file, replace_file, scratch_file
from intact.system.workers import Beside

__all__ = ["BuiltBundle", "build_bundle", "write_head"]

Signer = Callable[[bytes], bytes]

_LARGE_MANIFEST = 1 << 20  # the highest level would take seconds
_HASHED = 1 << 20
_HEAD_LEVEL = 19
_HEAD_FALLBACK_LEVELS = (-5, -100)


@dataclass(frozen=True, slots=True)
class BuiltBundle:
    """What was built.

    Attributes:
        size: bytes of the bundle.
        content: bytes of the files in it.
        sha256: of the bundle file, if somebody wants it.
    """

    path: Path
    identity: PackageIdentity
    size: int
    content: int
    frames: int
    sha256: str | None


def build_bundle(
    source: PackageSource,
    output: Path | None = None,
    *,
    signers: Sequence[Signer] = (),
    level: int = 9,
    digested: bool = True,
    progress: Callable[[int], None] = lambda _count: None,
) -> BuiltBundle:
    """Build a bundle; it appears at `output` whole or not at all.

    Args:
        output: a file or a directory; None for the bundle's own name in the working directory.
        signers: each returns an armored signature over the exact manifest bytes.
        level: of zstd, 1 to 19.
        digested: the digest of the whole file is wanted, which takes as long as that of all its frames.
        progress: called with the number of content bytes read since its last call.

    Raises:
        SourceChanged: a source is not what its entry was made from a moment ago.
        ManifestInvalid: an installer would refuse the result.
        MachineError: something could not be read or written.
    """
    path = _output_path(source.manifest.identity, output)
    with scratch_file(path.parent) as payload:
        try:
            manifest = pack(source, payload, level, progress)
        except OSError as error:
            raise machine_error("build", error, str(path)) from error
        text = render_manifest(manifest)
        parse_manifest(text, str(path))  # what we would refuse to install is not published
        with replace_file(path) as file:
            write_head(file, text, [sign(text) for sign in signers])
            digest = _copy_payload(payload, file, digested=digested)
            size = file.tell()
    content = sum(entry.size for entry in manifest.entries if isinstance(entry, FileEntry))
    return BuiltBundle(path, manifest.identity, size, content, len(manifest.frames), digest)


def write_head(file: BinaryIO, manifest: bytes, signatures: Sequence[bytes]) -> None:
    """Write frame 0, at a level at which no reader takes it for a decompression bomb.

    Raises:
        ManifestInvalid: there is no such level.
    """
    content = head_bytes(manifest, signatures)
    for level in (_HEAD_LEVEL if len(manifest) < _LARGE_MANIFEST else 3, *_HEAD_FALLBACK_LEVELS):
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


def _copy_payload(payload: BinaryIO, file: BinaryIO, *, digested: bool) -> str | None:
    """Copy the payload behind the head, and return the digest of both, if it is wanted."""
    if not digested:
        append_file(payload, file)
        return None
    file.seek(0)
    state = hashlib.sha256(file.read())
    payload.flush()
    with closing(Beside()) as beside:
        beside.begin(partial(_hash_all, payload.fileno(), state.update))
        append_file(payload, file)
        beside.finish()
    return state.hexdigest()


def _hash_all(fd: int, update: Callable[[bytes], None]) -> None:
    at = 0
    while piece := os.pread(fd, _HASHED, at):
        update(piece)
        at += len(piece)
