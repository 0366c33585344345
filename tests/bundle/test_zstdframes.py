"""One frame is opened only if it is exactly the one that was expected."""

import hashlib
import struct

import pytest
import zstandard

from intact.bundle.zstdframes import (
    LARGEST_WINDOW,
    FrameFault,
    GrowingFrame,
    compress_bound,
    compress_frame,
    decompress_frame,
    parse_frame_header,
)

TEXT = b"whole files only, " * 2000
FRAME = compress_frame(TEXT, 9)


def altered(**options: object) -> bytes:
    settings: dict[str, object] = {"write_checksum": True, "write_content_size": True, **options}
    return zstandard.ZstdCompressor(level=3, **settings).compress(TEXT)  # type: ignore[arg-type]


def skippable() -> bytes:
    return struct.pack("<II", 0x184D2A50, 4) + b"abcd"


@pytest.mark.parametrize("size", [1, 255, 256, 65_791, 65_792, 1 << 20, 5 << 20])
@pytest.mark.parametrize("level", [1, 9, 19])
def test_a_frame_gives_its_content_back(size: int, level: int) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    frame = compress_frame(content, level)
    header = parse_frame_header(frame)
    assert header.content_size == size
    assert header.length < len(frame) <= compress_bound(size)
    assert decompress_frame(frame, size) == content


def test_the_highest_level_stays_within_the_window() -> None:
    frame = compress_frame(bytes(20 << 20), 22)
    assert parse_frame_header(frame).window <= LARGEST_WINDOW
    assert decompress_frame(frame, 20 << 20) == bytes(20 << 20)


def test_the_same_content_makes_the_same_frame() -> None:
    assert compress_frame(bytearray(TEXT), 9) == compress_frame(memoryview(TEXT), 9) == FRAME


def test_incompressible_content_stays_below_the_bound() -> None:
    content = b"".join(hashlib.sha512(str(number).encode()).digest() for number in range(5000))
    assert len(compress_frame(content, 1)) <= compress_bound(len(content))


REFUSED = {
    "empty": b"",
    "other_magic": b"\x1f\x8b" + FRAME[2:],
    "legacy_magic": b"\x27" + FRAME[1:],
    "skippable_frame": skippable(),
    "skippable_frame_first": skippable() + FRAME,
    "no_checksum": altered(write_checksum=False),
    "no_content_size": altered(write_content_size=False),
    "two_frames": FRAME + FRAME,
    "trailing_byte": FRAME + b"\0",
    "trailing_skippable_frame": FRAME + skippable(),
    "last_byte_missing": FRAME[:-1],
    "checksum_missing": FRAME[:-4],
    "half": FRAME[: len(FRAME) // 2],
    "header_only": FRAME[:7],
    "wrong_checksum": FRAME[:-1] + bytes([FRAME[-1] ^ 1]),
    "reserved_bit": FRAME[:4] + bytes([FRAME[4] | 0x08]) + FRAME[5:],
    "unused_bit": FRAME[:4] + bytes([FRAME[4] | 0x10]) + FRAME[5:],
    "dictionary": FRAME[:4] + bytes([FRAME[4] | 0x01]) + FRAME[5:],
    "other_size": compress_frame(TEXT + b"x", 9),
}


def lying_frame(claim: int) -> bytes:
    """A frame of `TEXT` that claims another size."""
    size_at = parse_frame_header(FRAME)
    width = size_at.length - 5
    stored = claim - 256 if width == 2 else claim
    return FRAME[:5] + stored.to_bytes(width, "little") + FRAME[size_at.length :]


@pytest.mark.parametrize("frame", REFUSED.values(), ids=REFUSED)
def test_anything_but_the_one_expected_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(FrameFault):
        decompress_frame(frame, len(TEXT))


@pytest.mark.parametrize("claim", [300, len(TEXT) - 1, len(TEXT) + 1, 60_000])
def test_a_frame_that_lies_about_its_size_is_refused(claim: int) -> None:
    with pytest.raises(FrameFault, match="damaged"):
        decompress_frame(lying_frame(claim), claim)


def test_a_window_above_the_ceiling_is_refused_before_the_library_sees_it() -> None:
    frame = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(
            window_log=27, write_checksum=True, write_content_size=True
        )
    ).compress(bytes(200 << 20))
    with pytest.raises(FrameFault, match="window of 134217728 bytes"):
        parse_frame_header(frame)
    with pytest.raises(FrameFault, match="window"):
        decompress_frame(frame, 200 << 20)


@pytest.mark.parametrize("length", range(len(FRAME[:9])))
def test_a_header_that_is_cut_off_is_refused(length: int) -> None:
    if length >= parse_frame_header(FRAME).length:
        return
    with pytest.raises(FrameFault):
        parse_frame_header(FRAME[:length])


def test_a_header_whose_size_field_is_cut_off_is_refused() -> None:
    with pytest.raises(FrameFault, match="cut off"):
        parse_frame_header(FRAME[:4] + b"\xe4" + FRAME[5:9])


# --- a frame whose end is not known yet -----------------------------------------------------------------
def growing(frame: bytes, *, largest: int = 1 << 24, ratio: int = 64) -> GrowingFrame:
    return GrowingFrame(parse_frame_header(frame[:18]), largest_size=largest, ratio=ratio)


@pytest.mark.parametrize("piece", [1, 7, 255, 256, 257, 100_000])
def test_a_growing_frame_finds_its_end_and_keeps_what_follows(piece: int) -> None:
    grown = growing(FRAME)
    stored = FRAME + b"PAYLOAD"
    for at in range(0, len(stored), piece):
        grown.feed(stored[at : at + piece])
        if grown.complete:
            break
    assert grown.content() == TEXT
    assert grown.fed == len(FRAME)
    assert b"PAYLOAD".startswith(grown.unused)


def test_an_incomplete_growing_frame_has_no_content() -> None:
    grown = growing(FRAME)
    grown.feed(FRAME[:-1])
    assert not grown.complete
    with pytest.raises(FrameFault, match="ends after"):
        grown.content()


def test_a_growing_frame_may_not_claim_more_than_its_ceiling() -> None:
    with pytest.raises(FrameFault, match="is the most"):
        growing(FRAME, largest=len(TEXT) - 1)
    growing(FRAME, largest=len(TEXT))


def test_a_bomb_is_stopped_at_its_ratio() -> None:
    bomb = compress_frame(bytes(64 << 20), 9)
    grown = growing(bomb, largest=1 << 30)
    with pytest.raises(FrameFault, match="grows to more than 64 times"):
        grown.feed(bomb)
    assert len(grown._content) <= 10 << 20


def test_below_a_mebibyte_any_ratio_is_fine() -> None:
    frame = compress_frame(bytes(1 << 20), 19)
    grown = growing(frame, ratio=2)
    grown.feed(frame)
    assert grown.content() == bytes(1 << 20)


@pytest.mark.parametrize("claim", [300, len(TEXT) - 1, len(TEXT) + 1])
def test_a_growing_frame_that_lies_is_refused(claim: int) -> None:
    lying = lying_frame(claim)
    with pytest.raises(FrameFault):
        whole_content(growing(lying), lying)


def whole_content(grown: GrowingFrame, stored: bytes) -> bytes:
    grown.feed(stored)
    return bytes(grown.content())


def test_a_growing_frame_of_many_blocks_stops_at_its_claim() -> None:
    blocks = b"".join(hashlib.sha512(str(number).encode()).digest() for number in range(1 << 14))
    frame = bytearray(compress_frame(blocks, 1))
    header = parse_frame_header(bytes(frame[:18]))
    frame[header.length - 4 : header.length] = (300_000).to_bytes(4, "little")
    grown = growing(bytes(frame))
    with pytest.raises(FrameFault, match=r"damaged|holds more than"):
        grown.feed(bytes(frame))
    assert len(grown._content) < 300_000 + (256 << 10)


class FailsOpen:
    """A decompressor that returns less than it should, and says nothing."""

    def __init__(self, **_options: object) -> None:
        pass

    def decompress(self, _frame: bytes, **_options: object) -> bytes:
        return TEXT[:10]


def test_a_frame_of_another_size_never_reaches_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intact.bundle.zstdframes.zstandard.ZstdDecompressor", None)
    with pytest.raises(FrameFault, match=f"holds {len(TEXT)} bytes instead of {len(TEXT) - 1}"):
        decompress_frame(FRAME, len(TEXT) - 1)


def test_a_library_that_fails_open_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("intact.bundle.zstdframes.zstandard.ZstdDecompressor", FailsOpen)
    with pytest.raises(FrameFault, match="gave 10 bytes"):
        decompress_frame(FRAME, len(TEXT))


class GivesTooMuch(FailsOpen):
    """A decompressor that goes on past the size in the frame's header, and says nothing."""

    eof = False
    unused_data = b""

    def decompressobj(self) -> "GivesTooMuch":
        return self

    def decompress(self, _frame: bytes, **_options: object) -> bytes:
        return TEXT + b"!"


def test_a_library_that_gives_more_than_was_claimed_is_stopped_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("intact.bundle.zstdframes.zstandard.ZstdDecompressor", GivesTooMuch)
    with pytest.raises(FrameFault, match=f"holds more than the {len(TEXT)} bytes that it claims"):
        growing(FRAME).feed(FRAME)


def test_a_damaged_growing_frame_is_refused() -> None:
    damaged = FRAME[:-1] + bytes([FRAME[-1] ^ 1])
    with pytest.raises(FrameFault, match="damaged"):
        growing(damaged).feed(damaged)
