"""Acts. How does a package become a bundle, the same bytes every time?

1. The payload is compressed frame by frame onto the disk, so memory stays bounded.
2. The frame table and the digests of what was packed go into the manifest, it is signed, and both become frame 0.
3. Frame 0 and the payload are together under a temporary name, synced, and renamed.

How long frame 0 will be is known at the end only. Where room for the longest is next to nothing beside the content, the
payload is written behind that much room, and what remains of it is padded; else it is written into a scratch file, and
copied. Which of the two, and how much room, depends on what is built alone: the bytes are the same everywhere.
"""

import errno
import hashlib
import os
import shlex
import stat
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

from intact.bundle.acceptable import insist_on_acceptable, insist_on_acceptable_so_far
from intact.bundle.head import head_bytes
from intact.bundle.manifest_text import render_manifest
from intact.bundle.package import PackageSource
from intact.bundle.packing import most_frames, pack
from intact.bundle.zstdframes import (
    LEAST_PADDING,
    MOST_HEADER_BYTES,
    FrameFault,
    GrowingFrame,
    compress_bound,
    compress_frame,
    padding_frame,
    parse_frame_header,
)
from intact.model.entries import FileEntry
from intact.model.errors import ManifestInvalid, machine_error
from intact.model.limits import DEFAULT_LIMITS
from intact.model.manifest import Manifest, PackageIdentity
from intact.model.values import dataclass
from intact.system.hostfiles import append, append_file, insist_on_replaceable, replace_file, scratch_file
from intact.system.reading import digest_of
from intact.system.workers import Beside

__all__ = ["BuiltBundle", "build_bundle", "head_frame", "output_directory"]

Signer = Callable[[bytes], bytes]

_LARGE_MANIFEST = 1 << 20  # the highest level would take seconds
_HASHED = 1 << 20
_BLOCK = 4 << 10
_NEXT_TO_NOTHING = 1000  # the content has as many times the bytes
_FRAME_LINE = 128  # bytes that a frame takes in the manifest, at the most
_DIGEST = 64
_MEMBER = 1 << 10  # header and padding of a member of frame 0
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
    output: str | Path | None = None,
    *,
    signers: Sequence[Signer] = (),
    level: int = 9,
    digested: bool = True,
    progress: Callable[[int], None] = lambda _count: None,
) -> BuiltBundle:
    """Build a bundle; it appears at `output` whole or not at all.

    Args:
        output: a file, or a directory that is there (a text with a slash at its end is always one); None for the
            bundle's own name in the working directory.
        signers: each returns an armored signature over the exact manifest bytes.
        level: of zstd, 1 to 19.
        digested: the digest of the whole file is wanted, which takes as long as that of all its frames.
        progress: called with the number of content bytes read since its last call.

    Raises:
        SourceChanged: a source is not what its entry was made from a moment ago.
        ManifestInvalid: an installer would refuse the result; most of what it would is found before anything is packed.
        MachineError: something could not be read or written.
    """
    _insist_on_few(len(signers))
    path = _output_path(source.manifest.identity, output)
    insist_on_acceptable_so_far(source.manifest, str(path), DEFAULT_LIMITS)
    room = _room_for_head(source, len(signers))

    def head(manifest: Manifest) -> bytes:
        text = render_manifest(manifest)
        # What we would refuse to install is not published.
        insist_on_acceptable(text, str(path), DEFAULT_LIMITS)
        return head_frame(text, [sign(text) for sign in signers])

    with ExitStack() as stack:
        if room is None:
            payload = stack.enter_context(scratch_file(path.parent))
            manifest = _packed(path, source, payload.write, level, progress)
            first = head(manifest)
            file = stack.enter_context(replace_file(path))
            file.write(first)
            digest = _copy_payload(payload, file, digested=digested)
        else:
            file = stack.enter_context(replace_file(path))
            file.seek(room)
            manifest = _packed(path, source, partial(append, file), level, progress)
            first = head(manifest)
            file.seek(0)
            file.write(first + padding_frame(room - len(first)))
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            digest = digest_of(file.fileno(), size) if digested else None
        size = file.seek(0, os.SEEK_END)
    content = sum(entry.size for entry in manifest.entries if isinstance(entry, FileEntry))
    return BuiltBundle(path, manifest.identity, size, content, len(manifest.frames), digest)


def _room_for_head(source: PackageSource, signers: int) -> int | None:
    """Return the most bytes that frame 0 and its padding can take; None if that is more than next to nothing."""
    files = [entry for entry in source.manifest.entries if isinstance(entry, FileEntry)]
    content = sum(entry.size for entry in files)
    if len(source.manifest.entries) * _DIGEST * _NEXT_TO_NOTHING > content:  # to look closer would cost time
        return None
    manifest = len(render_manifest(source.manifest)) + sum(_DIGEST - len(entry.digest) for entry in files)
    manifest += most_frames(source) * _FRAME_LINE
    most = compress_bound(manifest + _MEMBER + signers * (DEFAULT_LIMITS.signature + _MEMBER)) + LEAST_PADDING
    room = -(-most // _BLOCK) * _BLOCK
    return room if room * _NEXT_TO_NOTHING <= content else None


def _packed(
    path: Path,
    source: PackageSource,
    write: Callable[[bytes], object],
    level: int,
    progress: Callable[[int], None],
) -> Manifest:
    try:
        return pack(source, write, level, progress)
    except OSError as error:
        raise machine_error("build", error, str(path)) from error


def head_frame(manifest: bytes, signatures: Sequence[bytes]) -> bytes:
    """Return frame 0, at a level at which no reader takes it for a decompression bomb.

    Raises:
        ManifestInvalid: there is no such level, or a signature is longer than readers accept.
    """
    _insist_on_few(len(signatures))
    if any(len(armor) > DEFAULT_LIMITS.signature for armor in signatures):
        raise ManifestInvalid(
            f"a signature has more than {DEFAULT_LIMITS.signature} bytes", remedy="sign it with another key"
        )
    content = head_bytes(manifest, signatures)
    for level in (_HEAD_LEVEL if len(manifest) < _LARGE_MANIFEST else 3, *_HEAD_FALLBACK_LEVELS):
        frame = compress_frame(content, level)
        if len(frame) > DEFAULT_LIMITS.head_compressed:
            raise ManifestInvalid(
                f"the manifest takes {len(frame)} bytes compressed, and readers accept {DEFAULT_LIMITS.head_compressed}",
                remedy="divide the package into several",
            )
        if _is_accepted(frame):
            return frame
    raise ManifestInvalid(
        "the manifest repeats itself so much that readers take it for a decompression bomb",
        remedy="look for large extended attributes",
    )


def _insist_on_few(signatures: int) -> None:
    if signatures > DEFAULT_LIMITS.signatures:
        raise ManifestInvalid(
            f"there are {signatures} signatures, and readers accept {DEFAULT_LIMITS.signatures}",
            remedy="sign with fewer keys",
        )


def _is_accepted(frame: bytes) -> bool:
    try:
        header = parse_frame_header(frame[:MOST_HEADER_BYTES])
        reading = GrowingFrame(header, largest_size=header.content_size, ratio=DEFAULT_LIMITS.head_ratio)
        reading.feed(frame)
    except FrameFault:
        return False
    return reading.complete


def output_directory(output: str | Path | None) -> Path:
    """Return the directory in which the bundle will be made; what is in its way is found here, before anything is read.

    Args:
        output: as for `build_bundle`.

    Raises:
        MachineError: there is no such directory, or it has something of that name that no file replaces.
    """
    directory, name = _place(output)
    if name is not None:
        insist_on_replaceable(directory / name)
    return directory


def _output_path(identity: PackageIdentity, output: str | Path | None) -> Path:
    directory, name = _place(output)
    # An epoch's colon would make tar take the name for a host, so it is written as in Debian's file names.
    path = directory / (name or identity.file_name.replace(":", "%3a"))
    insist_on_replaceable(path)
    return path


def _place(output: str | Path | None) -> tuple[Path, str | None]:
    """Return the directory of the bundle, which is there, and its name in it; None for the one of its package."""
    if output is None:
        return Path.cwd(), None
    path = Path(output)
    # Path forgets a slash at the end; who writes one means a directory, and wants no file of its name.
    if _is_directory(path) or str(output).endswith(("/", "/.")):
        directory, name = path, None
    else:
        directory, name = path.absolute().parent, path.name
    try:
        if not stat.S_ISDIR(directory.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except OSError as error:
        told = machine_error("look", error, str(directory))
        if error.errno == errno.ENOENT:
            told.remedy = f"make the directory (mkdir -p {shlex.quote(str(directory))}), then run the same command again"
        raise told from error
    return directory, name


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:  # whatever it is, a look at what is above it will tell
        return False


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
