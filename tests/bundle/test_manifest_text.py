"""A bundle manifest: equal manifests give equal bytes, and whatever is not one is refused with all its faults."""

import hashlib
from dataclasses import replace

import pytest

from intact.bundle.manifest_text import parse_manifest, render_manifest
from intact.bundle.tarstream import stream_length
from intact.model.entries import Digest, DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.errors import FeatureUnknown, ManifestInvalid
from intact.model.limits import Limits
from intact.model.manifest import Frame, Manifest, PackageIdentity, Relations
from intact.model.paths import RelPath
from intact.model.relations import parse_relation, parse_requirement
from intact.model.versions import Version

DIGEST = Digest(hashlib.sha256(b"x").hexdigest())
CREATED = 1_600_000_000


def file(path: str, **fields: object) -> FileEntry:
    plain = FileEntry(RelPath(path), 0o644, "root", "root", CREATED, 5, DIGEST)
    return replace(plain, **fields)  # type: ignore[arg-type]


def manifest(*entries: Entry) -> Manifest:
    length = stream_length(entry for entry in entries if isinstance(entry, FileEntry))
    return Manifest(
        PackageIdentity("hello", Version("1.0-2"), "amd64"),
        created=CREATED,
        entries=entries,
        frames=(Frame(100, length, DIGEST),),
    )


EVERYTHING = replace(
    manifest(
        DirectoryEntry(RelPath("etc/hello"), 0o2750, "daemon", "adm", (("user.a", b"\0\xff"),)),
        file("etc/hello/conf", config=True, mode=0o600, owner="1000", group="games", mtime=0),
        SymlinkEntry(RelPath("etc/link"), "/../else where"),
        SymlinkEntry(RelPath("etc/owned"), "x", "www-data", "www-data"),
        file(r"usr/a\x2d.slice", size=0),
        file('usr/quote"ä', mode=0o4755, xattrs=(("security.capability", b"\1"), ("user.b", b""))),
        HardlinkEntry(RelPath("usr/z"), RelPath('usr/quote"ä')),
    ),
    summary='says "hello" \\ and 日本',
    license="GPL-3.0-or-later",
    upgrade_from=Version("0.9"),
    relations=Relations(
        (parse_requirement("libc6 (>= 2.36) | musl"), parse_requirement("awk")),
        (parse_relation("goodbye"),),
        (parse_relation("greeter (= 1)"),),
        (parse_relation("old-hello (<< 1)"),),
    ),
)


def test_a_manifest_comes_back_as_it_was_written() -> None:
    assert parse_manifest(render_manifest(EVERYTHING)) == EVERYTHING


def test_writing_is_deterministic_and_leaves_defaults_out() -> None:
    text = render_manifest(manifest(DirectoryEntry(RelPath("usr"), 0o755, "root", "root"), file("usr/x")))
    assert text.decode() == (
        "format = 1\nrequires_features = []\n\n"
        '[package]\nname = "hello"\nversion = "1.0-2"\narchitecture = "amd64"\ncreated = 1600000000\n\n'
        f'[payload]\nframes = [\n  {{compressed = 100, size = 2048, sha256 = "{DIGEST}"}},\n]\n\n'
        '[entries]\ndirectories = [\n  {path = "usr"},\n]\n'
        f'files = [\n  {{path = "usr/x", size = 5, sha256 = "{DIGEST}"}},\n]\n'
    )


def test_a_repeated_relation_is_written_once() -> None:
    twice = replace(manifest(), relations=Relations(requires=(parse_requirement("a"),) * 2))
    assert parse_manifest(render_manifest(twice)).relations.requires == (parse_requirement("a"),)


def test_entries_are_sorted_by_path_whatever_the_order_of_the_text() -> None:
    text = render_manifest(manifest(file("b"), file("a"), file("a-b"), file("ü"), file("z")))
    assert [entry.path for entry in parse_manifest(text).entries] == ["a", "a-b", "b", "z", "ü"]


HEAD = '[package]\nname = "x"\nversion = "1"\narchitecture = "all"\ncreated = 7\n'
EMPTY = f'[payload]\nframes = [{{compressed = 20, size = 1024, sha256 = "{DIGEST}"}}]\n'


def faults_of(text: str, limits: Limits | None = None) -> list[str]:
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(text.encode(), "m", limits or Limits())
    return list(caught.value.details)


def of_entries(rows: str) -> list[str]:
    return faults_of(f"format = 1\n{HEAD}{EMPTY}[entries]\n{rows}")


def row(**changed: str) -> str:
    keys = {"path": '"a"', "size": "0", "sha256": f'"{DIGEST}"', **changed}
    return "files = [{" + ", ".join(f"{key} = {value}" for key, value in keys.items() if value) + "}]\n"


def test_the_smallest_manifest_is_one() -> None:
    assert parse_manifest(f"format = 1\n{HEAD}{EMPTY}".encode()).identity.name == "x"


FILE_FAULTS = {
    "unknown_key": ({"colour": '"red"'}, "files[0].colour: unknown key; known are config, group, mode"),
    "near_key": ({"onwer": '"root"'}, "files[0].onwer: unknown key; did you mean owner?"),
    "missing_path": ({"path": ""}, "files[0].path: is missing"),
    "missing_size": ({"size": ""}, "files[0].size: is missing"),
    "missing_digest": ({"sha256": ""}, "files[0].sha256: is missing"),
    "absolute": ({"path": '"/etc/x"'}, "files[0].path: the path is absolute"),
    "climbing": ({"path": '"a/../../x"'}, "files[0].path: the path has a component '..'"),
    "nul": ({"path": r'"a\u0000b"'}, "files[0].path: the path has the unprintable character U+0000"),
    "escape": ({"path": r'"a\u001bb"'}, "files[0].path: the path has the unprintable character U+001B"),
    "bidi": ({"path": r'"a\u202Eb"'}, "files[0].path: the path has the unprintable character U+202E"),
    "not_nfc": ({"path": r'"e\u0301"'}, "files[0].path: the path is not in Unicode normal form C"),
    "staging": ({"path": '"a/.intact/b"'}, "files[0].path: .intact is reserved"),
    "state": ({"path": '"var/lib/intact/x"'}, "files[0].path: var/lib/intact is where"),
    "proc": ({"path": '"proc/self"'}, "files[0].path: what lies in proc"),
    "dev_itself": ({"path": '"dev"'}, "files[0].path: what lies in dev"),
    "mode_number": ({"mode": "644"}, "files[0].mode: must be a string, not a whole number"),
    "mode_short": ({"mode": '"644"'}, "files[0].mode: '644' is not a mode; write four octal digits"),
    "mode_large": ({"mode": '"17777"'}, "files[0].mode: '17777' is not a mode"),
    "mode_eight": ({"mode": '"0848"'}, "files[0].mode: '0848' is not a mode"),
    "owner_empty": ({"owner": '""'}, "files[0].owner: '' is not the name of a user or group"),
    "owner_shell": ({"owner": '"a;b"'}, "files[0].owner: 'a;b' is not the name"),
    "owner_minus_one": ({"owner": '"4294967295"'}, "files[0].owner: the number 4294967295 is out of range"),
    "group_octal": ({"group": '"007"'}, "files[0].group: '007' is not the name"),
    "size_float": ({"size": "1.0"}, "files[0].size: must be a whole number, not a number with a fraction"),
    "size_nan": ({"size": "nan"}, "files[0].size: must be a whole number, not a number with a fraction"),
    "size_bool": ({"size": "true"}, "files[0].size: must be a whole number, not true or false"),
    "size_date": ({"size": "1979-05-27"}, "files[0].size: must be a whole number, not a date or time"),
    "size_negative": ({"size": "-1"}, "files[0].size: is out of range"),
    "size_8_gib": ({"size": "8589934592"}, "files[0].size: is out of range (0 to 8589934591)"),
    "size_huge": ({"size": "9" * 40}, "files[0].size: is out of range"),
    "mtime_negative": ({"mtime": "-5"}, "files[0].mtime: is out of range"),
    "config_text": ({"config": '"yes"'}, "files[0].config: must be true or false, not a string"),
    "config_one": ({"config": "1"}, "files[0].config: must be true or false, not a whole number"),
    "digest_upper": ({"sha256": f'"{"A" * 64}"'}, "files[0].sha256: is not a SHA-256"),
    "digest_short": ({"sha256": '"00"'}, "files[0].sha256: is not a SHA-256"),
    "xattrs_list": ({"xattrs": "[]"}, "files[0].xattrs: must be a table, not a list"),
    "xattrs_number": ({"xattrs": '{"user.a" = 1}'}, "files[0].xattrs.'user.a': must be a string of base64"),
    "xattrs_name": ({"xattrs": '{"trusted.overlay" = ""}'}, "files[0].xattrs.'trusted.overlay': only"),
    "xattrs_text": ({"xattrs": '{"user.a" = "%"}'}, "files[0].xattrs.'user.a': is not base64"),
    "xattrs_sloppy": ({"xattrs": '{"user.a" = "QQF="}'}, "files[0].xattrs.'user.a': is not canonical"),
}


@pytest.mark.parametrize(("changed", "fault"), FILE_FAULTS.values(), ids=FILE_FAULTS)
def test_a_wrong_key_of_a_file_is_named_with_its_place(changed: dict[str, str], fault: str) -> None:
    assert [line[: len(fault)] for line in of_entries(row(**changed))] == [fault]


RELATION_FAULTS = {
    "duplicate": (
        'directories = [{path = "a"}, {path = "a"}]',
        "directories[1].path: a is already at directories[0]",
    ),
    "duplicate_across_kinds": (
        'directories = [{path = "a"}]\nsymlinks = [{path = "a", target = "b"}]',
        "symlinks[0].path: a is already at directories[0]",
    ),
    "inside_a_link": (
        'symlinks = [{path = "a", target = "b"}]\ndirectories = [{path = "a/b/c"}]',
        "directories[0].path: a/b/c lies inside a, which is no directory",
    ),
    "hardlink_to_nothing": (
        'hardlinks = [{path = "a", target = "b"}]',
        "hardlinks[0].target: b is not a file of this manifest",
    ),
    "hardlink_to_link": (
        'symlinks = [{path = "b", target = "c"}]\nhardlinks = [{path = "a", target = "b"}]',
        "hardlinks[0].target: b is not a file of this manifest",
    ),
    "empty_target": ('symlinks = [{path = "a", target = ""}]', "symlinks[0].target: the target is empty"),
    "long_target": (
        f'symlinks = [{{path = "a", target = "{"ä" * 2048}"}}]',
        "symlinks[0].target: the target is longer than 4095 bytes",
    ),
    "newline_in_target": (
        r'symlinks = [{path = "a", target = "b\nc"}]',
        "symlinks[0].target: has the unprintable character U+000A",
    ),
    "unknown_kind": (
        "devices = []",
        "devices: unknown key; known are directories, files, hardlinks, symlinks",
    ),
    "not_a_list": ('files = "a"', "files: must be a list, not a string"),
    "not_a_table": ("directories = [1]", "directories[0]: must be a table"),
}


@pytest.mark.parametrize(("rows", "fault"), RELATION_FAULTS.values(), ids=RELATION_FAULTS)
def test_entries_that_cannot_stand_together_are_named(rows: str, fault: str) -> None:
    assert fault in of_entries(rows)


def test_directories_that_the_system_mounts_over_may_be_owned() -> None:
    rows = "[entries]\ndirectories = [" + "".join(f'{{path = "{one}"}},' for one in ("proc", "run", "var/x"))
    assert len(parse_manifest(f"format = 1\n{HEAD}{EMPTY}{rows}]".encode()).entries) == 3


PACKAGE_FAULTS = {
    "name": ('name = "Hello"', "package.name: 'Hello' is not a package name"),
    "version": ('version = "1 2"', "package.version: '1 2' is not a version"),
    "architecture": ('architecture = "AMD/64"', "package.architecture: 'AMD/64' is not an architecture"),
    "created": ("created = true", "package.created: must be a whole number, not true or false"),
    "summary": (r'summary = "\u001b[31m"', "package.summary: has the unprintable character U+001B"),
    "license": (f'license = "{"x" * 1025}"', "package.license: is longer than 1024 characters"),
    "upgrade_from": ("upgrade_from = 1", "package.upgrade_from: must be a string, not a whole number"),
    "requires": ('requires = ["a b"]', "package.requires[0]: 'a b' is not a relation"),
    "requires_type": ("requires = [1]", "package.requires[0]: must be a string"),
    "requires_twice": ('requires = ["a", "a"]', "package.requires[1]: 'a' is said twice"),
    "provides": ('provides = ["a (>= 1)"]', "package.provides[0]: 'a (>= 1)' provides no definite version"),
    "unknown": ("hook = 1", "package.hook: unknown key"),
}


@pytest.mark.parametrize(("line", "fault"), PACKAGE_FAULTS.values(), ids=PACKAGE_FAULTS)
def test_a_wrong_key_of_the_package_is_named(line: str, fault: str) -> None:
    key = line.partition(" ")[0]
    kept = "".join(one + "\n" for one in HEAD.splitlines() if not one.startswith(f"{key} "))
    found = faults_of(f"format = 1\n{kept}{line}\n{EMPTY}")
    assert [one[: len(fault)] for one in found] == [fault]


def test_a_manifest_without_anything_names_all_that_is_missing() -> None:
    assert set(faults_of("")) >= {
        "format: is missing",
        "package: the table is missing",
        "package.name: is missing",
        "package.version: is missing",
        "package.architecture: is missing",
        "package.created: is missing",
        "payload: the table is missing",
    }


def frame_faults(rows: str) -> list[str]:
    return faults_of(f"format = 1\n{HEAD}[payload]\nframes = [{rows}]\n")


def test_frames_must_add_up_to_the_stream() -> None:
    expected = "payload.frames: they add up to 1023 bytes; the files make a stream of 1024"
    assert frame_faults(f'{{compressed = 20, size = 1023, sha256 = "{DIGEST}"}}') == [expected]
    assert frame_faults("") == [expected.replace("1023", "0")]


@pytest.mark.parametrize(
    ("frame", "place"),
    [
        ("compressed = 20, size = 0", "payload.frames[0].size: no frame is empty"),
        ("compressed = 2000, size = 1024", "payload.frames[0].compressed: is more than any compressor makes"),
        ("compressed = 20, size = 16777217", "payload.frames[0].size: is out of range (0 to 16777216)"),
        ("compressed = 20, size = 1024, offset = 1", "payload.frames[0].offset: unknown key"),
    ],
)
def test_a_frame_that_no_builder_makes_is_refused(frame: str, place: str) -> None:
    found = frame_faults(f'{{{frame}, sha256 = "{DIGEST}"}}')
    assert any(one.startswith(place) for one in found)


# --- as a whole -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"format = 1\xff", "byte 10 is not UTF-8"),
        (b"\xef\xbb\xbfformat = 1", "Invalid"),
        (b"format = ", "Invalid value"),
        (b"format = 1\nformat = 1", "overwrite"),
        (b"x = " + b"9" * 5000, "integer string conversion"),
        (b"x = " + b"[" * 100_000, "nested too deeply"),
        (b"x = " + b"{a = " * 100_000, "nested too deeply"),
    ],
    ids=["not_utf8", "bom", "no_value", "twice", "5000_digits", "nested_lists", "nested_tables"],
)
def test_whatever_toml_cannot_be_parsed_is_one_error(text: bytes, reason: str) -> None:
    with pytest.raises(ManifestInvalid, match=reason):
        parse_manifest(text)


@pytest.mark.parametrize(
    "top",
    ["format = 2", "format = 0", 'format = 1\nrequires_features = ["delta"]', "format = 99\nfuture = {}"],
)
def test_a_newer_format_is_told_before_everything_else(top: str) -> None:
    with pytest.raises(FeatureUnknown, match="newer pkg"):
        parse_manifest(f"{top}\n[package]\nname = 1\n".encode())


@pytest.mark.parametrize("value", ["1.0", "true", '"1"', "[1]"])
def test_a_format_of_another_type_is_a_fault(value: str) -> None:
    assert any(one.startswith("format: must be a whole number") for one in faults_of(f"format = {value}"))


def test_a_manifest_that_does_not_fit_into_memory_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhaust(_text: str) -> None:
        raise MemoryError

    monkeypatch.setattr("intact.bundle.fields.tomli.loads", exhaust)
    with pytest.raises(ManifestInvalid, match="memory"):
        parse_manifest(b"format = 1")


def test_all_faults_are_told_at_once_and_a_flood_is_counted() -> None:
    rows = "directories = [" + '{path = "/x"},' * 300 + "]"
    found = of_entries(rows)
    assert len(found) == 201
    assert found[-1] == "… and 100 more"


def test_the_ceilings_hold_at_the_limit_and_not_one_above() -> None:
    text = render_manifest(EVERYTHING)
    size = sum(entry.size for entry in EVERYTHING.entries if isinstance(entry, FileEntry))
    for field, most in (("manifest", len(text)), ("entries", 7), ("content", size)):
        parse_manifest(text, limits=replace(Limits(), **{field: most}))
        with pytest.raises(ManifestInvalid):
            parse_manifest(text, limits=replace(Limits(), **{field: most - 1}))
    longest = len(b"security.capability") + 1 + len(b"user.b")
    parse_manifest(text, limits=Limits(xattrs=longest))
    with pytest.raises(ManifestInvalid, match="1 fault"):
        parse_manifest(text, limits=Limits(xattrs=longest - 1))
