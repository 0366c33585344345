"""A manifest that is read quickly, line by line, says what any reader of TOML finds in it; so does a broken one."""

import re
from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from intact.bundle.canonical_entries import canonical_entries, split_canonical
from intact.bundle.manifest_text import parse_manifest, render_manifest
from intact.bundle.tarstream import stream_length
from intact.model.entries import Digest, DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.errors import IntactError
from intact.model.manifest import Frame, Manifest, PackageIdentity
from intact.model.paths import PathFault, RelPath
from intact.model.versions import Version

_QUICK, _SLOW = b"\n[entries]\n", b"\n[entries] \n"  # the same TOML, but not as we write it
_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
_modes = st.sampled_from([0o644, 0o755, 0o600, 0o4755])
_accounts = st.sampled_from(["root", "games", "0", "1000"])
_times = st.sampled_from([0, 5, 8**11 - 1])


@st.composite
def _paths(draw: st.DrawFn) -> RelPath:
    while True:
        with suppress(PathFault):
            return RelPath.parse("/".join(draw(st.lists(_names, min_size=1, max_size=2))))


@st.composite
def _manifests(draw: st.DrawFn) -> Manifest:
    entries: list[Entry] = []
    files: list[FileEntry] = []
    for path in sorted(draw(st.sets(_paths(), max_size=6))):
        owners = (draw(_accounts), draw(_accounts))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            entries.append(DirectoryEntry(path, draw(_modes), *owners))
        elif kind == 1:
            entries.append(SymlinkEntry(path, draw(_names), *owners))
        elif kind == 2 and files:
            entries.append(HardlinkEntry(path, draw(st.sampled_from(files)).path))
        else:
            size = draw(st.integers(0, 3))
            digest = Digest(draw(st.sampled_from(["0", "a"])) * 64)
            file = FileEntry(path, draw(_modes), *owners, draw(_times), size, digest, draw(st.booleans()))
            files.append(file)
            entries.append(file)
    return Manifest(
        PackageIdentity("tool", Version("1"), "all"),
        created=5,
        entries=tuple(entries),
        frames=(Frame(9, stream_length(files), Digest("0" * 64)),),
    )


def _outcome(text: bytes) -> object:
    try:
        return parse_manifest(text)
    except IntactError as error:
        return type(error), re.sub(r"byte \d+ is", "a byte is", error.message), error.details


@given(_manifests())
def test_what_we_write_is_read_quickly_and_says_the_same(manifest: Manifest) -> None:
    text = render_manifest(manifest)
    assert text.count(_QUICK) == 1
    assert _outcome(text) == _outcome(text.replace(_QUICK, _SLOW))


@given(_manifests(), st.data())
def test_a_damaged_manifest_has_the_same_faults_either_way(manifest: Manifest, data: st.DataObject) -> None:
    text = bytearray(render_manifest(manifest))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        end = min(len(text), at + data.draw(st.sampled_from([0, 1, 1, 9])))
        new = data.draw(
            st.sampled_from(
                [
                    b"",
                    b"0",
                    b"\n",
                    b'"',
                    b"'''",
                    b'"""',
                    b"]\n",
                    b"[",
                    b"#",
                    b"\\",
                    b"\r",
                    b"\xff",
                    b"x = 1\n",
                ]
            )
            | st.sampled_from(bytes(text).split(b"\n")).map(lambda line: line + b"\n")
        )
        text[at:end] = new
    assert _outcome(bytes(text)) == _outcome(bytes(text).replace(_QUICK, _SLOW, 1))


_HEAD = b'format = 1\nrequires_features = []\n\n[package]\nname = "a"\nversion = "1"\narchitecture = "all"\ncreated = 5\n'
_TAIL = b'\n[payload]\nframes = [\n  {compressed = 9, size = 1024, sha256 = "' + b"0" * 64 + b'"},\n]\n'
_DIRECTORIES = b'directories = [\n  {path = "a"},\n]\n'


@given(st.just(b""))
@example(b"entries.files = []\n")
@example(b"[entries.more]\n")
@example(b"[[entries]]\n")
@example(b"x = '''\n")
@example(b'x = """\n')
@example(b"created = 6\n")
@example(b'"entries" = 1\n')
def test_nothing_before_the_entries_changes_what_their_line_means(before: bytes) -> None:
    for head in (before + _HEAD + _TAIL, _HEAD + before + _TAIL, _HEAD + _TAIL + before):
        for after in (_DIRECTORIES, _DIRECTORIES * 2, _DIRECTORIES + b"'''\n", _DIRECTORIES + b"[entries]\n"):
            text = head + _QUICK + after
            assert _outcome(text) == _outcome(text.replace(_QUICK, _SLOW, 1))


def test_the_quick_way_is_taken_for_what_we_write() -> None:
    entries = (
        DirectoryEntry(RelPath("d"), 0o755, "root", "root"),
        FileEntry(RelPath("d/ü"), 0o4755, "games", "1000", 7, 3, Digest("a" * 64), config=True),
        HardlinkEntry(RelPath("d/w"), RelPath("d/ü")),
        SymlinkEntry(RelPath("d/x"), "../y", "games", "root"),
    )
    parts = split_canonical(
        render_manifest(Manifest(PackageIdentity("a", Version("1"), "all"), entries=entries))
    )
    assert parts is not None
    listed = canonical_entries(parts[1], 0)
    assert listed is not None
    assert {one for rows in listed.values() for one in rows} == {*entries}


def test_attributes_escapes_and_other_forms_are_left_to_the_reader_of_toml() -> None:
    for line in (
        b'  {path = "a", mode = "0755", xattrs = {"user.x" = ""}},',
        b'  {path = "\\u0061"},',
        b"  {path = 'a'},",
        b' {path = "a"},',
        b'  {path = "a"}',
        b'  {path = "a"}, # !',
        b'  {path = "a/../b"},',
        b'  {path = "a", owner = "?"},',
        b'  {path = "a", owner = "4294967295"},',
    ):
        assert canonical_entries(b"directories = [\n" + line + b"\n]\n", 0) is None
    assert canonical_entries(b'directories = [\n  {path = "a"},\n]\n' * 2, 0) is None
    assert canonical_entries(b'directories = [\n  {path = "a"},\n', 0) is None
    assert canonical_entries(b"\xff", 0) is None
    size = b'files = [\n  {path = "a", size = 8589934592, sha256 = "' + b"0" * 64 + b'"},\n]\n'
    assert canonical_entries(size, 0) is None
