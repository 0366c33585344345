"""A bundle is a function of its inputs, appears whole or not at all, and ordinary tools can open it."""

import errno
import fcntl
import hashlib
import io
import os
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, NoReturn

import pytest

from intact.bundle import build as build_module
from intact.bundle.build import build_bundle, head_frame
from intact.bundle.manifest_text import parse_manifest
from intact.bundle.package import UNREAD
from intact.bundle.packing import SourceChanged
from intact.bundle.sign import add_signatures
from intact.bundle.tarstream import END_OF_ARCHIVE, member_header, padding
from intact.bundle.zstdframes import decompress_frame, padding_frame
from intact.model.entries import DirectoryEntry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.errors import BundleDamaged, MachineError, ManifestInvalid, NoSpace, UsageError
from intact.model.limits import Limits
from intact.model.manifest import Relations
from intact.model.paths import RelPath
from intact.model.relations import parse_relation
from intact.model.versions import Version
from intact.system import workers
from intact.system.hostfiles import replace_file
from intact.trust.keys import SigningKey
from support.bundle_parts import MTIME, fixed_key, make_bundle, make_source, opened, verified

KEY, OTHER = fixed_key(1), fixed_key(2)
MIB = 1 << 20
FILES = {"etc/a": b"a\n", "usr/" + "long/" * 60 + "name": b"deep", "usr/日本語 x": b"n", "usr/e": b""}
LARGE_FILE = {"usr/large": bytes(60 << 20), "usr/little": b"little"}
needs_tar = pytest.mark.skipif(
    not (shutil.which("tar") and shutil.which("zstd")), reason="needs tar and zstd"
)


def noise(size: int, seed: int = 0) -> bytes:
    block = b"".join(hashlib.sha512(f"{seed}.{i}".encode()).digest() for i in range(1024))
    return (block * (size // len(block) + 1))[:size]


def test_what_was_built_is_described(tmp_path: Path) -> None:
    counted: list[int] = []
    built = build_bundle(make_source(FILES), tmp_path, signers=[KEY.sign], progress=counted.append)
    stored = built.path.read_bytes()
    assert built.path == tmp_path / "hello-1.0-all.tar.zst"
    assert (built.size, built.sha256) == (len(stored), hashlib.sha256(stored).hexdigest())
    assert built.content == sum(counted) == sum(map(len, FILES.values()))
    assert built.frames == 1
    assert built.identity.name == "hello"
    assert stat.S_IMODE(built.path.stat().st_mode) == 0o644


def test_the_digest_of_the_whole_is_worked_out_for_those_who_want_it(tmp_path: Path) -> None:
    files = {**FILES, "usr/big": noise(9 * MIB)}
    asked = build_bundle(make_source(files), tmp_path / "1.tar.zst", signers=[KEY.sign])
    other = build_bundle(make_source(files), tmp_path / "2.tar.zst", signers=[KEY.sign], digested=False)
    assert asked.sha256 == hashlib.sha256(other.path.read_bytes()).hexdigest()
    assert replace(other, path=asked.path, sha256=asked.sha256) == asked
    assert other.sha256 is None


def test_a_digest_that_is_not_known_is_that_of_what_is_packed(tmp_path: Path) -> None:
    files = {**FILES, "usr/big": noise(9 * MIB), "usr/zero": bytes(4 * MIB)}
    source = make_source(files)
    unread = [
        replace(entry, digest=UNREAD) if isinstance(entry, FileEntry) else entry
        for entry in source.manifest.entries
    ]
    known = build_bundle(source, tmp_path / "1.tar.zst").path.read_bytes()
    source = replace(source, manifest=replace(source.manifest, entries=tuple(unread)))
    assert build_bundle(source, tmp_path / "2.tar.zst").path.read_bytes() == known


def test_the_same_inputs_make_the_same_bytes(tmp_path: Path) -> None:
    one = make_bundle(tmp_path / "1", FILES, keys=[KEY]).read_bytes()
    assert make_bundle(tmp_path / "2", dict(reversed(FILES.items())), keys=[KEY]).read_bytes() == one


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_number_of_processors_makes_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(workers, "processors", lambda: count)
    files = {**FILES, "usr/big": noise(9 * MIB), "usr/bigger": noise(13 * MIB + 5), "usr/last": b"x"}
    stored = make_bundle(tmp_path, files, keys=[KEY]).read_bytes()
    assert hashlib.sha256(payload_of(files)).hexdigest() == hashlib.sha256(unpacked(stored)).hexdigest()
    monkeypatch.setattr(workers, "processors", lambda: 5 - count)
    assert make_bundle(tmp_path, files, keys=[KEY]).read_bytes() == stored


def payload_of(files: dict[str, bytes]) -> bytes:
    """The tar stream that these files make."""
    members = (
        member_header(path, len(data), 0o644, MTIME) + data + bytes(padding(len(data)))
        for path, data in sorted(files.items())
    )
    return b"".join(members) + END_OF_ARCHIVE


def unpacked(stored: bytes) -> bytes:
    """What is in the frames behind the head."""
    bundle = opened(stored)
    payload = io.BytesIO(stored[bundle.head_length :])
    frames = parse_manifest(bundle.manifest_bytes, "b").frames
    return b"".join(decompress_frame(payload.read(frame.compressed), frame.size) for frame in frames)


def test_the_default_name_is_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert build_bundle(make_source({})).path == tmp_path / "hello-1.0-all.tar.zst"
    assert build_bundle(make_source({}), Path("other.tar.zst")).path == tmp_path / "other.tar.zst"


def test_an_epoch_does_not_bring_a_colon_into_the_name(tmp_path: Path) -> None:
    source = make_source({})
    identity = replace(source.manifest.identity, version=Version("2:1.0"))
    source = replace(source, manifest=replace(source.manifest, identity=identity))
    assert build_bundle(source, tmp_path).path.name == "hello-2%3a1.0-all.tar.zst"


FRAMINGS: dict[str, tuple[list[int], Callable[[list[int]], bool]]] = {
    "small_files_share_a_frame": ([1000] * 50, lambda sizes: len(sizes) == 1),
    "many_small_files_make_frames_of_a_mebibyte": (
        [100_000] * 50,
        lambda sizes: all(MIB <= size < MIB + 200_000 for size in sizes[:-1]) and len(sizes) == 5,
    ),
    "a_large_file_spans_frames_of_four": (
        [10 * MIB],
        lambda sizes: sizes == [4 * MIB, 4 * MIB, 2 * MIB + 512, 1024],
    ),
    "the_end_may_need_a_frame_of_its_own": ([4 * MIB - 512], lambda sizes: sizes == [4 * MIB, 1024]),
}


@pytest.mark.parametrize(("sizes", "fits"), FRAMINGS.values(), ids=FRAMINGS)
def test_frames_are_cut_as_documented(
    tmp_path: Path, sizes: list[int], fits: Callable[[list[int]], bool]
) -> None:
    files = {f"f{number:03}": noise(size, number) for number, size in enumerate(sizes)}
    bundle = verified(make_bundle(tmp_path, files).read_bytes())
    assert fits([frame.size for frame in bundle.manifest.frames])
    found = {entry.path: b"".join(pieces) for entry, pieces in bundle.contents({RelPath(f) for f in files})}
    assert found == files


def test_a_large_manifest_that_compresses_well_stays_within_the_ceilings(tmp_path: Path) -> None:
    many = [
        DirectoryEntry(RelPath(f"usr/share/many/{number:06}"), 0o755, "root", "root")
        for number in range(60_000)
    ]
    path = make_bundle(tmp_path, {}, many, keys=[KEY])
    bundle = verified(path.read_bytes(), KEY)
    assert len(bundle.manifest_bytes) > 2 * MIB
    assert len(bundle.manifest.entries) == 60_000


def test_a_manifest_that_no_reader_would_accept_is_not_written() -> None:
    with pytest.raises(ManifestInvalid, match="decompression bomb"):
        head_frame(bytes(64 * MIB), [])


def test_a_signature_that_no_reader_would_accept_is_not_written(tmp_path: Path) -> None:
    for files in (FILES, LARGE_FILE):
        with pytest.raises(ManifestInvalid, match="signature has more than 4096 bytes"):
            build_bundle(make_source(files), tmp_path, signers=[lambda _text: bytes(4097)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("files", [FILES, LARGE_FILE], ids=["small", "large"])
def test_more_signatures_than_readers_accept_are_refused_before_anything_is_packed(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    keys = [fixed_key(number) for number in range(1, 18)]
    packed: list[int] = []
    with pytest.raises(ManifestInvalid, match="there are 17 signatures, and readers accept 16"):
        build_bundle(make_source(files), tmp_path, signers=[key.sign for key in keys], progress=packed.append)
    assert (packed, list(tmp_path.iterdir())) == ([], [])
    path = build_bundle(make_source(files), tmp_path, signers=[key.sign for key in keys[:16]]).path
    assert len(verified(path.read_bytes(), keys[15]).approval.signers) == 1


def test_a_head_that_no_reader_would_accept_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "DEFAULT_LIMITS", replace(Limits(), head_compressed=999))
    with pytest.raises(ManifestInvalid, match="bytes compressed, and readers accept 999"):
        head_frame(noise(2000), [])


def test_who_signs_at_the_same_time_waits_and_no_signature_is_lost(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, FILES)
    payload = unpacked(path.read_bytes())
    keys = [fixed_key(number) for number in range(1, 9)]

    def sign(key: SigningKey) -> None:
        assert add_signatures(path, [key.sign]) == [True]

    threads = [threading.Thread(target=sign, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = path.read_bytes()
    assert len(opened(stored).signatures) == 8
    assert unpacked(stored) == payload
    verified(stored, keys[0]).check_payload()


def test_a_bundle_that_is_replaced_while_it_is_signed_is_not_mixed_with_the_other(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, {"usr/a": noise(5000)}, keys=[KEY])
    aside = make_bundle(tmp_path / "other", {"usr/b": noise(9000, 2)}, keys=[KEY])
    other = aside.read_bytes()
    signed: list[bytes] = []
    holding = path.open("rb")
    fcntl.flock(holding, fcntl.LOCK_EX)

    def sign() -> None:
        def signer(text: bytes) -> bytes:
            signed.append(text)
            return OTHER.sign(text)

        assert add_signatures(path, [signer]) == [True]

    thread = threading.Thread(target=sign)
    thread.start()
    time.sleep(0.1)
    assert signed == []
    aside.rename(path)
    holding.close()
    thread.join()
    stored = path.read_bytes()
    assert signed == [opened(other).manifest_bytes]
    assert opened(stored).signatures[:1] == opened(other).signatures
    verified(stored, OTHER).check_payload()


def test_what_a_link_names_is_signed_and_the_link_stays(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, FILES, keys=[KEY])
    link = tmp_path / "latest.tar.zst"
    link.symlink_to(path.name)
    assert add_signatures(link, [OTHER.sign]) == [True]
    assert link.is_symlink()
    assert len(opened(path.read_bytes()).signatures) == 2


# --- where the head is next to nothing, the payload is written behind room for it --------------------------
def test_a_large_payload_is_not_copied_and_its_head_is_padded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "scratch_file", None)
    signers = [KEY.sign, OTHER.sign]
    built = build_bundle(make_source(LARGE_FILE), tmp_path / "1.tar.zst", signers=signers)
    stored = built.path.read_bytes()
    assert (built.size, built.sha256) == (len(stored), hashlib.sha256(stored).hexdigest())
    bundle = opened(stored)
    assert bundle.head_length % 4096 == 0
    assert bundle.head_length * 1000 <= built.content
    assert stored[:4] == stored[bundle.head_length :][:4] == b"\x28\xb5\x2f\xfd"
    frame = head_frame(bundle.manifest_bytes, bundle.signatures)
    assert stored[: bundle.head_length] == frame + padding_frame(bundle.head_length - len(frame))
    verified(stored, KEY).check_payload()
    assert unpacked(stored) == payload_of(LARGE_FILE)
    again = build_bundle(make_source(LARGE_FILE), tmp_path / "2.tar.zst", signers=signers, digested=False)
    assert again.path.read_bytes() == stored


def test_a_small_payload_is_copied_and_nothing_is_padded(tmp_path: Path) -> None:
    stored = make_bundle(tmp_path, {**FILES, "usr/big": noise(5 * MIB)}, keys=[KEY]).read_bytes()
    bundle = opened(stored)
    assert bundle.head_length == len(head_frame(bundle.manifest_bytes, bundle.signatures))


def test_room_is_enough_for_the_longest_head(tmp_path: Path) -> None:
    # What cannot be compressed, a name that takes long, and signatures as long as they may be.
    name = "usr/" + "".join(hashlib.sha256(bytes([n])).hexdigest() + "/" for n in range(3)) + "x"
    sources = {name: bytes(40 * MIB), name + "y": bytes(40 * MIB)}
    armors = [noise(4096, number) for number in range(2)]
    path = build_bundle(
        make_source(sources), tmp_path, signers=[partial(_constant, armor) for armor in armors]
    ).path
    bundle = opened(path.read_bytes())
    assert bundle.signatures == tuple(armors)
    assert bundle.head_length % 4096 == 0


def _constant(armor: bytes, _text: bytes) -> bytes:
    return armor


@needs_tar
def test_gnu_tar_and_zstd_pass_over_the_padding(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b", LARGE_FILE, keys=[KEY])
    subprocess.run(["zstd", "-tq", path], check=True)
    listed = subprocess.run(["tar", "--zstd", "-tf", path], capture_output=True, check=True)
    heads = [".intact/manifest.toml", ".intact/manifest.toml.sig"]
    assert listed.stdout.decode().splitlines() == [*heads, *sorted(LARGE_FILE)]
    assert listed.stderr == b""


def test_a_further_signature_gets_into_a_padded_bundle(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, LARGE_FILE, keys=[KEY])
    payload = unpacked(path.read_bytes())
    assert add_signatures(path, [OTHER.sign]) == [True]
    stored = path.read_bytes()
    assert len(opened(stored).signatures) == 2
    assert unpacked(stored) == payload
    verified(stored, OTHER).check_payload()


@pytest.mark.parametrize("fault", ["source", "signer", "disk"])
def test_a_large_build_that_fails_leaves_the_old_bundle_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    path = tmp_path / "b.tar.zst"
    path.write_bytes(b"old")
    source = make_source(LARGE_FILE)

    def fail(*_arguments: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    if fault == "source":
        source = replace(source, open_content=fail)
    if fault == "disk":
        monkeypatch.setattr(build_module, "append", fail)
    signers: dict[str, Callable[[bytes], bytes]] = {"signer": fail}
    with pytest.raises(NoSpace):
        build_bundle(source, path, signers=[signers.get(fault, KEY.sign)])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# --- ordinary tools --------------------------------------------------------------------------------------
@needs_tar
def test_gnu_tar_lists_and_unpacks_every_bundle(tmp_path: Path) -> None:
    path = make_bundle(tmp_path / "b", {**FILES, "usr/big": noise(5 * MIB)}, keys=[KEY, OTHER])
    listed = subprocess.run(
        ["tar", "--zstd", "--quoting-style=literal", "-tf", path], capture_output=True, check=True
    )
    heads = [".intact/manifest.toml", ".intact/manifest.toml.sig", ".intact/manifest.toml.2.sig"]
    assert listed.stdout.decode().splitlines() == [*heads, *sorted({**FILES, "usr/big": b""})]
    assert listed.stderr == b""
    out = tmp_path / "out"
    out.mkdir()
    unpacked = subprocess.run(["tar", "--zstd", "-xf", path, "-C", out], capture_output=True, check=True)
    assert unpacked.stderr == b""
    bundle = opened(path.read_bytes())
    for name, content in zip(heads, (bundle.manifest_bytes, *bundle.signatures), strict=True):
        assert (out / name).read_bytes() == content
    for name, content in FILES.items():
        assert (out / name).read_bytes() == content
        assert (out / name).stat().st_mtime == MTIME
    assert (out / "usr/big").read_bytes() == noise(5 * MIB)


@needs_tar
def test_a_set_id_file_loses_its_rights_under_tar(tmp_path: Path) -> None:
    source = make_source({"bin/su": b"x"})
    entry = source.manifest.entries[0]
    assert isinstance(entry, FileEntry)
    source = replace(source, manifest=replace(source.manifest, entries=(replace(entry, mode=0o6755),)))
    path = build_bundle(source, tmp_path).path
    subprocess.run(["tar", "--zstd", "-xpf", path, "-C", tmp_path], check=True)
    assert stat.S_IMODE((tmp_path / "bin/su").stat().st_mode) == 0o755


@needs_tar
def test_zstd_finds_checksums_in_all_frames(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, {"x": noise(9 * MIB)})
    subprocess.run(["zstd", "-tq", path], check=True)


# --- what goes wrong leaves nothing behind ---------------------------------------------------------------
def lying_source(content: bytes) -> Callable[[FileEntry], BinaryIO]:
    return lambda _entry: io.BytesIO(content)


LARGE = noise(6 * MIB)


@pytest.mark.parametrize("now", [LARGE[:-1] + b"?", LARGE[:-1], LARGE + b"?", LARGE[: 4 * MIB], LARGE * 2])
def test_a_large_source_that_changed_meanwhile_is_named(tmp_path: Path, now: bytes) -> None:
    source = replace(make_source({"etc/a": LARGE, "etc/b": b""}), open_content=lying_source(now))
    before = threading.active_count()
    with pytest.raises(SourceChanged, match="changed while") as caught:
        build_bundle(source, tmp_path)
    assert caught.value.path == "etc/a"
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() <= before


@pytest.mark.parametrize("now", [b"b\n", b"", b"a\nmore"])
def test_a_source_that_changed_meanwhile_is_named(tmp_path: Path, now: bytes) -> None:
    source = replace(make_source({"etc/a": b"a\n"}), open_content=lying_source(now))
    with pytest.raises(SourceChanged, match="changed while") as caught:
        build_bundle(source, tmp_path)
    assert caught.value.path == "etc/a"
    assert list(tmp_path.iterdir()) == []


def test_a_source_of_another_size_than_its_entry_says_is_named(tmp_path: Path) -> None:
    source = make_source({"a": b"12345"})
    entry = source.manifest.entries[0]
    assert isinstance(entry, FileEntry)
    manifest = replace(source.manifest, entries=(replace(entry, size=4),))
    with pytest.raises(SourceChanged):
        build_bundle(replace(source, manifest=manifest), tmp_path)


def failing_read(_entry: FileEntry) -> BinaryIO:
    raise PermissionError(13, "Permission denied")


class FailingDisk(io.BytesIO):
    """Opens, and then fails."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError(5, f"Input/output error after {size}")


def test_a_source_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="EACCES") as caught:
        build_bundle(replace(make_source({"etc/a": b"a"}), open_content=failing_read), tmp_path)
    assert caught.value.path == "etc/a"
    with pytest.raises(MachineError, match="EIO"):
        build_bundle(replace(make_source({"etc/a": b"a"}), open_content=lambda _: FailingDisk()), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_build_keeps_the_old_bundle(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, FILES)
    old = path.read_bytes()

    def interrupted(_manifest: bytes) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_bundle(make_source({"x": b"new"}), path, signers=[interrupted])
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("needs /dev/full")
    with pytest.raises(MachineError, match="ENOENT"):
        build_bundle(make_source({}), tmp_path / "no" / "such" / "x.tar.zst")


def unread(_entry: FileEntry) -> NoReturn:
    raise AssertionError("nothing should have been read")


OBSTACLES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a directory of its name": ("", lambda at: (at / "hello-1.0-all.tar.zst").mkdir(), "EISDIR"),
    "a FIFO": ("x.tar.zst", lambda at: os.mkfifo(at / "x.tar.zst"), "EEXIST .it is a FIFO"),
    "a link to a device": ("x.tar.zst", lambda at: (at / "x.tar.zst").symlink_to("/dev/null"), "EEXIST"),
    "no directory": ("no/x.tar.zst", lambda _at: None, "ENOENT"),
    "no directory, with a slash": ("no/", lambda _at: None, "ENOENT"),
    "no directory, with a dot": ("no/.", lambda _at: None, "ENOENT"),
    "a file, with a slash": ("file/", lambda at: (at / "file").touch(), "ENOTDIR"),
    "a file, with a name below": ("file/x.tar.zst", lambda at: (at / "file").touch(), "ENOTDIR"),
    "a name that is too long": ("x" * 300, lambda _at: None, "ENAMETOOLONG"),
}


@pytest.mark.parametrize(("name", "make", "told"), OBSTACLES.values(), ids=OBSTACLES)
def test_what_is_in_the_way_of_the_bundle_is_told_before_anything_is_read(
    tmp_path: Path, name: str, make: Callable[[Path], object], told: str
) -> None:
    make(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(MachineError, match=told) as caught:
        build_bundle(replace(make_source(FILES), open_content=unread), f"{tmp_path}/{name}")
    assert caught.value.remedy or told == "ENAMETOOLONG"
    assert sorted(tmp_path.iterdir()) == before


BEYOND: dict[str, tuple[dict[str, int], str]] = {
    "entries": ({"entries": 3}, "entries: there are 4; 3 is the most"),
    "content": ({"content": 6}, "files: they have 7 bytes together; 6 is the most"),
    "manifest": ({"manifest": 600}, "entries: they make a manifest of "),
}


@pytest.mark.parametrize(("ceiling", "told"), BEYOND.values(), ids=BEYOND)
def test_more_than_a_bundle_may_have_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ceiling: dict[str, int], told: str
) -> None:
    monkeypatch.setattr(build_module, "DEFAULT_LIMITS", replace(Limits(), **ceiling))
    with pytest.raises(ManifestInvalid, match=told) as caught:
        build_bundle(replace(make_source(FILES), open_content=unread), tmp_path)
    assert "divide it into several" in str(caught.value.remedy)
    assert list(tmp_path.iterdir()) == []


def test_a_field_that_no_reader_accepts_is_told_before_anything_is_read(tmp_path: Path) -> None:
    source = make_source(FILES)
    provided = (parse_relation("a (>= 1)"),)
    manifest = replace(
        source.manifest, summary="\x1b", relations=Relations(provides=provided), created=1 << 33
    )
    with pytest.raises(ManifestInvalid) as caught:
        build_bundle(replace(source, manifest=manifest, open_content=unread), tmp_path)
    assert [one.partition(":")[0] for one in caught.value.details] == [
        "package.summary",
        "package.provides[0]",
        "package.created",
    ]
    assert "build again; no bundle was written" in str(caught.value.remedy)


def test_a_slash_at_the_end_names_a_directory_that_is_there(tmp_path: Path) -> None:
    built = build_bundle(make_source(FILES), f"{tmp_path}/")
    assert built.path == tmp_path / "hello-1.0-all.tar.zst"
    assert list(tmp_path.iterdir()) == [built.path]


WRONG = {
    "reserved": [SymlinkEntry(RelPath("proc/x"), "y")],
    "duplicate": [SymlinkEntry(RelPath("a"), "y"), DirectoryEntry(RelPath("a"), 0o755, "root", "root")],
    "hardlink_to_nothing": [HardlinkEntry(RelPath("a"), RelPath("b"))],
    "unprintable": [SymlinkEntry(RelPath("a\x1b"), "y")],
    "owner": [SymlinkEntry(RelPath("a"), "y", "no body")],
}


@pytest.mark.parametrize("entries", WRONG.values(), ids=WRONG)
def test_what_an_installer_would_refuse_is_not_published(
    tmp_path: Path, entries: list[SymlinkEntry | DirectoryEntry]
) -> None:
    with pytest.raises(ManifestInvalid):
        make_bundle(tmp_path, {}, entries)
    assert list(tmp_path.iterdir()) == []


def test_a_file_too_large_for_a_header_is_refused(tmp_path: Path) -> None:
    source = make_source({"x": b""})
    entry = source.manifest.entries[0]
    assert isinstance(entry, FileEntry)
    source = replace(source, manifest=replace(source.manifest, entries=(replace(entry, size=1 << 33),)))
    with pytest.raises(ManifestInvalid, match="8 GiB - 1 is the most"):
        build_bundle(source, tmp_path)


# --- further signatures ----------------------------------------------------------------------------------
def test_a_signature_is_added_without_touching_the_payload(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, {**FILES, "big": noise(5 * MIB)})
    path.chmod(0o640)
    before = opened(path.read_bytes())
    payload = path.read_bytes()[before.head_length :]
    assert add_signatures(path, [KEY.sign]) == [True]
    after = opened(path.read_bytes())
    assert path.read_bytes()[after.head_length :] == payload
    assert after.manifest_bytes == before.manifest_bytes
    assert after.signatures == (KEY.sign(before.manifest_bytes),)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    verified(path.read_bytes(), KEY).check_payload()


def test_signing_later_gives_the_bytes_of_signing_at_once(tmp_path: Path) -> None:
    at_once = make_bundle(tmp_path / "1", FILES, keys=[KEY, OTHER]).read_bytes()
    later = make_bundle(tmp_path / "2", FILES, keys=[KEY])
    assert add_signatures(later, [OTHER.sign]) == [True]
    assert later.read_bytes() == at_once


def test_the_same_signature_is_added_once(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, FILES, keys=[KEY])
    old = path.stat()
    assert add_signatures(path, [KEY.sign]) == [False]
    assert path.stat().st_ino == old.st_ino


def test_there_is_room_for_sixteen_signatures(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, FILES, keys=[fixed_key(seed) for seed in range(1, 17)])
    verified(path.read_bytes(), fixed_key(16)).check_payload()
    with pytest.raises(BundleDamaged, match="16 signatures"):
        add_signatures(path, [fixed_key(17).sign])


def test_signatures_that_do_not_all_find_room_are_refused_together(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, FILES, keys=[fixed_key(seed) for seed in range(1, 16)])
    before = path.read_bytes()
    old = fixed_key(1).sign
    with pytest.raises(BundleDamaged, match="15 signatures, and room for 1 more; 2 are to be added"):
        add_signatures(path, [fixed_key(16).sign, old, fixed_key(17).sign])
    assert path.read_bytes() == before
    assert add_signatures(path, [fixed_key(16).sign, old]) == [True, False]


def test_several_signatures_are_added_at_once_and_each_of_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_bundle(tmp_path, FILES, keys=[KEY])
    written: list[Path] = []

    def counting(path: Path, mode: int) -> AbstractContextManager[BinaryIO]:
        written.append(path)
        return replace_file(path, mode)

    monkeypatch.setattr("intact.bundle.sign.replace_file", counting)
    third = fixed_key(3)
    signers = [OTHER.sign, KEY.sign, third.sign, OTHER.sign]
    assert add_signatures(path, signers) == [True, False, True, False]
    assert written == [path]
    assert path.read_bytes() == make_bundle(tmp_path / "2", FILES, keys=[KEY, OTHER, third]).read_bytes()


def test_a_signer_that_fails_keeps_the_old_bundle_whoever_signed_before(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, FILES)
    before = path.read_bytes()

    def fail(_manifest: bytes) -> NoReturn:
        raise UsageError("no")

    with pytest.raises(UsageError):
        add_signatures(path, [KEY.sign, fail])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fails_while_signing_keeps_the_old_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_bundle(tmp_path, FILES)
    old = path.read_bytes()

    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("intact.bundle.sign.head_frame", fail)
    with pytest.raises(NoSpace):
        add_signatures(path, [KEY.sign])
    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(NoSpace):
        add_signatures(path, [KEY.sign])
    monkeypatch.undo()
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_bundle_cannot_be_signed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"nothing")
    with pytest.raises(BundleDamaged):
        add_signatures(path, [KEY.sign])
    assert path.read_bytes() == b"nothing"
    assert list(tmp_path.iterdir()) == [path]
