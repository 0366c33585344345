"""The tar stream is a function of the manifest, and other tools read it."""

import io
import tarfile  # reads what we wrote; nothing of ours reads a bundle with it

import pytest

from intact.bundle.tarstream import (
    BLOCK,
    END_OF_ARCHIVE,
    LARGEST_NUMBER,
    TarFault,
    layout,
    member_header,
    padding,
    size_in_header,
    stream_length,
)
from intact.model.entries import Digest, FileEntry
from intact.model.paths import RelPath

PLAIN = {
    "short": "a",
    "hundred_bytes": "d/" + "n" * 98,
    "name_and_prefix": "p" * 150 + "/" + "n" * 100,
    "largest_prefix": "p" * 77 + "/" + "q" * 77 + "/" + "n" * 100,
    "spaces_and_backslash": r"usr/lib/a b\x2dc.slice",
}
PAX = {
    "name_of_101_bytes": "n" * 101,
    "prefix_of_156_bytes": "p" * 78 + "/" + "q" * 77 + "/" + "n" * 100,
    "umlaut": "usr/share/ä/ö",
    "japanese": "usr/share/日本語",
    "longest": "/".join(["x" * 200] * 5),
    "record_length_gets_a_digit": "é" * 45 + "a",
}


def entry(path: str, size: int, mode: int = 0o644, mtime: int = 7) -> FileEntry:
    return FileEntry(RelPath(path), mode, "root", "root", mtime, size, Digest("0" * 64))


def read_back(blocks: bytes) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(blocks + END_OF_ARCHIVE)) as archive:
        return archive.getmembers()[0]


def test_a_plain_header_has_these_golden_bytes() -> None:
    block = member_header("usr/bin/hello", 1234, 0o755, 1_600_000_000)
    expected = bytearray(BLOCK)
    for at, text in (
        (0, b"usr/bin/hello"),
        (100, b"0000755\x00"),
        (108, b"0000000\x00"),
        (116, b"0000000\x00"),
        (124, b"00000002322\x00"),
        (136, b"13727410000\x00"),
        (148, b"011721\x00 "),
        (156, b"0"),
        (257, b"ustar\x0000"),
        (265, b"root"),
        (297, b"root"),
        (329, b"0000000\x00"),
        (337, b"0000000\x00"),
    ):
        expected[at : at + len(text)] = text
    assert block[:148] == bytes(expected[:148])
    assert block[156:] == bytes(expected[156:])
    expected[148:156] = b" " * 8
    assert block[148:156] == b"%06o\x00 " % sum(expected)


@pytest.mark.parametrize("path", PLAIN.values(), ids=PLAIN)
def test_a_path_that_fits_takes_one_block(path: str) -> None:
    blocks = member_header(path, 0, 0o644, 0)
    assert len(blocks) == BLOCK
    assert read_back(blocks).name == path


@pytest.mark.parametrize("path", PAX.values(), ids=PAX)
def test_any_other_path_gets_exactly_one_pax_record(path: str) -> None:
    blocks = member_header(path, 5, 0o600, 9)
    assert blocks[156:157] == b"x"
    pax_size = size_in_header(blocks)
    body = blocks[BLOCK : BLOCK + pax_size]
    assert body == b"%d path=%s\n" % (pax_size, path.encode())
    assert not blocks[BLOCK + pax_size : BLOCK + pax_size + padding(pax_size)].strip(b"\0")
    member = read_back(blocks + bytes(BLOCK))
    assert (member.name, member.size, member.mode, member.mtime) == (path, 5, 0o600, 9)


@pytest.mark.parametrize("length", range(85, 110))
def test_a_pax_record_counts_its_own_digits(length: int) -> None:
    assert read_back(member_header("é" + "x" * length, 0, 0o644, 0)).name == "é" + "x" * length


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1777, 0o7777])
def test_set_id_and_sticky_bits_never_reach_a_header(mode: int) -> None:
    assert member_header("a", 0, mode, 0) == member_header("a", 0, mode & 0o777, 0)


@pytest.mark.parametrize(("size", "mtime"), [(LARGEST_NUMBER, 0), (0, LARGEST_NUMBER)])
def test_the_largest_numbers_fit(size: int, mtime: int) -> None:
    block = member_header("a", size, 0o644, mtime)
    assert size_in_header(block) == size
    assert block[136:148] == b"%011o\0" % mtime


@pytest.mark.parametrize(
    ("size", "mtime"), [(LARGEST_NUMBER + 1, 0), (-1, 0), (0, LARGEST_NUMBER + 1), (0, -1)]
)
def test_larger_or_negative_numbers_are_refused(size: int, mtime: int) -> None:
    with pytest.raises(TarFault, match="does not fit"):
        member_header("a", size, 0o644, mtime)


HOSTILE_SIZES = {
    "underscore": b"0000000_012\0",
    "plus": b"+0000000012\0",
    "space": b" 0000000012\0",
    "eight": b"00000000018\0",
    "no_nul": b"000000000012",
    "base_256": b"\x80" + b"\0" * 10 + b"\x0a",
    "empty": b"\0" * 12,
}


@pytest.mark.parametrize("field", HOSTILE_SIZES.values(), ids=HOSTILE_SIZES)
def test_a_size_is_eleven_octal_digits_and_nothing_else(field: bytes) -> None:
    block = bytearray(member_header("a", 10, 0o644, 0))
    block[124:136] = field
    with pytest.raises(TarFault):
        size_in_header(bytes(block))


def test_a_cut_off_header_has_no_size() -> None:
    with pytest.raises(TarFault):
        size_in_header(member_header("a", 10, 0o644, 0)[:130])


@pytest.mark.parametrize(("size", "zeros"), [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)])
def test_padding_fills_the_last_block(size: int, zeros: int) -> None:
    assert padding(size) == zeros


def test_the_layout_says_where_everything_lies() -> None:
    files = [entry("a", 0), entry("b", 1), entry("n" * 101, 512), entry("ü" * 300, 513), entry("z", 3)]
    stream = b""
    for span in layout(files):
        header = member_header(span.entry.path, span.entry.size, span.entry.mode, span.entry.mtime)
        assert span.start == len(stream)
        assert span.content == span.start + len(header)
        stream += header + b"x" * span.entry.size + bytes(padding(span.entry.size))
        assert span.end == len(stream)
    assert stream_length(files) == len(stream + END_OF_ARCHIVE)
    with tarfile.open(fileobj=io.BytesIO(stream + END_OF_ARCHIVE)) as archive:
        assert [(one.name, one.size) for one in archive] == [(one.path, one.size) for one in files]


def test_no_files_still_make_an_archive() -> None:
    assert stream_length([]) == len(END_OF_ARCHIVE) == 1024
    assert list(layout([])) == []
