"""Of a new version only what differs is read, whatever is wrong or unusual is read whole, and what gives rights is read always."""

import hashlib
import re
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from intact.bundle import difference as difference_module
from intact.bundle.build import build_bundle
from intact.bundle.difference import Difference, difference
from intact.bundle.manifest_text import render_manifest
from intact.bundle.reading import Reading, read_manifest
from intact.bundle.verified import VerifiedBundle, verify
from intact.model.entries import Digest, DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.errors import ManifestInvalid, Untrusted
from intact.model.limits import DEFAULT_LIMITS, Limits
from intact.model.manifest import Manifest, PackageIdentity
from intact.model.paths import RelPath
from intact.model.versions import Version
from intact.trust.store import TrustStore
from support.bundle_parts import MTIME, fixed_key, head_frame, make_source, opened, store_of
from support.situations import digest

KEY = fixed_key()


def _file(
    path: str, text: str = "1", mode: int = 0o644, mtime: int = MTIME, owner: str = "root"
) -> FileEntry:
    return FileEntry(RelPath(path), mode, owner, "root", mtime, len(text), digest(text))


def _directory(path: str, mode: int = 0o755) -> DirectoryEntry:
    return DirectoryEntry(RelPath(path), mode, "root", "root")


def _manifest(*entries: Entry, version: str = "1", created: int = MTIME) -> Manifest:
    ordered = tuple(sorted(entries, key=lambda one: one.path))
    return Manifest(PackageIdentity("hello", Version(version), "all"), created=created, entries=ordered)


def _difference(old: Manifest, new: Manifest, limits: Limits = DEFAULT_LIMITS) -> Difference | None:
    return difference(render_manifest(old), render_manifest(new), limits)


def _read(found: Difference | None) -> list[str]:
    """Name the paths that are read."""
    assert found is not None
    lines = found.text.decode().split("[entries]\n")[1].split("\n")
    return sorted(line.split('"')[1] for line in lines if line.startswith("  {"))


MANY = (_directory("opt"), _directory("opt/a"), _file("opt/a/x"), _file("opt/a/y"), _file("opt/b/z"))


def test_only_what_is_new_or_different_is_read_with_the_directories_above_it() -> None:
    new = _manifest(*MANY[:3], _file("opt/a/y", "2"), _file("opt/b/new"), MANY[4])
    found = _difference(_manifest(*MANY), new)
    assert _read(found) == ["opt", "opt/a", "opt/a/y", "opt/b/new"]
    assert found is not None
    assert (found.gone, found.entries, found.entries_before) == ((), 6, 5)


def test_what_is_gone_is_told_with_directories_that_were_there_for_its_sake() -> None:
    found = _difference(_manifest(*MANY), _manifest(*MANY[:4]))
    assert found is not None
    assert (_read(found), found.gone) == ([], (RelPath("opt/b"), RelPath("opt/b/z")))


def test_times_alone_are_no_difference() -> None:
    """Most builds renew all times; the default of a file's time is that of the build."""
    new = [replace(one, mtime=MTIME + 5) if isinstance(one, FileEntry) else one for one in MANY]
    assert _read(_difference(_manifest(*MANY), _manifest(*new, created=MTIME + 5))) == []
    assert _read(_difference(_manifest(*MANY), _manifest(*new, created=MTIME + 9))) == []
    assert _read(_difference(_manifest(*MANY), _manifest(*MANY, created=MTIME + 9))) == []


def test_all_names_of_a_file_are_read_if_one_of_them_is_different() -> None:
    file, *names = (
        _file("a"),
        HardlinkEntry(RelPath("b"), RelPath("a")),
        HardlinkEntry(RelPath("c"), RelPath("a")),
    )
    other = _file("d")
    assert _read(_difference(_manifest(file, *names, other), _manifest(_file("a", "2"), *names, other))) == [
        *"abc"
    ]
    assert _read(_difference(_manifest(file, *names, other), _manifest(file, names[0], other))) == [*"ab"]
    assert _read(_difference(_manifest(file, names[0], other), _manifest(file, *names, other))) == [*"abc"]
    assert _read(_difference(_manifest(file, *names, other), _manifest(file, *names, _file("d", "2")))) == [
        "d"
    ]


RIGHTS: dict[str, Entry] = {
    "set-id": _file("bin/su", mode=0o4755),
    "writable by its group": _file("bin/su", mode=0o775),
    "writable by all": _file("bin/su", mode=0o757),
    "another owner": _file("bin/su", owner="www"),
    "attributes": replace(_file("bin/su"), xattrs=(("security.capability", b"x"),)),
    "a directory": _directory("bin", 0o1777),
    "a link": SymlinkEntry(RelPath("bin/su"), "x", owner="www"),
}


@pytest.mark.parametrize("case", RIGHTS)
def test_what_gives_rights_is_read_though_it_stays(case: str) -> None:
    one = RIGHTS[case]
    found = _difference(_manifest(one, _file("x")), _manifest(one, _file("x", "2")))
    assert one.path in _read(found)


SPELLINGS = [
    b', mode="4755"',
    b", mode = '4755'",
    b', "mode" = "4755"',
    b',mode = "4755"',
    b', owner="www"',
    b', group =  "www"',
    b", owner = 'www'",
    b', xattrs."security.capability" = "AA=="',
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_gives_rights_is_read_however_it_is_spelled(spelling: bytes) -> None:
    texts = []
    for number in (b"1", b"2"):
        text = render_manifest(_manifest(_file("bin/su"), _file("x", number.decode())))
        texts.append(text.replace(b'"},\n  {path = "x"', b'"' + spelling + b'},\n  {path = "x"'))
        assert spelling in texts[-1]
    assert "bin/su" in _read(difference(texts[0], texts[1], DEFAULT_LIMITS))


def test_what_gives_no_rights_is_not_read() -> None:
    plain: list[Entry] = [
        _file("a", mode=0o755),
        _file("b", mode=0o444),
        replace(_file("c"), group="0"),
        _directory("d", 0o700),
    ]
    assert _read(_difference(_manifest(*plain, _file("x")), _manifest(*plain, _file("x", "2")))) == ["x"]


def test_in_the_target_of_a_link_nothing_is_a_time() -> None:
    old, new = (SymlinkEntry(RelPath("l"), target) for target in ("/bin/sh", ", mtime = 5/bin/sh"))
    assert _read(_difference(_manifest(old), _manifest(new))) == ["l"]
    assert _read(_difference(_manifest(new), _manifest(replace(new, target=", mtime = 6/bin/sh")))) == ["l"]


@pytest.mark.parametrize("time", [b"99999999999", b"8999999999", b"007", b"1_0", b"1.5"])
def test_a_time_that_cannot_be_is_a_difference(time: bytes) -> None:
    old = render_manifest(_manifest(_file("a", mtime=MTIME - 1), _file("b")))
    new = old.replace(b"mtime = %d" % (MTIME - 1), b"mtime = " + time)
    assert new != old
    assert _read(difference(old, new, DEFAULT_LIMITS)) == ["a"]


def test_a_path_that_is_too_long_is_read_whole_before_it_costs_memory() -> None:
    old = render_manifest(_manifest(_directory("a"), _file("x")))
    new = old.replace(b'{path = "a"},', b'{path = "a"},\n  {path = "' + b"a/" * 8000 + b'a"},')
    tracemalloc.start()
    try:
        assert difference(old, new, DEFAULT_LIMITS) is None
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


UNUSUAL: dict[str, tuple[list[Entry], list[Entry]]] = {
    "a file becomes a directory": ([_file("a")], [_directory("a")]),
    "a link becomes a directory": ([SymlinkEntry(RelPath("a"), "b")], [_directory("a")]),
    "a directory is only implied now": ([_directory("a", 0o700), _file("a/b")], [_file("a/b")]),
    "a path with a backslash": ([_file("a\\b")], [_file("a\\b")]),
    "something inside a file that stays": ([_file("a")], [_file("a"), _file("a/b")]),
    "a file around something that stays": ([_file("a/b")], [_file("a/b"), _file("a")]),
    "two of one path": ([_file("a")], [_file("a"), SymlinkEntry(RelPath("a"), "b")]),
    "a path that looks like a time": ([_file("x")], [_file("x"), _file(", mtime = 5")]),
    "a path that looks like an entry": ([_file("x")], [_file("x"), _file("{path = ")]),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_what_is_unusual_or_wrong_is_read_whole(case: str) -> None:
    old, new = UNUSUAL[case]
    assert _difference(_manifest(*old), _manifest(*new)) is None


FORMS = {
    "two entries in a line": (b"},\n]", b'}, {path = "z", size = 1, sha256 = "' + b"0" * 64 + b'"},\n]'),
    "two entries in a line, the second spelled in another way": (
        b"},\n]",
        b'}, { size = 1, path = "z", sha256 = "' + b"0" * 64 + b'"},\n]',
    ),
    "an entry over two lines": (b", size = 1", b",\n size = 1"),
    "a comment": (b"files = [\n", b"files = [ # all\n"),
    "another key first": (b'{path = "a", size = 1', b'{size = 1, path = "a"'),
    "text over several lines": (b'sha256 = "', b'sha256 = """'),
    "a section more": (b"]\n", b"]\n\n[more]\n"),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_manifest_that_we_did_not_write_so_is_read_whole(case: str) -> None:
    old = render_manifest(_manifest(_file("a")))
    new = render_manifest(_manifest(_file("a"), _file("b"))).replace(*FORMS[case])
    assert new != render_manifest(_manifest(_file("a"), _file("b")))
    assert difference(old, new, DEFAULT_LIMITS) is None
    assert difference(new, old, DEFAULT_LIMITS) is None


def test_a_line_whose_path_does_not_end_is_read_whole_and_refused_there() -> None:
    old = render_manifest(_manifest(*MANY))
    new = old.replace(b'{path = "opt"}', b'{path = "opt}')
    assert new != old
    assert difference(old, new, DEFAULT_LIMITS) is None
    assert difference(new, old, DEFAULT_LIMITS) is None
    with pytest.raises(ManifestInvalid, match="TOML"):
        read_manifest(new, "bundle", Reading(base_of=lambda _name: old))


def test_ceilings_hold_for_all_entries() -> None:
    old, new = _manifest(_file("a")), _manifest(_file("a"), _file("b", "22"))
    assert _difference(old, new, replace(DEFAULT_LIMITS, entries=1)) is None
    assert _difference(old, new, replace(DEFAULT_LIMITS, content=2)) is None
    assert _difference(old, new, replace(DEFAULT_LIMITS, manifest=10)) is None
    assert _difference(old, new, replace(DEFAULT_LIMITS, entries=2, content=3)) is not None


# --- bundles ---------------------------------------------------------------------------------------------
FILES = {f"usr/share/{number:03}": b"%d" % number * (number * 997 % 5000) for number in range(300)}


def _built(folder: Path, files: dict[str, bytes], version: str, others: Iterable[Entry] = ()) -> bytes:
    folder.mkdir()
    source = make_source(files, others, version=version)
    return build_bundle(source, folder, signers=[KEY.sign]).path.read_bytes()


def _manifest_in(stored: bytes) -> bytes:
    return opened(stored).manifest_bytes


def _verified(stored: bytes, base: bytes, store: TrustStore | None = None) -> VerifiedBundle:
    reading = Reading(base_of={"hello": base}.get)
    return verify(opened(stored), store or store_of(KEY), now=MTIME, reading=reading)


def test_content_is_found_among_files_that_were_not_read(tmp_path: Path) -> None:
    """Files lie behind each other in the stream, so the place of one depends on all before it."""
    long = "usr/share/" + "long-" * 30
    old = _built(tmp_path / "1", FILES, "1", [_directory("usr/share")])
    changed = {**FILES, "usr/share/007": b"x" * 3000, "usr/share/299": b"", long: b"y", "usr/ümlaut": b"z"}
    bundle = _verified(_built(tmp_path / "2", changed, "2", [_directory("usr/share")]), _manifest_in(old))
    files = [one.path for one in bundle.manifest.entries if isinstance(one, FileEntry)]
    assert sorted(files) == sorted(["usr/share/007", "usr/share/299", long, "usr/ümlaut"])
    found = {
        entry.path: b"".join(bytes(piece) for piece in pieces) for entry, pieces in bundle.contents(files)
    }
    assert found == {path: changed[path] for path in files}
    assert (bundle.entries, bundle.size) == (303, sum(map(len, changed.values())))


def test_the_whole_is_there_when_it_is_asked_for(tmp_path: Path) -> None:
    old = _manifest_in(_built(tmp_path / "1", FILES, "1"))
    stored = _built(tmp_path / "2", {**FILES, "x": b"x"}, "2")
    assert len(_verified(stored, old).manifest.entries) == 1
    whole = _verified(stored, old).whole()
    assert whole.base is None
    assert whole.manifest == _verified(stored, b"no manifest").manifest
    whole.check_payload()


def test_the_same_manifest_is_read_whole(tmp_path: Path) -> None:
    stored = _built(tmp_path / "1", FILES, "1")
    assert len(_verified(stored, _manifest_in(stored)).manifest.entries) == len(FILES)


def _two_versions_with_a_set_id_file(place: Path) -> list[bytes]:
    privileged = replace(
        _file("bin/su", mode=0o4755), size=1, digest=Digest(hashlib.sha256(b"x").hexdigest())
    )
    bundles = []
    for version in ("1", "2"):
        source = make_source({"bin/su": b"x", "version": version.encode()}, version=version)
        entries = (privileged, *source.manifest.entries[1:])
        source = replace(source, manifest=replace(source.manifest, entries=entries))
        (place / version).mkdir()
        bundles.append(build_bundle(source, place / version, signers=[KEY.sign]).path.read_bytes())
    return bundles


def _store_without_roles() -> TrustStore:
    store = store_of(KEY)
    return replace(store, entries=(replace(store.entries[0], roles=()),))


def test_a_key_that_may_not_sign_rights_cannot_hide_them_in_what_stays(tmp_path: Path) -> None:
    bundles = _two_versions_with_a_set_id_file(tmp_path)
    assert _verified(bundles[1], _manifest_in(bundles[0]), store_of(KEY)).base is not None
    with pytest.raises(Untrusted, match="set-id"):
        _verified(bundles[1], _manifest_in(bundles[0]), _store_without_roles())


def test_who_reads_the_whole_asks_again_who_may_give_its_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles = _two_versions_with_a_set_id_file(tmp_path)
    monkeypatch.setattr(difference_module, "_RIGHTS", re.compile(b"(?!)"))  # as if one had been overlooked
    narrow = _verified(bundles[1], _manifest_in(bundles[0]), _store_without_roles())
    with pytest.raises(Untrusted, match="set-id"):
        narrow.whole()


def test_what_is_wrong_with_a_new_entry_is_told_with_its_place_among_all(tmp_path: Path) -> None:
    old = _manifest_in(_built(tmp_path / "1", FILES, "1"))
    text = old.replace(b'"usr/share/299"', b'"usr/share/../x"')
    with pytest.raises(ManifestInvalid) as refused:
        _verified(head_frame(text, [KEY.sign(text)]), old)
    assert any("files[299].path" in line for line in refused.value.details)
