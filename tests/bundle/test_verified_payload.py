"""What a trusted publisher signs must still be one whole archive; each lie about the payload has its own refusal."""

import hashlib
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from intact.bundle.build import head_frame
from intact.bundle.entry_rules import is_privileged
from intact.bundle.manifest_text import render_manifest
from intact.bundle.read import open_bundle
from intact.bundle.tarstream import member_header
from intact.bundle.verified import verify
from intact.bundle.zstdframes import compress_frame
from intact.model.entries import Digest, DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.errors import BundleDamaged, ManifestInvalid
from intact.model.manifest import Frame
from intact.model.paths import RelPath
from support.bundle_parts import Pipe, fixed_key, make_bundle, make_source, store_of, verified

KEY = fixed_key()
FILES = {"a": b"x" * 100, "b": b""}
STREAM = (
    member_header("a", 100, 0o644, 1_600_000_000)
    + b"x" * 100
    + bytes(412)
    + member_header("b", 0, 0o644, 1_600_000_000)
    + bytes(1024)
)


def crafted(stream: bytes, cuts: tuple[int, ...] = (), *, stored_as: bytes | None = None) -> bytes:
    """A signed bundle whose frames hold exactly `stream`, cut at these offsets, and claim nothing false.

    With `stored_as`, the only frame's stored bytes are these, under their own digest.
    """
    edges = [0, *cuts, len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    frames = [stored_as or compress_frame(piece, 3) for piece in pieces]
    table = tuple(
        Frame(len(stored), len(piece), Digest(hashlib.sha256(stored).hexdigest()))
        for piece, stored in zip(pieces, frames, strict=True)
    )
    text = render_manifest(replace(make_source(FILES).manifest, frames=table))
    return head_frame(text, [KEY.sign(text)]) + b"".join(frames)


def altered(at: int, new: bytes) -> bytes:
    return STREAM[:at] + new + STREAM[at + len(new) :]


@pytest.mark.parametrize(
    "cuts", [(), (1,), (511, 512, 513), (612, 1024), (1023, 1025, 2000), tuple(range(1, 2559))]
)
@pytest.mark.parametrize("most", [None, 100])
def test_frames_may_be_cut_anywhere(cuts: tuple[int, ...], most: int | None) -> None:
    bundle = verified(crafted(STREAM, cuts), KEY, most=most)
    found = {entry.path: b"".join(pieces) for entry, pieces in bundle.contents({RelPath("a"), RelPath("b")})}
    assert found == FILES
    again = verified(crafted(STREAM, cuts), KEY, most=most)
    assert [entry.path for entry, _ in again.contents({RelPath("b")})] == ["b"]


LIES = {
    "header": (altered(0, b"A"), "archive header of a"),
    "set_id_in_header": (altered(100, b"0004644"), "archive header of a"),
    "link_in_header": (altered(156, b"2"), "archive header of a"),
    "content": (altered(512, b"y"), "content of a does not have the digest"),
    "padding": (altered(1023, b"!"), "hidden behind a"),
    "second_header": (altered(1024, b"c"), "archive header of b"),
    "end": (altered(len(STREAM) - 1, b"!"), "does not end with zeros"),
    "beginning_of_the_end": (altered(1536, b"!"), "does not end with zeros"),
    "member_behind_the_end": (altered(1536, member_header("c", 0, 0o644, 0)), "does not end with zeros"),
}


@pytest.mark.parametrize(("stream", "said"), LIES.values(), ids=LIES)
@pytest.mark.parametrize("cuts", [(), (1536,), (1535, 1537), (2048,)])
def test_a_signed_archive_that_differs_from_its_manifest_is_refused(
    stream: bytes, said: str, cuts: tuple[int, ...]
) -> None:
    with pytest.raises(BundleDamaged, match=said):
        verified(crafted(stream, cuts), KEY).check_payload()


@pytest.mark.parametrize("stream", [STREAM[:-512], STREAM + bytes(512), STREAM[:-1], STREAM * 2])
def test_a_frame_table_that_does_not_add_up_is_refused_before_the_payload(stream: bytes) -> None:
    with pytest.raises(ManifestInvalid, match="1 fault"):
        verified(crafted(stream), KEY)


BAD_FRAMES = {
    "other_size": compress_frame(STREAM + b"\0", 3),
    "two_frames": compress_frame(STREAM[:1000], 3) + compress_frame(STREAM[1000:], 3),
    "trailing_bytes": compress_frame(STREAM, 3) + b"\0\0",
    "cut_off": compress_frame(STREAM, 3)[:-2],
    "no_frame": b"never compressed",
}


@pytest.mark.parametrize("stored", BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_signed_bytes_that_are_no_single_frame_are_refused(stored: bytes) -> None:
    with pytest.raises(BundleDamaged, match="frame 1 of 1: "):
        verified(crafted(STREAM, stored_as=stored), KEY).check_payload()


@pytest.mark.parametrize("most", [None, 64])
def test_a_payload_cut_behind_the_last_needed_frame_is_noticed(most: int | None) -> None:
    stored = crafted(STREAM, (1024, 1536, 2000))
    for missing in (1, 20, 40, 60):
        bundle = verified(stored[:-missing], KEY, most=most)
        with pytest.raises(BundleDamaged, match="cut off"):
            list(bundle.contents({RelPath("a")}))


def test_an_altered_frame_is_never_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = bytearray(crafted(STREAM))
    stored[-1] ^= 1
    bundle = verified(bytes(stored), KEY)

    def decompress(_frame: bytes, _size: int) -> bytes:
        raise AssertionError("altered bytes reached the decompressor")

    monkeypatch.setattr("intact.bundle.verified.decompress_frame", decompress)
    with pytest.raises(BundleDamaged, match="frame 1 of 1 was altered"):
        bundle.check_payload()


def test_memory_stays_bounded_whatever_the_size_of_the_bundle(tmp_path: Path) -> None:
    block = b"".join(hashlib.sha512(str(number).encode()).digest() for number in range(16384))
    stored = make_bundle(tmp_path, {"big": block * 80, "small": b"x"}, keys=[KEY]).read_bytes()
    source = Pipe(stored, 1 << 20)
    tracemalloc.start()
    try:
        bundle = verify(open_bundle(source, "b"), store_of(KEY), now=0)
        size = sum(len(piece) for _, pieces in bundle.contents({RelPath("big")}) for piece in pieces)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == 80 << 20
    assert peak < 44 << 20  # on as many processors as are used


PATH = RelPath("x")
RIGHTS: dict[str, tuple[Entry, bool]] = {
    "plain_file": (FileEntry(PATH, 0o755, "root", "root", 0, 0, Digest("0" * 64)), False),
    "root_as_number": (FileEntry(PATH, 0o755, "0", "0", 0, 0, Digest("0" * 64)), False),
    "setuid": (FileEntry(PATH, 0o4755, "root", "root", 0, 0, Digest("0" * 64)), True),
    "setgid": (FileEntry(PATH, 0o2755, "root", "root", 0, 0, Digest("0" * 64)), True),
    "group_write": (FileEntry(PATH, 0o664, "root", "root", 0, 0, Digest("0" * 64)), True),
    "world_write": (DirectoryEntry(PATH, 0o1777, "root", "root"), True),
    "owner": (DirectoryEntry(PATH, 0o755, "games", "root"), True),
    "group": (DirectoryEntry(PATH, 0o755, "root", "adm"), True),
    "plain_directory": (DirectoryEntry(PATH, 0o755, "root", "root"), False),
    "capability": (DirectoryEntry(PATH, 0o755, "root", "root", (("security.capability", b""),)), True),
    "user_attribute": (DirectoryEntry(PATH, 0o755, "root", "root", (("user.x", b""),)), False),
    "link": (SymlinkEntry(PATH, "y"), False),
    "owned_link": (SymlinkEntry(PATH, "y", "games"), True),
    "hardlink": (HardlinkEntry(PATH, RelPath("y")), False),
}


@pytest.mark.parametrize(("entry", "privileged"), RIGHTS.values(), ids=RIGHTS)
def test_what_gives_rights_is_privileged(entry: Entry, privileged: bool) -> None:  # noqa: FBT001  a table
    assert is_privileged(entry) is privileged
