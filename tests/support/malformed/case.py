"""What a malformed bundle is made of: a good one, taken apart, whose parts can be replaced and signed again.

Most cases are signed with the key that the root trusts. So what comes after the signature check is reached, and
the whole of the reader is tried, not only its first line.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from intact.bundle.head import head_bytes
from intact.bundle.manifest_text import render_manifest
from intact.bundle.tarstream import member_header, padding
from intact.bundle.zstdframes import compress_frame
from intact.model.entries import Digest
from intact.model.manifest import Frame
from support.bundle_parts import MTIME, fixed_key, make_source

__all__ = [
    "FILES",
    "KEY",
    "LONG_FILES",
    "STREAM",
    "Case",
    "bundle_of",
    "frame_row",
    "good_bundle",
    "head_of",
    "manifest_of",
    "named",
    "stream_of",
]

KEY: Final = fixed_key(7)
"""The key that the root trusts."""

FILES: Final = {"usr/share/m/a": b"x" * 3000, "usr/share/m/b": b""}
LONG_FILES: Final = {"usr/share/" + "ü" * 90: b"y" * 10}
"""A name that needs a pax record."""


@dataclass(frozen=True)
class Case:
    """A malformed bundle.

    Attributes:
        name: which also is its file name.
        kind: the requirement that refuses it, such as ``sec_12``.
        said: what the error has to say, so that each case is refused for its own reason.
    """

    name: str
    kind: str
    content: bytes
    said: str
    code: int = 3


def named(kind: str, prefix: str, rows: Iterable[tuple[str, bytes, str]]) -> list[Case]:
    """Make cases of (name, content, what is said)."""
    return [Case(f"{prefix}-{name}", kind, content, said) for name, content, said in rows]


def stream_of(files: dict[str, bytes]) -> bytes:
    """Return the archive of these files, without its end."""
    parts = []
    for path, data in sorted(files.items()):
        parts += [member_header(path, len(data), 0o644, MTIME), data, bytes(padding(len(data)))]
    return b"".join(parts)


STREAM: Final = stream_of(FILES) + bytes(1024)
"""The right archive: header at 0, content at 512, padding at 3512, the second header at 3584, the end at 4096."""


def frame_row(stored: bytes, size: int) -> Frame:
    """Return what the frame table truthfully says of a frame."""
    return Frame(len(stored), size, Digest(hashlib.sha256(stored).hexdigest()))


def manifest_of(frames: Sequence[Frame], files: dict[str, bytes] | None = None) -> bytes:
    """Return the manifest of a package with these files and this frame table."""
    source = make_source(FILES if files is None else files, name="malformed")
    return render_manifest(replace(source.manifest, frames=tuple(frames)))


def head_of(manifest: bytes, signatures: Sequence[bytes] | None = None) -> bytes:
    """Return frame 0, signed with the trusted key unless other signatures are given."""
    return compress_frame(head_bytes(manifest, [KEY.sign(manifest)] if signatures is None else signatures), 3)


def bundle_of(
    stream: bytes = STREAM,
    cuts: Sequence[int] = (),
    *,
    files: dict[str, bytes] | None = None,
    stored: Sequence[bytes] | None = None,
) -> bytes:
    """Return a signed bundle whose frame table is true.

    Args:
        stream: what its frames hold; its manifest speaks of `files`.
        cuts: where the stream is cut into frames.
        stored: the frames' bytes, if they are not what a compressor makes.
    """
    pieces = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
    frames = [compress_frame(piece, 3) for piece in pieces] if stored is None else list(stored)
    table = [frame_row(frame, len(piece)) for frame, piece in zip(frames, pieces, strict=True)]
    return head_of(manifest_of(table, files)) + b"".join(frames)


def good_bundle() -> bytes:
    """Return the bundle that all cases begin with; it has nothing wrong."""
    return bundle_of()
