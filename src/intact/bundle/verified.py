"""Acts. A bundle that a trusted key vouches for: what is in it, and its content, checked before it is used.

    bytes ── open_bundle ──► UnverifiedBundle ── verify ──► VerifiedBundle ── contents ──► files

The order is what keeps hostile bytes harmless: signatures over the manifest's exact bytes first; then the manifest
is parsed; then each frame's compressed bytes are held against the signed frame table, and only a frame that fits is
decompressed; then headers and padding are compared with the only ones that the manifest allows; at the end of each
file its digest.
"""

import hashlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import chain
from typing import final

from intact.bundle.entry_rules import is_privileged
from intact.bundle.read import UnverifiedBundle, damaged
from intact.bundle.reading import WHOLE, Reading, ReadManifest, read_manifest, read_whole
from intact.bundle.tarstream import END_OF_ARCHIVE, Span, member_header
from intact.bundle.zstdframes import FrameFault, decompress_frame
from intact.model.entries import FileEntry
from intact.model.errors import Untrusted
from intact.model.manifest import Frame, Manifest
from intact.model.paths import RelPath
from intact.model.times import utc_text
from intact.system.workers import Beside, in_order
from intact.trust.approval import Approval, approve, check_signatures
from intact.trust.store import HOOKS, PRIVILEGED, TrustStore

__all__ = ["VerifiedBundle", "verify"]

Piece = bytes | memoryview
_LARGE = 1 << 20  # bytes; less is taken as a whole, because to tell another thread takes longer than to hash


@final
class VerifiedBundle:
    """A bundle that may be installed; made by `verify` alone.

    Attributes:
        manifest: with all entries; or, if there is a `base`, with those that differ from it and what they depend on.
        manifest_bytes: exactly the bytes that were signed.
        base: the manifest that this one was compared with, by its digest, and how many entries that has.
        gone: paths that only `base` has.
        entries: number of all entries.
        size: bytes of all files.
    """

    def __init__(
        self, bundle: UnverifiedBundle, read: ReadManifest, approved: Callable[[Manifest], Approval]
    ) -> None:
        """Use `verify`: an `Approval` exists only for bytes that were checked, and for what was read of them."""
        self.name = bundle.name
        self.manifest = read.manifest
        self.manifest_bytes = bundle.manifest_bytes
        self.base = read.base
        self.gone = read.gone
        self.entries = read.entries
        self.size = read.size
        self.approval = approved(read.manifest)
        self._approved = approved
        self._bundle = bundle
        self._read = read

    def whole(self) -> "VerifiedBundle":
        """Return the same with all entries; only before any content was read.

        Raises:
            ManifestInvalid: what was not looked at is wrong.
            Untrusted: it gives rights that those who vouch for it may not give.
        """
        whole = read_whole(self.manifest_bytes, self.name, self._read.limits)
        return VerifiedBundle(self._bundle, whole, self._approved)

    @property
    def can_be_read_again(self) -> bool:
        """Tell whether `contents` can be called more than once, and in several processes: true of a file."""
        return self._bundle.can_be_read_again

    def contents(
        self, needed: Collection[RelPath]
    ) -> Generator[tuple[FileEntry, Iterator[Piece]], None, None]:
        """Yield the needed files in the order of the payload, each with its content in pieces.

        A frame that holds nothing needed is neither read (from a file) nor decompressed. Every yielded content has
        to be consumed before the next file. Of a pipe, this can be called once.

        Raises:
            BundleDamaged: bytes are missing, altered or too many.
        """
        if self.can_be_read_again:
            self._bundle.begin_again()
        wanted = [span for span in self._read.spans() if span.entry.path in needed]
        end = sum(frame.size for frame in self.manifest.frames) - len(END_OF_ARCHIVE)
        is_end_wanted = not wanted or wanted[-1].end == end
        marker = [(end, end + len(END_OF_ARCHIVE))] if is_end_wanted else []
        pieces = chain(((span.start, span.end) for span in wanted), marker)
        with (
            closing(_PayloadStream(self._bundle, self.manifest.frames, pieces)) as stream,
            closing(Beside()) as beside,
        ):
            yield from self._files(stream, wanted, beside)
            if is_end_wanted:
                stream.seek(end)
                if stream.take(len(END_OF_ARCHIVE)) != END_OF_ARCHIVE:
                    raise damaged(self.name, "the archive does not end with zeros")
            stream.finish()

    def _files(
        self, stream: "_PayloadStream", wanted: Iterable[Span], beside: Beside
    ) -> Iterator[tuple[FileEntry, Iterator[Piece]]]:
        for span in wanted:
            stream.seek(span.start)
            if span.entry.size > _LARGE:
                self._check_header(span, stream.take(span.content - span.start))
                yield span.entry, self._content(stream, span, beside)
            else:
                yield span.entry, self._small_content(span, stream.take(span.end - span.start))

    def _check_header(self, span: Span, header: Piece) -> None:
        entry = span.entry
        if bytes(header) != member_header(entry.path, entry.size, entry.mode, entry.mtime):
            raise damaged(
                self.name, f"the archive header of {entry.path} is not the one that its manifest demands"
            )

    def _small_content(self, span: Span, member: Piece) -> Iterator[Piece]:
        """Return the content of a file whose part of the archive is there as a whole."""
        start, size = span.content - span.start, span.entry.size
        self._check_header(span, member[:start])
        content = member[start : start + size]
        self._check_end(span, hashlib.sha256(content).hexdigest(), member[start + size :])
        return iter((content,) if size else ())

    def _content(self, stream: "_PayloadStream", span: Span, beside: Beside) -> Iterator[Piece]:
        """Yield the content of a file while it is hashed, and while whoever gets it writes it."""
        state = hashlib.sha256()
        left = span.entry.size
        while left:
            piece = stream.take_some(left)
            left -= len(piece)
            beside.begin(partial(state.update, piece))
            yield piece
        beside.finish()
        self._check_end(span, state.hexdigest(), stream.take(span.end - span.content - span.entry.size))

    def _check_end(self, span: Span, digest: str, behind: Piece) -> None:
        if digest != span.entry.digest:
            raise damaged(
                self.name, f"the content of {span.entry.path} does not have the digest of its manifest"
            )
        if bytes(behind).strip(b"\0"):
            raise damaged(self.name, f"something is hidden behind {span.entry.path}")

    def check_payload(self) -> None:
        """Read and check everything.

        Raises:
            BundleDamaged: as `contents`.
        """
        everything = {entry.path for entry in self.manifest.entries if isinstance(entry, FileEntry)}
        for _, pieces in self.contents(everything):
            for _piece in pieces:
                pass


class _PayloadStream:
    """The decompressed payload, from frames that were checked against the frame table.

    The frames that will be needed are read ahead of their use, and opened on all processors.
    """

    def __init__(
        self, bundle: UnverifiedBundle, frames: tuple[Frame, ...], pieces: Iterable[tuple[int, int]]
    ) -> None:
        """Begin.

        Args:
            pieces: parts of the stream that will be wanted: where each begins and ends, in order.
        """
        self._bundle = bundle
        self._frames = frames
        self._read = 0  # frames that were read or passed over in the file
        self._next = 0
        self._start = 0
        self._content = memoryview(b"")
        self._at = 0
        self._needed = frozenset(_overlapping(frames, pieces))
        self._opened = in_order(self._opening(sorted(self._needed)))

    def close(self) -> None:
        """End what is going on ahead."""
        self._opened.close()

    def seek(self, offset: int) -> None:
        """Go forward to an offset of the decompressed stream, over frames that are not needed."""
        while offset >= self._start + len(self._content):
            following = self._start + len(self._content)
            frame = self._frames[self._next]
            if offset >= following + frame.size:
                if self._next in self._needed:  # somebody has not consumed a content
                    next(self._opened)
                self._next += 1
                self._start, self._content = following + frame.size, memoryview(b"")
            else:
                self._load()
        self._at = offset - self._start

    def take(self, count: int) -> Piece:
        """Return exactly `count` bytes; the manifest was checked to have frames for all of them."""
        part = self.take_some(count)
        if len(part) == count:
            return part
        parts = [part]
        while count := count - len(part):
            part = self.take_some(count)
            parts.append(part)
        return b"".join(parts)

    def take_some(self, most: int) -> memoryview:
        """Return the next bytes, as many of `most` as the frame has; none only if none are wanted."""
        while most and self._at == len(self._content):
            self._load()
        part = self._content[self._at : self._at + most]
        self._at += len(part)
        return part

    def _load(self) -> None:
        self._start += len(self._content)
        self._content = memoryview(next(self._opened))
        self._next += 1
        self._at = 0

    def _opening(self, needed: Iterable[int]) -> Iterator[Callable[[], bytes]]:
        """Name the needed frames one after the other, pass over the others, and leave the rest to `_open_frame`."""
        for number in needed:
            for frame in self._frames[self._read : number]:
                self._bundle.skip(frame.compressed)
            frame = self._frames[number]
            stored = self._bundle.reader(frame.compressed)
            self._read = number + 1
            place = f"frame {number + 1} of {len(self._frames)}"
            yield partial(_open_frame, stored, frame, self._bundle.name, place)

    def finish(self) -> None:
        """Make sure that the file ends where its frame table says."""
        for frame in self._frames[self._read : -1]:
            self._bundle.skip(frame.compressed)
        if self._read < len(self._frames):
            last = self._frames[-1]
            if len(self._bundle.read(last.compressed)) != last.compressed:
                raise damaged(self._bundle.name, "it is cut off at its end")
        if self._bundle.read(1):
            raise damaged(self._bundle.name, "something follows the end of the bundle")


def _overlapping(frames: Iterable[Frame], pieces: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Number the frames that hold a part of one of the pieces."""
    left = iter(pieces)
    piece = next(left, None)
    start = 0
    for number, frame in enumerate(frames):
        end = start + frame.size
        while piece is not None and piece[1] <= start:
            piece = next(left, None)
        if piece is None:
            return
        if piece[0] < end:
            yield number
        start = end


def _open_frame(read: Callable[[], bytes], frame: Frame, name: str, place: str) -> bytes:
    """Hold a frame against the table, and only then decompress it."""
    stored = read()
    if len(stored) != frame.compressed:
        raise damaged(name, f"it is cut off: {place} has {len(stored)} of {frame.compressed} bytes")
    if hashlib.sha256(stored).hexdigest() != frame.digest:
        raise damaged(name, f"{place} was altered: it does not have the digest of the frame table")
    try:
        return decompress_frame(stored, frame.size)
    except FrameFault as fault:
        raise damaged(name, f"{place}: {fault}") from fault


def verify(
    bundle: UnverifiedBundle,
    store: TrustStore,
    *,
    now: int,
    allow_unsigned: bool = False,
    allow_expired: bool = False,
    reading: Reading = WHOLE,
) -> VerifiedBundle:
    """Check who vouches for a bundle, and only then read its manifest.

    Args:
        now: seconds since 1970, for keys and bundles with a period of validity.
        allow_expired: take a bundle whose publisher says that it is too old by now.

    Raises:
        Untrusted: too few of those whom this root trusts for this package vouch for it, or it has expired.
        ManifestInvalid, FeatureUnknown: it is vouched for, and still cannot be used.
    """
    valid = check_signatures(
        bundle.manifest_bytes,
        bundle.signatures,
        store,
        now=now,
        name=bundle.name,
        allow_unsigned=allow_unsigned,
    )

    def approved(manifest: Manifest) -> Approval:
        privileged = any(is_privileged(entry) for entry in manifest.entries)
        roles = [*([PRIVILEGED] if privileged else []), *([HOOKS] if manifest.hooks else [])]
        return approve(valid, manifest.identity, roles, needed=store.needed(manifest.identity.name))

    verified = VerifiedBundle(bundle, read_manifest(bundle.manifest_bytes, bundle.name, reading), approved)
    expires = verified.manifest.expires
    if expires is not None and now > expires and not allow_expired:
        raise Untrusted(
            f"the bundle has expired (at {utc_text(expires)}; this machine's clock says {utc_text(now)})",
            path=bundle.name,
            remedy="get the newest bundle from its publisher; if the clock is wrong, set it;"
            " or take the risk with --allow-expired",
        )
    return verified
