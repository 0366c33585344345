"""Whatever is built can be read, whatever is written can be parsed, and no noise is mistaken for a bundle."""

import hashlib
import io
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from intact.bundle.entry_text import entry_lines, least_length
from intact.bundle.fields import parse_toml
from intact.bundle.manifest_text import parse_manifest, render_manifest
from intact.bundle.read import open_bundle
from intact.bundle.tarstream import TarFault, layout, member_header, padding, stream_length
from intact.bundle.toml_text import text_of
from intact.bundle.values import path_of
from intact.bundle.zstdframes import FrameFault, compress_frame, decompress_frame, parse_frame_header
from intact.model.entries import Digest, DirectoryEntry, Entry, FileEntry, SymlinkEntry
from intact.model.errors import BundleRefused
from intact.model.manifest import Frame, Manifest, PackageIdentity
from intact.model.paths import RelPath
from intact.model.versions import Version
from support.bundle_parts import make_bundle, opened, verified

DIGEST = Digest(hashlib.sha256(b"").hexdigest())
ROOM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def is_path(text: str) -> bool:
    try:
        path_of(text)
    except ValueError:
        return False
    return text.partition("/")[0] not in {"proc", "sys", "dev", "run", "var"}


PATHS = st.lists(st.text("aZ09._-+~ \\\"'#ä日🎉%[]{}", min_size=1, max_size=60), min_size=1, max_size=5).map(
    "/".join
)
SOUND_PATHS = PATHS.filter(is_path).map(RelPath)
MODES = st.integers(0, 0o7777)
OWNERS = st.sampled_from(["root", "0", "daemon", "www-data", "2147483646"])
XATTRS = st.dictionaries(st.sampled_from(["security.capability", "user.x", "user.y"]), st.binary())
SORTED_XATTRS = XATTRS.map(lambda found: tuple(sorted(found.items())))
FILES = st.builds(
    FileEntry,
    SOUND_PATHS,
    MODES,
    OWNERS,
    OWNERS,
    st.integers(0, 8**11 - 1),
    st.integers(0, 5000),
    st.just(DIGEST),
    st.booleans(),
    SORTED_XATTRS,
)
DIRECTORIES = st.builds(DirectoryEntry, SOUND_PATHS, MODES, OWNERS, OWNERS, SORTED_XATTRS)
SYMLINKS = st.builds(SymlinkEntry, SOUND_PATHS, SOUND_PATHS.map(str), OWNERS, OWNERS)


def compatible(entries: list[Entry]) -> bool:
    solid = {entry.path for entry in entries if not isinstance(entry, DirectoryEntry)}
    paths = [entry.path for entry in entries]
    return len(set(paths)) == len(paths) and not any(solid & set(path.ancestors) for path in paths)


@ROOM
@given(st.lists(st.one_of(FILES, DIRECTORIES, SYMLINKS), max_size=12), st.integers(0, 8**11 - 1))
def test_a_manifest_is_its_own_inverse(entries: list[Entry], created: int) -> None:
    assume(compatible(entries))
    ordered = tuple(sorted(entries, key=lambda entry: entry.path))
    length = stream_length(entry for entry in ordered if isinstance(entry, FileEntry))
    manifest = Manifest(
        PackageIdentity("p", Version("1"), "all"),
        created=created,
        entries=ordered,
        frames=(Frame(30, length, DIGEST),),
    )
    text = render_manifest(manifest)
    assert parse_manifest(text) == manifest
    assert render_manifest(parse_manifest(text)) == text


@ROOM
@given(st.lists(st.one_of(FILES, DIRECTORIES, SYMLINKS), max_size=12), st.integers(0, 8**11 - 1))
def test_the_lines_of_entries_are_never_shorter_than_foreseen(entries: list[Entry], created: int) -> None:
    manifest = Manifest(PackageIdentity("p", Version("1"), "all"), created=created, entries=tuple(entries))
    assert least_length(entries) <= len("".join(f"{line}\n" for line in entry_lines(manifest)).encode())


@given(st.text())
def test_any_text_survives_as_a_toml_string(text: str) -> None:
    assume(not any("\ud800" <= character <= "\udfff" for character in text))
    assert parse_toml(f"a = {text_of(text)}\n".encode(), "m") == {"a": text}


@given(st.binary(max_size=400))
def test_no_noise_is_a_manifest(noise: bytes) -> None:
    try:
        parse_manifest(noise)
    except BundleRefused:
        return
    raise AssertionError(noise)


@given(st.binary(max_size=300), st.booleans())
def test_no_noise_is_a_bundle(noise: bytes, starts_well: bool) -> None:  # noqa: FBT001  a drawn value
    try:
        open_bundle(io.BytesIO(b"\x28\xb5\x2f\xfd" * starts_well + noise), "noise")
    except BundleRefused:
        return
    raise AssertionError(noise)


@given(SOUND_PATHS, st.integers(0, 8**11 - 1), MODES, st.integers(0, 8**11 - 1))
def test_a_header_is_whole_blocks_with_a_right_checksum(path: str, size: int, mode: int, mtime: int) -> None:
    blocks = member_header(path, size, mode, mtime)
    assert len(blocks) % 512 == 0
    last = blocks[-512:]
    assert int(last[148:154], 8) == sum(last[:148] + b" " * 8 + last[156:])
    span = next(layout([FileEntry(RelPath(path), mode, "root", "root", mtime, size, DIGEST)]))
    assert span.content == len(blocks)
    assert span.end == len(blocks) + size + padding(size)


@given(st.integers(), st.integers())
def test_a_header_is_made_or_refused(size: int, mtime: int) -> None:
    try:
        assert len(member_header("a", size, 0o644, mtime)) == 512
    except TarFault:
        assert not (0 <= size < 8**11 and 0 <= mtime < 8**11)


@ROOM
@given(st.binary(min_size=1, max_size=5000), st.integers(1, 19))
def test_a_frame_is_its_own_inverse(content: bytes, level: int) -> None:
    assert decompress_frame(compress_frame(content, level), len(content)) == content


@given(st.binary(max_size=60))
def test_no_noise_is_a_frame_by_accident(noise: bytes) -> None:
    stored = b"\x28\xb5\x2f\xfd" + noise
    try:
        size = parse_frame_header(stored[:18]).content_size
        assert len(decompress_frame(stored, size)) == size
    except FrameFault:
        return


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(SOUND_PATHS, st.binary(max_size=3000), max_size=8),
    st.sampled_from([None, 1, 511, 1 << 16]),
    st.data(),
)
def test_any_choice_of_files_comes_out_as_it_went_in(
    files: dict[str, bytes], most: int | None, data: st.DataObject
) -> None:
    assume(not any(set(RelPath(path).ancestors) & files.keys() for path in files))
    with tempfile.TemporaryDirectory() as folder:
        stored = make_bundle(Path(folder) / "b", files).read_bytes()
    needed = data.draw(st.sets(st.sampled_from(sorted(files)))) if files else set()
    bundle = verified(stored, most=most)
    found = {entry.path: b"".join(pieces) for entry, pieces in bundle.contents({RelPath(p) for p in needed})}
    assert found == {path: files[path] for path in needed}
    assert opened(stored).head_length < len(stored)
