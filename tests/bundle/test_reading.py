"""Only what a bundle must be gets in: the head before trust, the payload after it, every byte accounted for."""

import fcntl
import gzip
import io
import lzma
import os
import tarfile  # makes foreign archives for the tests
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from intact.bundle.build import build_bundle
from intact.bundle.head import MANIFEST_NAME, head_bytes, split_head
from intact.bundle.manifest_text import parse_manifest
from intact.bundle.read import open_bundle
from intact.bundle.tarstream import TarFault, member_header
from intact.bundle.verified import VerifiedBundle, verify
from intact.bundle.zstdframes import compress_frame, padding_frame
from intact.model.entries import FileEntry, SymlinkEntry
from intact.model.errors import BundleDamaged, IntactError, MachineError, ManifestInvalid, Untrusted
from intact.model.limits import Limits
from intact.model.paths import RelPath
from support.bundle_parts import fixed_key, head_frame, make_bundle, make_source, opened, store_of, verified

KEY = fixed_key()
BIG = b"".join(i.to_bytes(4, "little") for i in range(1_400_000))
FILES = {
    "etc/hello.conf": b"a = 1\n",
    "usr/big": BIG,
    "usr/bin/hello": b"#!/bin/sh\n",
    "usr/empty": b"",
    "usr/share/" + "ü" * 90: b"x" * 512,
    "usr/zzz": b"last",
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_bundle(tmp_path_factory.mktemp("b"), FILES, keys=[KEY]).read_bytes()


def contents_of(bundle: VerifiedBundle, needed: set[str]) -> dict[str, bytes]:
    wanted = {RelPath(path) for path in needed}
    return {entry.path: b"".join(pieces) for entry, pieces in bundle.contents(wanted)}


@pytest.mark.parametrize("most", [None, 1 << 20, 777])
def test_the_whole_content_comes_out_of_a_file_and_of_a_pipe(stored: bytes, most: int | None) -> None:
    assert contents_of(verified(stored, KEY, most=most), set(FILES)) == FILES


@pytest.mark.parametrize("most", [None, 5000])
@pytest.mark.parametrize("path", FILES)
def test_each_file_comes_out_alone(stored: bytes, path: str, most: int | None) -> None:
    assert contents_of(verified(stored, KEY, most=most), {path}) == {path: FILES[path]}


@pytest.mark.parametrize("room", [4096, 1 << 18])
def test_the_whole_content_comes_out_of_a_real_pipe(stored: bytes, room: int) -> None:
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, room)

    def fill() -> None:
        with os.fdopen(into, "wb") as pipe:
            pipe.write(stored)

    writer = threading.Thread(target=fill)
    writer.start()
    with open_bundle(os.fdopen(out, "rb"), "standard input") as bundle:
        assert fcntl.fcntl(out, fcntl.F_GETPIPE_SZ) >= 1 << 20
        assert contents_of(verify(bundle, store_of(KEY), now=0), set(FILES)) == FILES
    writer.join()


@pytest.fixture
def on_disk(stored: bytes, tmp_path: Path) -> Iterator[VerifiedBundle]:
    path = tmp_path / "b.tar.zst"
    path.write_bytes(stored)
    with open_bundle(path, "b") as bundle:
        yield verify(bundle, store_of(KEY), now=0)


@pytest.mark.parametrize("needed", [set(FILES), *({path} for path in FILES), set()])
def test_a_file_on_the_disk_has_the_same_content(on_disk: VerifiedBundle, needed: set[str]) -> None:
    assert contents_of(on_disk, needed) == {path: FILES[path] for path in needed}


def test_frames_that_hold_nothing_needed_are_not_read_from_the_disk(
    on_disk: VerifiedBundle, stored: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    pread = os.pread

    def counted(fd: int, count: int, offset: int) -> bytes:
        nonlocal read
        content = pread(fd, count, offset)
        read += len(content)
        return content

    monkeypatch.setattr(os, "pread", counted)
    frames = on_disk.manifest.frames
    assert contents_of(on_disk, {"etc/hello.conf"}) == {"etc/hello.conf": FILES["etc/hello.conf"]}
    with_head = 65_536 - opened(stored).head_length  # so much of the first frame came with the head
    assert read == frames[0].compressed - with_head + frames[-1].compressed


@pytest.mark.parametrize("missing", [1, 10_000])
@pytest.mark.parametrize("needed", ["etc/hello.conf", "usr/big", "usr/zzz"])
def test_a_file_cut_off_after_its_head_was_verified_is_refused(
    on_disk: VerifiedBundle, tmp_path: Path, stored: bytes, missing: int, needed: str
) -> None:
    os.truncate(tmp_path / "b.tar.zst", len(stored) - missing)
    with pytest.raises(BundleDamaged, match="cut off"):
        contents_of(on_disk, {needed})


def test_no_thread_outlives_contents_that_nobody_reads_to_their_end(stored: bytes) -> None:
    before = threading.active_count()
    for pieces_read in (0, 1, 2):
        with closing(verified(stored, KEY).contents({RelPath("usr/big"), RelPath("usr/zzz")})) as contents:
            _, pieces = next(contents)
            for _ in range(pieces_read):
                next(pieces)
        assert threading.active_count() <= before


def test_files_come_in_the_order_of_the_payload(stored: bytes) -> None:
    assert list(contents_of(verified(stored, KEY), set(FILES))) == sorted(FILES)


def test_nothing_needed_reads_nothing_but_checks_the_end(stored: bytes) -> None:
    assert contents_of(verified(stored, KEY), set()) == {}
    with pytest.raises(BundleDamaged, match="follows the end"):
        contents_of(verified(stored + b"\0", KEY), set())


class Counting(io.BytesIO):
    """Counts what is read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        got = super().read(size)
        self.count += len(got)
        return got


def test_frames_that_hold_nothing_needed_are_not_read(stored: bytes) -> None:
    source = Counting(stored)
    bundle = verify(open_bundle(source, "b"), store_of(KEY), now=0)
    frames = bundle.manifest.frames
    assert len(frames) >= 3
    assert contents_of(bundle, {"etc/hello.conf"}) == {"etc/hello.conf": FILES["etc/hello.conf"]}
    assert source.count <= (64 << 10) + frames[0].compressed + frames[-1].compressed + 1


def test_a_content_that_is_not_consumed_does_not_disturb_the_next(stored: bytes) -> None:
    found = {}
    for entry, pieces in verified(stored, KEY).contents({RelPath(path) for path in FILES}):
        if entry.path == "usr/zzz":
            found[entry.path] = b"".join(pieces)
        elif entry.path == "usr/big":
            next(pieces)
    assert found == {"usr/zzz": b"last"}


def test_a_bundle_without_files_is_checked_to_its_end(tmp_path: Path) -> None:
    stored = make_bundle(tmp_path, {}, [SymlinkEntry(RelPath("a"), "b")]).read_bytes()
    verified(stored).check_payload()
    for bad in (stored[:-1], stored + b"\0", stored[:-1] + b"\xff"):
        with pytest.raises(BundleDamaged):
            verified(bad).check_payload()


# --- what is not a bundle --------------------------------------------------------------------------------
def foreign_tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return target.getvalue()


def foreign_zip() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("x", "y")
    return target.getvalue()


FOREIGN = {
    "empty": (b"", "the file is empty"),
    "text": (b"hello\n" * 9, "this is not a bundle"),
    "short_text": (b"x", "this is not a bundle"),
    "gzip": (gzip.compress(b"x"), "a gzip file"),
    "xz": (lzma.compress(b"x"), "an xz file"),
    "zip": (foreign_zip(), "a zip file"),
    "bzip2": (b"BZh91AY&SY" + bytes(9), "a bzip2 file"),
    "plain_tar": (foreign_tar(), "a plain tar archive"),
    "deb": (b"!<arch>\ndebian-binary   ", r"pkg build FILE\.deb"),
    "rpm": (b"\xed\xab\xee\xdb" + bytes(90), "an rpm package"),
    "tar_zst": (compress_frame(foreign_tar(), 3), "not the header of .intact/manifest.toml"),
    "streamed_zst": (
        zstandard.ZstdCompressor(write_checksum=True, write_content_size=False).compress(b"x" * 999),
        "does not say its content size",
    ),
    "magic_only": (b"\x28\xb5\x2f\xfd", "cut off"),
}


@pytest.mark.parametrize(("content", "said"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_not_a_bundle_is_called_by_its_name(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "odd.tar.zst"
    path.write_bytes(content)
    with pytest.raises(BundleDamaged, match=said) as caught:
        open_bundle(path, "odd.tar.zst")
    assert caught.value.path == "odd.tar.zst"
    assert caught.value.remedy
    assert caught.value.exit_code == 3


def test_a_directory_and_a_pipe_are_no_bundles(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(BundleDamaged, match="not a regular file"):
            open_bundle(place, "x")


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="ENOENT"):
        open_bundle(tmp_path / "missing", "missing")


class Broken(io.BytesIO):
    """A disk that fails after the head."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 100:
            raise OSError(5, "Input/output error")
        return super().read(min(size or 0, 100))


def test_a_failing_disk_is_told_as_such(stored: bytes) -> None:
    with pytest.raises(MachineError, match="EIO"):
        open_bundle(Broken(stored), "b")


def test_leaving_the_block_closes_the_source(stored: bytes) -> None:
    source = io.BytesIO(stored)
    with open_bundle(source, "b") as bundle:
        assert bundle.manifest_bytes.startswith(b"format = 1")
    assert source.closed


# --- what pads the head ---------------------------------------------------------------------------------
def padded(stored: bytes, padding: bytes) -> bytes:
    length = opened(stored).head_length
    return stored[:length] + padding + stored[length:]


LENGTHS = [8, 9, 4096, (64 << 10) - 1, 200_000]


@pytest.mark.parametrize("most", [None, 1 << 20, 777, 3])
@pytest.mark.parametrize("length", LENGTHS)
def test_zeros_behind_the_head_are_passed_over(stored: bytes, length: int, most: int | None) -> None:
    bundle = opened(padded(stored, padding_frame(length)), most=most)
    assert bundle.head_length == opened(stored).head_length + length
    whole = verify(bundle, store_of(KEY), now=0)
    assert contents_of(whole, set(FILES)) == FILES


def test_a_padded_file_on_the_disk_gives_what_is_needed(stored: bytes, tmp_path: Path) -> None:
    path = tmp_path / "b.tar.zst"
    path.write_bytes(padded(stored, padding_frame(100_000)))
    with open_bundle(path, "b") as bundle:
        whole = verify(bundle, store_of(KEY), now=0)
        for needed in ({"usr/zzz"}, set(FILES), {"etc/hello.conf"}):
            assert contents_of(whole, needed) == {path: FILES[path] for path in needed}


@pytest.mark.parametrize("most", [None, 777])
@pytest.mark.parametrize("length", [9, *LENGTHS[2:]])
def test_nothing_but_zeros_pads_a_head(stored: bytes, length: int, most: int | None) -> None:
    for at in (8, length // 2 + 4, length - 1):
        frame = bytearray(padding_frame(length))
        frame[at] = 1
        with pytest.raises(BundleDamaged, match="something is hidden behind its head"):
            opened(padded(stored, bytes(frame)), most=most)


@pytest.mark.parametrize("most", [None, 777])
@pytest.mark.parametrize("left", [8, 9, 100, 99_999])
def test_a_bundle_that_is_cut_off_in_its_padding_is_refused(
    stored: bytes, left: int, most: int | None
) -> None:
    cut = stored[: opened(stored).head_length] + padding_frame(100_000)[:left]
    with pytest.raises(BundleDamaged, match="cut off behind its head"):
        opened(cut, most=most)


def test_padding_counts_as_head(stored: bytes) -> None:
    length = opened(stored).head_length
    limits = replace(Limits(), head_compressed=length + 1000)
    bundle = padded(stored, padding_frame(1000))
    assert open_bundle(io.BytesIO(bundle), "b", limits).head_length == length + 1000
    with pytest.raises(BundleDamaged, match="takes more bytes than any may"):
        open_bundle(io.BytesIO(padded(stored, padding_frame(1001))), "b", limits)
    huge = padding_frame(8)[:4] + b"\xff\xff\xff\xff"
    with pytest.raises(BundleDamaged, match="takes more bytes than any may"):
        opened(padded(stored, huge))


OTHER_PADDING = {
    "twice": padding_frame(100) * 2,
    "another_magic": b"\x51" + padding_frame(100)[1:],
    "no_frame": bytes(100),
    "part_of_a_header": padding_frame(8)[:7],
    "too_short": padding_frame(100)[:-1],
    "too_long": padding_frame(100) + b"\0",
}


@pytest.mark.parametrize("most", [None, 777])
@pytest.mark.parametrize("padding", OTHER_PADDING.values(), ids=OTHER_PADDING)
def test_nothing_else_comes_between_head_and_payload(stored: bytes, padding: bytes, most: int | None) -> None:
    with pytest.raises(BundleDamaged):
        verified(padded(stored, padding), KEY, most=most).check_payload()


@pytest.mark.parametrize("where", ["end", "middle"])
def test_padding_elsewhere_is_refused(stored: bytes, where: str) -> None:
    frames = parse_manifest(opened(stored).manifest_bytes, "b").frames
    at = len(stored) if where == "end" else len(stored) - frames[-1].compressed
    with pytest.raises(BundleDamaged):
        verified(stored[:at] + padding_frame(64) + stored[at:], KEY).check_payload()


def test_no_padding_is_shorter_than_its_own_header() -> None:
    assert padding_frame(8) == b"\x50\x2a\x4d\x18\0\0\0\0"
    with pytest.raises(ValueError, match="no frame has 7 bytes"):
        padding_frame(7)


# --- the head ---------------------------------------------------------------------------------------------
def member(name: str, content: bytes) -> bytes:
    return member_header(name, len(content), 0o644, 0) + content + bytes(-len(content) % 512)


GOOD_HEAD = head_bytes(b"m" * 600, [b"one", b"two"])
BAD_HEADS = {
    "empty": (b"", "cut off"),
    "cut_in_header": (GOOD_HEAD[:300], "cut off"),
    "cut_in_manifest": (GOOD_HEAD[: 512 + 600], "cut off"),
    "cut_in_signature_header": (GOOD_HEAD[:-600], "cut off"),
    "signature_first": (member(f"{MANIFEST_NAME}.sig", b"x"), "not the header"),
    "other_name": (member("manifest.toml", b"x"), "not the header"),
    "signature_numbered_from_two": (
        member(MANIFEST_NAME, b"x") + member(f"{MANIFEST_NAME}.2.sig", b"y"),
        "not the header",
    ),
    "third_member": (GOOD_HEAD + member("etc/passwd", b"x"), "not the header"),
    "end_marker": (GOOD_HEAD + bytes(1024), "eleven octal digits"),
    "hidden_in_padding": (GOOD_HEAD[:-1] + b"x", "hidden"),
    "other_mode": (GOOD_HEAD.replace(b"0000644", b"0004755", 1), "not the header"),
    "other_owner": (GOOD_HEAD.replace(b"root", b"rott", 1), "not the header"),
}


@pytest.mark.parametrize(("content", "said"), BAD_HEADS.values(), ids=BAD_HEADS)
def test_a_head_of_another_structure_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(TarFault, match=said):
        split_head(content, Limits())


def test_a_head_comes_apart_as_it_was_put_together() -> None:
    assert split_head(GOOD_HEAD, Limits()) == (b"m" * 600, (b"one", b"two"))


def test_the_ceilings_of_the_head_hold_at_the_limit_and_not_one_above() -> None:
    split_head(head_bytes(b"m" * 10, [b"s" * 4096] * 16), Limits(manifest=10))
    for manifest, signatures in ((b"m" * 11, [b"s"]), (b"m", [b"s" * 4097]), (b"m", [b"s"] * 17)):
        with pytest.raises(TarFault):
            split_head(head_bytes(manifest, signatures), Limits(manifest=10))


def test_a_head_that_claims_or_takes_too_much_is_refused() -> None:
    noise = b"".join(i.to_bytes(5, "little") for i in range(99_999))
    frame = head_frame(noise, [])
    with pytest.raises(BundleDamaged, match="claims"):
        open_bundle(io.BytesIO(frame), "b", replace(Limits(), manifest=1000))
    with pytest.raises(BundleDamaged, match="takes more than 70000"):
        open_bundle(io.BytesIO(frame), "b", replace(Limits(), head_compressed=70_000))
    assert open_bundle(io.BytesIO(frame), "b").manifest_bytes == noise


def test_a_bomb_in_the_head_is_stopped() -> None:
    with pytest.raises(BundleDamaged, match="grows to more than 64 times"):
        opened(head_frame(bytes(100 << 20), []))


def test_the_manifest_is_not_parsed_before_it_is_trusted() -> None:
    stored = head_frame(b"this is [ no TOML", [])
    assert opened(stored).manifest_bytes == b"this is [ no TOML"
    with pytest.raises(Untrusted):
        verify(opened(stored), store_of(KEY), now=0)
    with pytest.raises(ManifestInvalid):
        verified(stored)


# --- trust decides before the payload --------------------------------------------------------------------
def test_unsigned_and_foreign_bundles_are_refused(tmp_path: Path, stored: bytes) -> None:
    unsigned = make_bundle(tmp_path, FILES).read_bytes()
    with pytest.raises(Untrusted, match="not signed"):
        verified(unsigned, KEY)
    with pytest.raises(Untrusted, match="no signature"):
        verified(stored, fixed_key(2))
    assert verified(unsigned).approval.unsigned
    assert verified(stored, KEY).approval.signers == (KEY.public.fingerprint,)


def test_privileged_content_needs_a_key_that_may_sign_it(tmp_path: Path) -> None:
    source = make_source({"bin/su": b"x"})
    entry = source.manifest.entries[0]
    assert isinstance(entry, FileEntry)
    entry = replace(entry, mode=0o4755)
    source = replace(source, manifest=replace(source.manifest, entries=(entry,)))
    stored = build_bundle(source, tmp_path, signers=[KEY.sign]).path.read_bytes()
    store = store_of(KEY)
    plain = replace(store, entries=(replace(store.entries[0], roles=()),))
    verify(opened(stored), store, now=0)
    with pytest.raises(Untrusted, match="set-id"):
        verify(opened(stored), plain, now=0)


def test_a_manifest_moved_to_another_payload_is_found(tmp_path: Path, stored: bytes) -> None:
    other = make_bundle(tmp_path, {**FILES, "usr/zzz": b"LAST"}, keys=[KEY]).read_bytes()
    head, other_head = opened(stored).head_length, opened(other).head_length
    with pytest.raises(BundleDamaged, match="digest of the frame table"):
        verified(stored[:head] + other[other_head:], KEY).check_payload()


# --- a publisher who signs nonsense ----------------------------------------------------------------------
def resigned(stored: bytes, change: tuple[bytes, bytes]) -> bytes:
    """The bundle with a changed manifest, signed again, as a careless or hostile publisher could make it."""
    bundle = opened(stored)
    text = bundle.manifest_bytes.replace(*change)
    assert text != bundle.manifest_bytes
    return head_frame(text, [KEY.sign(text)]) + stored[bundle.head_length :]


LIES = {
    "mode": (b'path = "etc/hello.conf"', b'path = "etc/hello.conf", mode = "0600"', "archive header of etc"),
    "time": (b"created = 1600000000", b"created = 1600000001", "archive header of etc"),
    "name": (b"etc/hello.conf", b"etc/hallo.conf", "archive header of etc/hallo.conf"),
    "digest": (b'zzz", size = 4, sha256 = "', b'zzz", size = 4, sha256 = "0', "not a SHA-256"),
}


@pytest.mark.parametrize(("old", "new", "said"), LIES.values(), ids=LIES)
def test_a_payload_that_differs_from_its_signed_manifest_is_refused(
    stored: bytes, old: bytes, new: bytes, said: str
) -> None:
    with pytest.raises(IntactError) as caught:
        verified(resigned(stored, (old, new)), KEY).check_payload()
    assert said in str(caught.value)


def test_a_content_with_another_digest_is_refused_at_its_end(stored: bytes) -> None:
    manifest = parse_manifest(opened(stored).manifest_bytes)
    digest = next(entry for entry in manifest.entries if entry.path == "usr/zzz").digest.encode()  # type: ignore[union-attr]
    bundle = verified(resigned(stored, (digest, digest[::-1])), KEY)
    with pytest.raises(BundleDamaged, match="content of usr/zzz"):
        contents_of(bundle, {"usr/zzz"})
