"""Pure. How is one zstd frame made, and how is one opened without trusting what it says?

python-zstandard is fail-open by default: readers end early without an error, trailing bytes are ignored, and
the window limit is not consulted when the content size is known. So the frame header is parsed here first,
and everything that it claims is compared with what was expected before the library sees a byte.
"""

from typing import Final

import zstandard

from intact.model.values import dataclass

__all__ = [
    "LARGEST_WINDOW",
    "LEAST_PADDING",
    "MOST_HEADER_BYTES",
    "ZSTD_MAGIC",
    "FrameFault",
    "FrameHeader",
    "GrowingFrame",
    "compress_bound",
    "compress_frame",
    "decompress_frame",
    "padding_frame",
    "padding_length",
    "parse_frame_header",
]

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
MOST_HEADER_BYTES: Final = 18
LEAST_PADDING: Final = 8
LARGEST_WINDOW: Final = 8 << 20
_LEAST_HEADER_BYTES: Final = 6
_WINDOW_LOG: Final = 23
_SKIPPABLE_MAGIC: Final = b"\x50\x2a\x4d\x18"

# One byte of input can make 128 KiB of output (an RLE block has four); 256 bytes make 8 MiB at most.
_SLICE: Final = 256
_FREE_GROWTH: Final = 1 << 20


class FrameFault(ValueError):
    """The bytes are not the zstd frame that was expected; the message says why."""


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What a frame claims.

    Attributes:
        window: bytes of history that its decoder needs.
        length: bytes of the header itself.
    """

    content_size: int
    window: int
    length: int


def parse_frame_header(start: bytes, *, largest_window: int = LARGEST_WINDOW) -> FrameHeader:
    """Read a frame header (RFC 8878, 3.1.1.1) and refuse all that our builder never writes.

    Args:
        start: the frame's first bytes, 18 of them unless it is shorter.

    Raises:
        FrameFault: another magic, cut off, no content size, no checksum, a dictionary, reserved bits, or a
            window above `largest_window`.
    """
    if not start.startswith(ZSTD_MAGIC):
        raise FrameFault("there is no zstd frame here")
    if len(start) < _LEAST_HEADER_BYTES:
        raise FrameFault("the zstd frame header is cut off")
    flags = start[4]
    if flags & 0b0001_1000:
        raise FrameFault("the zstd frame header has reserved bits")
    if flags & 0b0000_0011:
        raise FrameFault("the zstd frame needs a dictionary")
    if not flags & 0b0000_0100:
        raise FrameFault("the zstd frame has no checksum")
    return _parse_sizes(start, flags, largest_window)


def _parse_sizes(start: bytes, flags: int, largest_window: int) -> FrameHeader:
    single_segment = bool(flags & 0b0010_0000)
    size_code = flags >> 6
    if size_code == 0 and not single_segment:
        raise FrameFault("the zstd frame does not say its content size")
    size_bytes = 1 << size_code
    at = 5 if single_segment else 6
    if len(start) < at + size_bytes:
        raise FrameFault("the zstd frame header is cut off")
    content_size = int.from_bytes(start[at : at + size_bytes], "little") + (256 if size_code == 1 else 0)
    window = content_size
    if not single_segment:
        base = 1 << (10 + (start[5] >> 3))
        window = base + (base >> 3) * (start[5] & 7)
    if window > largest_window:
        raise FrameFault(f"the zstd frame wants a window of {window} bytes; {largest_window} is the most")
    return FrameHeader(content_size, window, at + size_bytes)


def compress_bound(size: int) -> int:
    """Return the most bytes that a frame of `size` bytes can take (ZSTD_COMPRESSBOUND and its header)."""
    return size + (size >> 8) + 64 + MOST_HEADER_BYTES


def compress_frame(content: bytes | bytearray | memoryview, level: int) -> bytes:
    """Compress `content` (at least one byte) into one frame with content size and checksum.

    The result depends on content, level and the version of libzstd alone.
    """
    standard = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(content))
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=len(content),
        window_log=min(standard.window_log, _WINDOW_LOG),
        write_content_size=True,
        write_checksum=True,
        write_dict_id=False,
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(content)


def padding_frame(length: int) -> bytes:
    """Return a frame of `length` bytes, 8 at least, that every decoder passes over (RFC 8878, 3.1.2); it holds zeros."""
    if length < LEAST_PADDING:
        raise ValueError(f"no frame has {length} bytes")
    content = length - LEAST_PADDING
    return _SKIPPABLE_MAGIC + content.to_bytes(4, "little") + bytes(content)


def padding_length(start: bytes) -> int:
    """Return how long the frame is that begins with these bytes, 8 at least, if it is one to be passed over; else 0."""
    if len(start) < LEAST_PADDING or not start.startswith(_SKIPPABLE_MAGIC):
        return 0
    return LEAST_PADDING + int.from_bytes(start[4:LEAST_PADDING], "little")


def decompress_frame(frame: bytes, size: int) -> bytes:
    """Return the content of exactly one frame that must have `size` bytes.

    The header is held against `size` first; then the library gets a buffer of that size and no way to
    make another one, so that a lying frame can't grow.

    Raises:
        FrameFault: anything else than one whole frame with a right checksum and this size.
    """
    header = parse_frame_header(frame[:MOST_HEADER_BYTES])
    if header.content_size != size:
        raise FrameFault(f"the zstd frame holds {header.content_size} bytes instead of {size}")
    try:
        content: bytes = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompress(
            frame, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise FrameFault(f"the zstd frame is damaged ({error})") from error
    if len(content) != size:
        raise FrameFault(f"the zstd frame gave {len(content)} bytes instead of {size}")
    return content


class GrowingFrame:
    """A frame whose end is found while it is fed; nobody has vouched for it yet.

    Its output may grow to `largest_size`, and beyond 1 MiB only to `ratio` times what was fed.
    """

    def __init__(self, header: FrameHeader, *, largest_size: int, ratio: int) -> None:
        """Begin; the frame's first bytes have been parsed, but not fed.

        Raises:
            FrameFault: the header claims more than `largest_size`.
        """
        if header.content_size > largest_size:
            raise FrameFault(f"the frame claims {header.content_size} bytes; {largest_size} is the most")
        self._claimed = header.content_size
        self._ratio = ratio
        self._decoder = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj()
        self._content = bytearray()
        self.fed = 0
        self.unused = b""
        self.complete = False

    def feed(self, chunk: bytes) -> None:
        """Take the next compressed bytes; when `complete`, the ones that follow the frame are in `unused`.

        Raises:
            FrameFault: the frame is damaged, or grows beyond its claim or its ceilings.
        """
        view = memoryview(chunk)
        while view and not self.complete:
            self._feed_slice(bytes(view[:_SLICE]))
            view = view[_SLICE:]
        if self.complete:
            self.unused += bytes(view)

    def _feed_slice(self, piece: bytes) -> None:
        try:
            self._content += self._decoder.decompress(piece)
        except zstandard.ZstdError as error:
            raise FrameFault(f"the zstd frame is damaged ({error})") from error
        self.complete = self._decoder.eof
        self.unused = self._decoder.unused_data if self.complete else b""
        self.fed += len(piece) - len(self.unused)
        if len(self._content) > self._claimed:
            raise FrameFault(f"the zstd frame holds more than the {self._claimed} bytes that it claims")
        if len(self._content) > max(_FREE_GROWTH, self._ratio * self.fed):
            raise FrameFault(f"the zstd frame grows to more than {self._ratio} times its size")

    def content(self) -> memoryview:
        """Return the whole content; not a copy, because it may be large and nobody has vouched for it.

        Raises:
            FrameFault: the frame is not complete, or has less than it claimed.
        """
        if not self.complete or len(self._content) != self._claimed:
            raise FrameFault(f"the zstd frame ends after {len(self._content)} of {self._claimed} bytes")
        return memoryview(self._content)
