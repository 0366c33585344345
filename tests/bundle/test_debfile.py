"""The container of a Debian package: its parts, their compression, and all the ways to be cut off."""

import bz2
import gzip
import io
import lzma
import os
import resource
import subprocess
import sys
import tarfile  # makes packages for the tests
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from intact.bundle import deb as deb_module
from intact.bundle.deb import read_deb
from intact.bundle.debfile import Part, Slice, decompressed, open_parts
from intact.model.entries import HardlinkEntry
from intact.model.errors import BundleDamaged, MachineError, ManifestInvalid
from intact.model.limits import Limits
from support.debian import CONTROL, ar, directory, file, tar

CONTENT = b"content " * 20_000
CONTROL_TAR = tar([file("./control", CONTROL.encode())])
DATA_TAR = tar([directory("./usr/"), file("./usr/one", CONTENT), file("./usr/two", os.urandom(9000))])


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".lzma": lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE),
    ".bz2": bz2.compress,
    ".zst": zstd,
}
TWICE: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda content: gzip.compress(content[:999]) + gzip.compress(content[999:]),
    ".xz": lambda content: lzma.compress(content[:999]) + lzma.compress(content[999:]),
    ".bz2": lambda content: bz2.compress(content[:999]) + bz2.compress(content[999:]),
    ".zst": lambda content: zstd(content[:999]) + zstd(content[999:]),
}


@pytest.fixture(autouse=True)
def _in_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def package(data: bytes, way: str = "", control: bytes | None = None) -> bytes:
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", gzip.compress(CONTROL_TAR) if control is None else control),
            (f"data.tar{way}", data),
        ]
    )


def paths_of(stored: bytes) -> list[str]:
    """Read a package and all of its content."""
    Path("tool.deb").write_bytes(stored)
    with read_deb(Path("tool.deb")) as source:
        return [str(entry.path) for entry in source.manifest.entries]


def refused(stored: bytes) -> str:
    with pytest.raises(BundleDamaged) as caught:
        paths_of(stored)
    assert caught.value.path == "tool.deb"
    assert caught.value.remedy
    assert [one.name for one in Path().iterdir()] == ["tool.deb"]  # the spool has no name
    return caught.value.message


# --- compression ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", WAYS)
def test_each_compression_is_read(way: str) -> None:
    control = WAYS[way](CONTROL_TAR)
    stored = ar(
        [("debian-binary", b"2.0\n"), (f"control.tar{way}", control), (f"data.tar{way}", WAYS[way](DATA_TAR))]
    )
    assert paths_of(stored) == ["usr", "usr/one", "usr/two"]


@pytest.mark.parametrize("way", TWICE)
def test_several_streams_after_each_other_are_one(way: str) -> None:
    assert paths_of(package(TWICE[way](DATA_TAR), way)) == ["usr", "usr/one", "usr/two"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_compressed_part_that_is_cut_off_is_never_taken_for_a_whole_one(way: str, share: float) -> None:
    whole = WAYS[way](DATA_TAR)
    assert refused(package(whole[: int(len(whole) * share)], way))


@pytest.mark.parametrize("way", [".gz", ".xz", ".bz2", ".zst"])
def test_a_part_whose_last_byte_is_missing_is_refused(way: str) -> None:
    assert refused(package(WAYS[way](DATA_TAR)[:-1], way))


@pytest.mark.parametrize("way", [".gz", ".xz", ".bz2", ".zst"])
def test_a_flipped_bit_inside_a_part_is_noticed(way: str) -> None:
    whole = bytearray(WAYS[way](DATA_TAR))
    whole[len(whole) // 2] ^= 1
    assert refused(package(bytes(whole), way))


@pytest.mark.parametrize("way", [".gz", ".xz", ".bz2", ".zst"])
def test_a_part_that_is_not_compressed_as_its_name_says_is_refused(way: str) -> None:
    assert refused(package(DATA_TAR, way))


@pytest.mark.parametrize("way", [".gz", ".xz", ".bz2", ".zst"])
def test_a_bomb_is_read_in_bounded_pieces(way: str) -> None:
    size = 64 << 20
    bomb = WAYS[way](bytes(size))
    with decompressed(Part(f"data.tar{way}", io.BytesIO(bomb), 0, len(bomb)), "bomb") as stream:
        total = 0
        while piece := stream.read(100_000):
            assert len(piece) <= 100_000
            total += len(piece)
    assert total == size


def test_xz_takes_no_more_memory_than_its_highest_level() -> None:
    whole = lzma.compress(DATA_TAR, preset=9)
    assert paths_of(package(whole, ".xz")) == ["usr", "usr/one", "usr/two"]
    huge = lzma.compress(DATA_TAR, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}])
    assert "emory usage limit" in refused(package(huge, ".xz"))


def test_zeros_between_streams_of_xz_are_passed_over_and_nothing_else_is() -> None:
    first, second = lzma.compress(DATA_TAR[:999]), lzma.compress(DATA_TAR[999:])
    for zeros in (4, 200_000):
        assert paths_of(package(first + bytes(zeros) + second + bytes(zeros), ".xz")) == [
            "usr",
            "usr/one",
            "usr/two",
        ]
    assert refused(package(first + second + b"x", ".xz"))


@pytest.mark.parametrize("value", ["inf", "1e400"])
def test_a_time_without_end_is_refused(value: str) -> None:
    member = tarfile.TarInfo("./usr/one")
    member.pax_headers = {"mtime": value}
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member)
    assert refused(package(stored.getvalue()))


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g", b"X"])
def test_a_header_that_would_fill_the_memory_is_refused_unread(kind: bytes) -> None:
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = kind, 1 << 34
    told = refused(package(long.tobuf(tarfile.GNU_FORMAT) + DATA_TAR))
    assert "a header has 17179869184 bytes, and 1048576 is the most, at byte 0 of the archive" in told


_READ_WITH_LITTLE_MEMORY = """
from pathlib import Path
from intact.bundle.deb import read_deb
from intact.model.errors import IntactError
from intact.system.memory import memory_limited
try:
    with memory_limited(8 << 20), read_deb(Path("tool.deb")):
        pass
except IntactError as error:
    print(type(error).__name__, error)
    print(error.remedy)
"""


def test_a_package_that_there_is_no_memory_for_is_not_called_damaged() -> None:
    large = tar([file("./control", CONTROL.encode()), file("./conffiles", bytes(30 << 20))])
    Path("tool.deb").write_bytes(package(DATA_TAR, control=gzip.compress(large, 1)))
    # A process of its own: this one may have memory left that was given back to it.
    told = subprocess.check_output([sys.executable, "-c", _READ_WITH_LITTLE_MEMORY], text=True).splitlines()
    assert told[0] == "MachineError tool.deb: unpack: ENOMEM (Cannot allocate memory)"
    assert "ulimit -v" in told[1]


def test_more_content_than_a_bundle_may_have_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb_module, "DEFAULT_LIMITS", replace(Limits(), content=len(CONTENT) + 9000))
    assert "usr/two" in paths_of(package(DATA_TAR))
    header = tarfile.TarInfo("./usr/zeros")
    header.size = 1  # its content is missing: who unpacked it would call the package cut off
    beyond = DATA_TAR[: DATA_TAR.rindex(b"ustar") // 512 * 512 + 512 + 9216] + header.tobuf()
    Path("tool.deb").write_bytes(package(beyond))
    with pytest.raises(
        ManifestInvalid, match="more than 169000 bytes together, and a bundle may not"
    ) as caught:
        paths_of(Path("tool.deb").read_bytes())
    assert (caught.value.path, bool(caught.value.remedy)) == ("tool.deb", True)


def test_more_entries_than_a_bundle_may_have_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["./", "./a/", "./b/"]
    data = tar(map(directory, names))
    monkeypatch.setattr(deb_module, "DEFAULT_LIMITS", replace(Limits(), entries=2))
    assert paths_of(package(data)) == ["a", "b"]
    beyond = tar(map(directory, [*names, "./c/"]))[: 4 * 512]  # who read on would call the package cut off
    Path("tool.deb").write_bytes(package(beyond))
    with pytest.raises(ManifestInvalid, match="it has more than 2 entries, and a bundle may not"):
        paths_of(Path("tool.deb").read_bytes())


def test_thousands_of_long_names_one_after_the_other_are_refused() -> None:
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = b"L", 2
    assert refused(package((long.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")) * 3000 + DATA_TAR))


def test_a_long_chain_of_hardlinks_is_gone_along_once() -> None:
    count = 20_000  # one by one, and each to its end, this would take half a minute
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number in range(count):
            link = tarfile.TarInfo(f"./l{number:06}")
            link.type, link.linkname = tarfile.LNKTYPE, f"./l{number + 1:06}"
            archive.addfile(link)
        archive.addfile(tarfile.TarInfo(f"./l{count:06}"))
    Path("tool.deb").write_bytes(package(stored.getvalue()))
    with read_deb(Path("tool.deb")) as source:
        links = [one for one in source.manifest.entries if isinstance(one, HardlinkEntry)]
    assert len(links) == count
    assert {one.target for one in links} == {f"l{count:06}"}


# --- tar --------------------------------------------------------------------------------------------------
def test_tar_headers_that_are_damaged_do_not_end_the_archive_in_silence() -> None:
    second = DATA_TAR.index(b"./usr/two")
    for damage in (b"\xff", b"\0"):
        broken = DATA_TAR[:second] + damage + DATA_TAR[second + 1 :]
        assert f"bad checksum, at byte {second} of the archive" in refused(package(broken))


def test_a_header_of_zeros_hides_nothing() -> None:
    second = DATA_TAR.index(b"./usr/two")
    broken = DATA_TAR[:second] + bytes(512) + DATA_TAR[second + 512 :]
    assert refused(package(broken)) == "something follows the end of data.tar"


@pytest.mark.parametrize("kept", [512, 1024, 1536, 512 * 100])
def test_an_archive_without_its_end_is_refused(kept: int) -> None:
    assert refused(package(DATA_TAR[:kept]))


def test_an_archive_that_lacks_only_the_blocks_of_zeros_is_refused() -> None:
    end = len(DATA_TAR.rstrip(b"\0"))
    assert "empty header" in refused(package(DATA_TAR[: end + -end % 512]))


def test_a_package_without_files_is_a_package() -> None:
    assert paths_of(package(tar([directory("./")]))) == []
    assert paths_of(package(tar([]))) == []


# --- ar ---------------------------------------------------------------------------------------------------
GOOD = package(DATA_TAR)
BINARY, SOUND = (
    ("debian-binary", b"2.0\n"),
    [("control.tar.gz", gzip.compress(CONTROL_TAR)), ("data.tar", DATA_TAR)],
)


def test_members_of_other_tools_and_the_old_form_of_names_are_fine() -> None:
    signed = ar([("debian-binary/", b"2.0\n"), ("_gpgbuilder", b"x"), *SOUND, ("_gpgorigin", b"sig")])
    assert paths_of(signed) == ["usr", "usr/one", "usr/two"]
    assert paths_of(ar([("debian-binary", b"2.1\nmore\n"), *SOUND])) == ["usr", "usr/one", "usr/two"]


def lines(members: Iterable[tuple[str, bytes]]) -> bytes:
    return ar(members)


OTHER_FILES = {
    "empty": (b"", "the file is empty"),
    "text": (b"hello\n", "not a Debian package"),
    "zip": (b"PK\3\4" + bytes(100), "not a Debian package"),
    "a bundle": (zstd(b"x"), "not a Debian package"),
    "empty ar": (b"!<arch>\n", "not a Debian package"),
    "another ar": (lines([("a.o", b"x")]), "not a Debian package"),
    "no debian-binary": (lines(SOUND), "not a Debian package"),
    "debian-binary last": (lines([*SOUND, BINARY]), "not a Debian package"),
    "another format": (lines([("debian-binary", b"3.0\n"), *SOUND]), "of format b'3.0"),
    "nothing behind": (lines([BINARY]), "this one has nothing"),
    "no data": (lines([BINARY, SOUND[0]]), "this one has control.tar.gz"),
    "no control": (lines([BINARY, SOUND[1]]), "this one has data.tar"),
    "wrong order": (lines([BINARY, SOUND[1], SOUND[0]]), "has data.tar, control.tar.gz"),
    "data twice": (lines([BINARY, *SOUND, SOUND[1]]), "has control.tar.gz, data.tar, data.tar"),
    "a stranger": (lines([BINARY, *SOUND, ("evil", b"x")]), "evil"),
    "control.tgz": (lines([BINARY, ("control.tgz", b"x"), SOUND[1]]), "control.tgz"),
    "brotli": (lines([BINARY, SOUND[0], ("data.tar.br", b"x")]), "not known"),
    "size is no number": (GOOD.replace(b"4         `", b"4x        `", 1), "byte 8 is damaged"),
    "size is negative": (GOOD.replace(b"4         `", b"-4        `", 1), "byte 8 is damaged"),
    "header without its mark": (GOOD.replace(b"`\n", b"'\n", 1), "byte 8 is damaged"),
    "name is not ASCII": (GOOD.replace(b"debian-binary", b"debian-binar\xff", 1), "byte 8 is damaged"),
    "cut in the data": (GOOD[:-20_000], "cut off"),
    "cut in a header": (GOOD[:40], "byte 8 is damaged"),
    "cut between members": (GOOD[:72], "this one has nothing"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_what_is_no_debian_package_is_called_by_its_fault(name: str) -> None:
    stored, words = OTHER_FILES[name]
    assert words in refused(stored)


def test_a_package_cut_anywhere_is_refused() -> None:
    small = package(tar([file("./x", b"x")]))
    for length in range(0, len(small), 97):
        assert refused(small[:length])


# --- parts ------------------------------------------------------------------------------------------------
def test_a_slice_reads_its_part_and_nothing_else() -> None:
    source = io.BytesIO(b"before[inside]after")
    part = Slice(source, 7, 6)
    assert part.readable()
    assert part.read(2) == b"in"
    source.seek(0)
    assert part.read() == b"side"
    assert part.read() == b""
    assert Slice(io.BytesIO(b"short"), 2, 100).read() == b"ort"


def test_two_slices_of_one_file_do_not_disturb_each_other() -> None:
    source = io.BytesIO(b"abcdef")
    one, two = Slice(source, 0, 3), Slice(source, 3, 3)
    assert [one.read(1), two.read(1), one.read(1), two.read(1)] == [b"a", b"d", b"b", b"e"]


def test_parts_are_found_where_they_lie() -> None:
    parts = open_parts(io.BytesIO(GOOD), "tool.deb")
    assert (parts.control.name, parts.data.name) == ("control.tar.gz", "data.tar")
    with parts.data.open() as stream:
        assert stream.read() == DATA_TAR


# --- the machine ------------------------------------------------------------------------------------------
def test_a_directory_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="EISDIR"), read_deb(tmp_path):
        pass


@pytest.mark.parametrize(
    ("content", "most"), [(b"small", 0), (b"small", 4), (CONTENT, 0), (CONTENT, 100_000)]
)
def test_a_spool_that_cannot_be_written_is_not_the_fault_of_the_package(content: bytes, most: int) -> None:
    Path("tool.deb").write_bytes(package(tar([file("./x", content)])))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (most, before[1])
    )  # the kernel answers EFBIG, as it would ENOSPC
    try:
        with pytest.raises(MachineError, match="unpack: EFBIG") as caught, read_deb(Path("tool.deb")):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.path == "tool.deb"


def test_what_goes_wrong_in_the_caller_is_not_blamed_on_the_package() -> None:
    Path("tool.deb").write_bytes(GOOD)
    for error in (UnicodeError("mine"), EOFError("mine"), ValueError("mine"), OSError("mine")):
        with pytest.raises(type(error), match="mine"), read_deb(Path("tool.deb")):
            raise error
