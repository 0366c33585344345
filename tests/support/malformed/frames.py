"""Malformed zstd frames: frame 0, which nobody has vouched for, and frames of the payload, whose digests are signed."""

import struct

import zstandard

from intact.bundle.head import MANIFEST_NAME
from intact.bundle.tarstream import member_header
from intact.bundle.zstdframes import ZSTD_MAGIC, compress_frame
from intact.model.manifest import Frame
from support.malformed.case import (
    STREAM,
    Case,
    bundle_of,
    frame_row,
    good_bundle,
    head_of,
    manifest_of,
    named,
)

__all__ = ["frame_cases"]

_SKIPPABLE = b"\x50\x2a\x4d\x18"
_CHECKSUM, _SINGLE = 0b100, 0b10_0000
_MIB = 1 << 20


def frame_cases() -> list[Case]:
    """Return all of them."""
    return [*_first_frames(), *_cut_ones(), *_payload_frames(), *_tables(), *_bombs()]


def _standard(content: bytes, **wishes: object) -> bytes:
    """Compress with other wishes than ours."""
    chosen = {"write_content_size": True, "write_checksum": True, **wishes}
    return zstandard.ZstdCompressor(**chosen).compress(content)  # type: ignore[arg-type]


def _streamed(content: bytes) -> bytes:
    """Compress without knowing the size."""
    worker = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return worker.compress(content) + worker.flush()


def _altered(frame: bytes, at: int, new: bytes) -> bytes:
    return frame[:at] + new + frame[at + len(new) :]


def _flagged(frame: bytes, flags: int) -> bytes:
    return _altered(frame, 4, bytes([frame[4] | flags]))


def _with_window(frame: bytes, window: int) -> bytes:
    """Give a one-segment frame with a two-byte size a window descriptor."""
    return frame[:4] + bytes([frame[4] & ~_SINGLE, window]) + frame[5:]


def _raw_blocks(content: bytes, size: int, *blocks: bytes) -> bytes:
    """Write a frame by hand: eight bytes of content size, then these blocks, then a checksum that nobody reaches."""
    header = ZSTD_MAGIC + bytes([0b1100_0000 | _CHECKSUM | _SINGLE]) + struct.pack("<Q", size)
    return header + b"".join(blocks) + content + bytes(4)


def _block(kind: int, size: int, content: bytes, *, last: bool = False) -> bytes:
    return ((size << 3) | (kind << 1) | int(last)).to_bytes(3, "little") + content


def _first_frames() -> list[Case]:
    good = good_bundle()
    text = manifest_of([frame_row(compress_frame(STREAM, 3), len(STREAM))])
    first = head_of(text)
    rest = good[len(first) :]
    plain = zstandard.ZstdDecompressor().decompress(first)
    sized = int.from_bytes(first[5:7], "little")
    dictionary = zstandard.ZstdCompressionDict(plain[:800], dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    unnamed = zstandard.ZstdCompressor(dict_data=dictionary, write_checksum=True).compress(plain)
    rows = [
        ("empty-file", b"", "the file is empty"),
        ("one-byte", b"\x28", "not a bundle"),
        ("magic-with-a-flipped-bit", _altered(good, 0, b"\x29"), "not a bundle"),
        ("magic-backwards", ZSTD_MAGIC[::-1] + good[4:], "not a bundle"),
        ("magic-of-version-0.1", b"\xfd\x2f\xb5\x1e" + good[4:], "not a bundle"),
        *[
            (f"magic-of-version-0.{two - 0x20}", bytes([two]) + good[1:], "not a bundle")
            for two in range(0x22, 0x28)
        ],
        ("magicless", good[4:], "not a bundle"),
        ("gzip", b"\x1f\x8b\x08\0" + good, "a gzip file"),
        ("xz", b"\xfd7zXZ\0" + good, "an xz file"),
        ("bzip2", b"BZh9" + good, "a bzip2 file"),
        ("zip", b"PK\x03\x04" + good, "a zip file"),
        ("lz4", b"\x04\x22\x4d\x18" + good, "not a bundle"),
        ("skippable-frame-first", _SKIPPABLE + bytes([4, 0, 0, 0]) + b"skip" + good, "not a bundle"),
        ("skippable-frame-only", _SKIPPABLE + bytes(4), "not a bundle"),
        ("zeros-first", bytes(512) + good, "not a bundle"),
        ("newline-first", b"\n" + good, "not a bundle"),
        ("uncompressed", plain + STREAM, "a plain tar archive"),
        ("empty-frame-first", _standard(b"") + good, "cut off"),
        ("reserved-bit", _flagged(first, 0b1000) + rest, "reserved bits"),
        ("unused-bit", _flagged(first, 0b1_0000) + rest, "reserved bits"),
        *[
            (f"dictionary-id-{code}", _flagged(first, code) + rest, "needs a dictionary")
            for code in (1, 2, 3)
        ],
        ("dictionary-without-id", unnamed + rest, "the head of the bundle is not in order"),
        ("no-checksum", _standard(plain, write_checksum=False) + rest, "has no checksum"),
        (
            "checksum-flag-cleared",
            _altered(first, 4, bytes([first[4] & ~_CHECKSUM])) + rest,
            "has no checksum",
        ),
        ("checksum-wrong", first[:-1] + bytes([first[-1] ^ 1]) + rest, "is damaged"),
        ("checksum-cut", first[:-4] + rest, "is damaged"),
        ("content-size-missing", _streamed(plain) + rest, "does not say its content size"),
        ("content-size-one-more", _altered(first, 5, struct.pack("<H", sized + 1)) + rest, "the zstd frame"),
        ("content-size-one-less", _altered(first, 5, struct.pack("<H", sized - 1)) + rest, "the zstd frame"),
        ("content-size-zero", _altered(first, 5, bytes(2)) + rest, "the zstd frame"),
        ("reserved-block-kind", _raw_blocks(b"", 9, _block(3, 9, bytes(9), last=True)) + rest, "damaged"),
        ("block-too-large", _raw_blocks(b"", 9, _block(0, 200_000, bytes(9), last=True)) + rest, "damaged"),
        (
            "second-frame-in-the-head",
            compress_frame(plain[:1024], 3) + compress_frame(plain[1024:], 3),
            "cut off",
        ),
        ("head-twice", first + first + rest, "frame 1 of 1 was altered"),
        (
            "skippable-frame-between",
            first + _SKIPPABLE + bytes([4, 0, 0, 0]) + b"skip" + rest,
            "something is hidden behind its head",
        ),
        ("byte-between", first + b"\0" + rest, "frame 1 of 1 was altered"),
        ("byte-behind", good + b"\0", "something follows the end"),
        ("zeros-behind", good + bytes(10240), "something follows the end"),
        ("skippable-frame-behind", good + _SKIPPABLE + bytes(4), "something follows the end"),
        ("empty-frame-behind", good + _standard(b""), "something follows the end"),
        ("frame-behind", good + compress_frame(STREAM, 3), "something follows the end"),
        ("bundle-twice", good + good, "something follows the end"),
    ]
    return named("sec_12", "frame-0", rows)


def _cut_ones() -> list[Case]:
    good = good_bundle()
    first = len(good) - len(compress_frame(STREAM, 3))
    edges = {
        "in-the-magic": (3, "not a bundle"),
        "behind-the-magic": (4, "header is cut off"),
        "behind-the-flags": (5, "header is cut off"),
        "in-the-content-size": (6, "header is cut off"),
        "behind-the-header": (7, "the zstd frame ends after 0"),
        "in-the-first-block": (40, "the zstd frame ends after"),
        "in-the-head": (first // 2, "the zstd frame ends after"),
        "in-the-checksum": (first - 2, "the zstd frame ends after"),
        "before-the-end-of-the-head": (first - 1, "the zstd frame ends after"),
        "behind-the-head": (first, "cut off"),
        "in-the-payload-magic": (first + 2, "cut off"),
        "in-the-payload": ((first + len(good)) // 2, "cut off"),
        "one-byte-short": (len(good) - 1, "cut off"),
    }
    return named("sec_12", "cut", [(name, good[:at], said) for name, (at, said) in edges.items()])


def _payload_frames() -> list[Case]:
    """One frame of the payload, whose digest and length are signed, and which is not what it should be."""
    right = compress_frame(STREAM, 3)
    plain = _standard(STREAM)
    stored = {
        "cut": (right[:-2], "frame 1 of 1: the zstd frame is damaged"),
        "without-checksum": (_standard(STREAM, write_checksum=False), "has no checksum"),
        "with-wrong-checksum": (right[:-1] + bytes([right[-1] ^ 1]), "is damaged"),
        "without-content-size": (_streamed(STREAM), "content size"),
        "with-trailing-byte": (right + b"\0", "is damaged"),
        "with-skippable-frame": (right + _SKIPPABLE + bytes(4), "is damaged"),
        "behind-skippable-frame": (_SKIPPABLE + bytes(4) + right, "cut off: frame 1 of 1"),
        "with-empty-frame": (right + _standard(b""), "is damaged"),
        "two-frames": (
            compress_frame(STREAM[:100], 3) + compress_frame(STREAM[100:], 3),
            "100 bytes instead of",
        ),
        "empty": (_standard(b""), "holds 0 bytes instead of"),
        "nothing": (b"", "no zstd frame here"),
        "legacy-magic": (b"\x27" + right[1:], "no zstd frame here"),
        "uncompressed": (STREAM, "no zstd frame here"),
        "one-byte-more": (compress_frame(STREAM + b"\0", 3), f"instead of {len(STREAM)}"),
        "one-byte-less": (compress_frame(STREAM[:-1], 3), f"instead of {len(STREAM)}"),
        "claims-less": (_altered(compress_frame(STREAM + b"\0", 3), 5, right[5:7]), "frame 1 of 1"),
        "claims-more": (_altered(compress_frame(STREAM[:-1], 3), 5, right[5:7]), "frame 1 of 1"),
        "reserved-bit": (_flagged(right, 0b1000), "reserved bits"),
        "unused-bit": (_flagged(right, 0b1_0000), "reserved bits"),
        "dictionary-id": (_flagged(right, 1), "needs a dictionary"),
        "large-window": (_with_window(plain, 14 << 3), "a window of 16777216 bytes"),
        "window-one-step-too-large": (_with_window(plain, (13 << 3) | 1), "a window of 9437184 bytes"),
    }
    rows = [
        (name, bundle_of(stored=[frame]), said) for name, (frame, said) in stored.items() if name != "nothing"
    ]
    rows.append(("nothing", bundle_of(stored=[b""]), stored["nothing"][1]))
    return named("sec_12", "payload-frame", rows)


def _table_bundle(rows: list[Frame], *frames: bytes) -> bytes:
    return head_of(manifest_of(rows)) + b"".join(frames)


def _tables() -> list[Case]:
    """A frame table that does not tell the truth."""
    half = [compress_frame(STREAM[:2000], 3), compress_frame(STREAM[2000:], 3)]
    true = [frame_row(half[0], 2000), frame_row(half[1], len(STREAM) - 2000)]
    whole = compress_frame(STREAM, 3)
    row = frame_row(whole, len(STREAM))
    longer = Frame(row.compressed + 1, row.size, row.digest)
    shorter = Frame(row.compressed - 1, row.size, row.digest)
    other = Frame(row.compressed, row.size, frame_row(b"other", 5).digest)
    moved = [
        Frame(true[0].compressed, 2001, true[0].digest),
        Frame(true[1].compressed, len(STREAM) - 2001, true[1].digest),
    ]
    rows = [
        ("frames-swapped", _table_bundle(true, half[1], half[0]), "frame 1 of 2"),
        ("first-frame-missing", _table_bundle(true, half[1]), "frame 1 of 2"),
        ("last-frame-missing", _table_bundle(true, half[0]), "cut off"),
        ("frame-doubled", _table_bundle(true, half[0], half[0], half[1]), "frame 2 of 2"),
        ("rows-swapped", _table_bundle(true[::-1], *half), "frame 1 of 2"),
        ("row-missing", _table_bundle(true[:1], *half), "add up to 2000 bytes"),
        ("row-doubled", _table_bundle([*true, true[1]], *half), "add up to"),
        ("no-rows", _table_bundle([], *half), "add up to 0 bytes"),
        ("sizes-moved-by-one", _table_bundle(moved, *half), "instead of 2001"),
        ("compressed-one-more", _table_bundle([longer], whole), "cut off"),
        ("compressed-one-less", _table_bundle([shorter], whole), "was altered"),
        ("digest-of-something-else", _table_bundle([other], whole), "was altered"),
        ("size-zero", _table_bundle([row, Frame(9, 0, row.digest)], whole), "no frame is empty"),
        (
            "compressed-beyond-its-bound",
            _table_bundle([Frame(9_000, row.size, row.digest)], whole),
            "any compressor",
        ),
        ("compressed-beyond-all", _table_bundle([Frame(2**40, row.size, row.digest)], whole), "out of range"),
        (
            "size-beyond-a-frame",
            _table_bundle([Frame(row.compressed, (16 << 20) + 1, row.digest)], whole),
            "out of range",
        ),
        (
            "size-of-2-to-the-64",
            _table_bundle([Frame(row.compressed, 2**64, row.digest)], whole),
            "out of range",
        ),
    ]
    return named("sec_12", "frame-table", rows)


def _bombs() -> list[Case]:
    """What would be far more than it is."""
    gibibyte = _standard(bytes(64 * _MIB))
    huge = member_header(MANIFEST_NAME, 256 * _MIB, 0o644, 0)
    right = compress_frame(STREAM, 3)
    repeated = b"".join(_block(1, 128 << 10, b"\0") for _ in range(20_000))
    claims = _raw_blocks(b"", 300 * _MIB, _block(1, 9, b"\0", last=True))
    windowed = (
        ZSTD_MAGIC + bytes([0b1100_0000 | _CHECKSUM, 13 << 3]) + struct.pack("<Q", 300 * _MIB) + bytes(9)
    )
    small_claim = _raw_blocks(b"", 1000, repeated)
    rows = [
        ("zeros-in-frame-0", gibibyte, "grows to more than 64 times"),
        ("manifest-of-zeros", _standard(huge + bytes(100 * _MIB)), "grows to more than 64 times"),
        ("blocks-of-one-byte", _raw_blocks(b"", 8 * _MIB, repeated), "grows to more than 64 times"),
        ("blocks-beyond-the-claim", small_claim, "is damaged"),
        ("claims-300-mib-with-a-small-window", windowed, "claims 314572800 bytes"),
        ("claims-300-mib", claims, "a window of 314572800 bytes"),
        ("claims-2-to-the-63", _raw_blocks(b"", 2**63), "is the most"),
        ("claims-2-to-the-64-less-1", _raw_blocks(b"", 2**64 - 1), "is the most"),
        ("claims-2-to-the-64-less-2", _raw_blocks(b"", 2**64 - 2), "is the most"),
        *[
            (f"window-log-{10 + log}", _with_window(right, log << 3), "wants a window of")
            for log in (14, 17, 21, 31)
        ],
        ("window-one-step-too-large", _with_window(right, (13 << 3) | 1), "wants a window of 9437184"),
        ("payload-frame-of-64-mib", bundle_of(stored=[gibibyte]), "holds 67108864 bytes instead of"),
        ("payload-frame-claims-less", bundle_of(stored=[small_claim]), "any compressor"),
        (
            "payload-frame-lies",
            bundle_of(stored=[_raw_blocks(b"", len(STREAM), repeated)]),
            "any compressor",
        ),
        (
            "payload-frame-lies-within-its-bound",
            bundle_of(stored=[_raw_blocks(b"", len(STREAM), repeated[:4000])]),
            "is damaged",
        ),
        ("payload-window", bundle_of(stored=[_with_window(right, 21 << 3)]), "wants a window of"),
    ]
    return named("sec_13", "bomb", rows)
