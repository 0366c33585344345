"""What a person writes becomes a package, or a list of everything that is wrong with it."""

import errno
import hashlib
import os
import socket
from pathlib import Path

import pytest

from intact.bundle.build import build_bundle
from intact.bundle.package import UNREAD
from intact.bundle.source_manifest import read_source_manifest
from intact.model.entries import DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.errors import FeatureUnknown, IntactError, MachineError, ManifestInvalid
from intact.model.limits import DEFAULT_LIMITS
from support.bundle_parts import verified

MANIFESTS = Path(__file__).parents[2] / "manifests"
EXAMPLES = sorted(MANIFESTS.glob("*.toml"))
VALID = sorted((MANIFESTS / "valid").glob("*.toml"))
INVALID = sorted((MANIFESTS / "invalid").glob("*.toml"))
HEAD = 'format = 1\n[package]\nname = "p"\nversion = "1"\narchitecture = "all"\n'
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service=ep


def write(folder: Path, text: str) -> Path:
    path = folder / "m.toml"
    path.write_text(HEAD + text)
    return path


def read(folder: Path, text: str, *, epoch: int | None = None) -> dict[str, Entry]:
    source = read_source_manifest(write(folder, text), epoch=epoch)
    return {entry.path: entry for entry in source.manifest.entries}


def built(folder: Path, text: str) -> dict[str, Entry]:
    """What a bundle made of it has."""
    path = build_bundle(read_source_manifest(write(folder, text)), folder / "b.tar.zst").path
    return {entry.path: entry for entry in verified(path.read_bytes()).manifest.entries}


def faults(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ManifestInvalid) as caught:
        read(folder, text)
    return caught.value.details


def test_there_are_vectors() -> None:
    assert len(EXAMPLES) >= 3
    assert len(VALID) >= 4
    assert len(INVALID) >= 9


@pytest.mark.parametrize("path", [*EXAMPLES, *VALID], ids=lambda path: path.stem)
def test_examples_and_valid_vectors_can_be_built(path: Path, tmp_path: Path) -> None:
    built = build_bundle(read_source_manifest(path, epoch=1_600_000_000), tmp_path)
    assert built.path.exists()


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_vector_has_exactly_the_expected_faults(path: Path) -> None:
    with pytest.raises(IntactError) as caught:
        read_source_manifest(path)
    error = caught.value
    found = "\n".join([f"{type(error).__name__}: {error.message}", *error.details]) + "\n"
    assert found == path.with_suffix(".expected").read_text()
    assert error.path == str(path)
    assert error.remedy


def test_every_expected_file_has_its_manifest() -> None:
    assert sorted((MANIFESTS / "invalid").glob("*.expected")) == [
        one.with_suffix(".expected") for one in INVALID
    ]


# --- files -----------------------------------------------------------------------------------------------
def test_a_file_has_the_size_digest_and_time_of_its_source(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    os.utime(tmp_path / "x", (1000, 1000))
    text = '[[file]]\nsource = "x"\npath = "usr/x"\n'
    digest = hashlib.sha256(b"content").hexdigest()
    expected = FileEntry
    entry = built(tmp_path, text)["usr/x"]
    assert isinstance(entry, expected)
    assert (entry.size, entry.digest, entry.mtime, entry.mode) == (7, digest, 1000, 0o644)
    entry = read(tmp_path, text)["usr/x"]
    assert isinstance(entry, expected)
    assert (entry.size, entry.digest, entry.mtime, entry.mode) == (7, UNREAD, 1000, 0o644)
    source = read_source_manifest(tmp_path / "m.toml")
    assert source.manifest.created == 1000
    with source.open_content(entry) as content:
        assert content.read() == b"content"


@pytest.mark.parametrize(("epoch", "time", "created"), [(500, 500, 500), (2000, 1000, 2000), (0, 0, 0)])
def test_no_time_is_later_than_the_epoch(tmp_path: Path, epoch: int, time: int, created: int) -> None:
    (tmp_path / "x").touch()
    os.utime(tmp_path / "x", (1000, 1000))
    manifest = read_source_manifest(
        write(tmp_path, '[[file]]\nsource = "x"\npath = "usr/x"\n'), epoch=epoch
    ).manifest
    entry = manifest.entries[0]
    assert isinstance(entry, FileEntry)
    assert (entry.mtime, manifest.created) == (time, created)


def test_sources_that_fit_into_no_bundle_are_named_with_what_helps(tmp_path: Path) -> None:
    for name, size, time in (("late", 1, 13_569_465_600), ("large", 8 << 30, 1000), ("last", 1, 8**11 - 1)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
        os.utime(tmp_path / name, (time, time))
    text = "".join(f'[[file]]\nsource = "{name}"\npath = "x/"\n' for name in ("late", "large", "last"))
    text += '[[hardlink]]\npath = "y"\ntarget = "x/late"\n'
    latest = "0 to 8589934591 (in the year 2242)"
    assert faults(tmp_path, text) == (
        f"file[0]: {tmp_path}/late: the time 13569465600 does not fit: {latest}; touch it, or set SOURCE_DATE_EPOCH",
        f"file[1]: {tmp_path}/large: a file of 8589934592 bytes does not fit: 8 GiB - 1 is the most; split it",
    )
    (tmp_path / "large").unlink()
    (tmp_path / "large").touch()
    assert read(tmp_path, text, epoch=1_600_000_000).keys() >= {"x/late", "x/large"}


def test_a_time_before_1970_becomes_1970(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    os.utime(tmp_path / "x", (-315_619_200, -315_619_200))
    source = read_source_manifest(write(tmp_path, '[[file]]\nsource = "x"\npath = "usr/x"\n'))
    (entry,) = source.manifest.entries
    assert isinstance(entry, FileEntry)
    assert (entry.mtime, source.manifest.created) == (0, 0)
    assert build_bundle(source, tmp_path).path.exists()


def test_a_link_as_source_of_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    (tmp_path / "link").symlink_to("x")
    entry = read(tmp_path, '[[file]]\nsource = "link"\npath = "usr/x"\n')["usr/x"]
    assert isinstance(entry, FileEntry)
    assert entry.size == 7


def test_an_absolute_glob_is_absolute(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.conf").touch()
    (tmp_path / "in" / "b.conf").symlink_to("a.conf")
    text = f'[[file]]\nsource = "{tmp_path}/in/*.conf"\npath = "etc/"\n'
    assert sorted(read(tmp_path, text)) == ["etc/a.conf", "etc/b.conf"]


def test_two_globs_that_take_the_same_file_to_one_place_are_a_duplicate(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    text = '[[file]]\nsource = "a"\npath = "etc/"\n[[file]]\nsource = "?"\npath = "etc/"\n'
    assert faults(tmp_path, text) == ("file[1].path: etc/a is already at file[0]",)


def test_a_near_name_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "hello.sh").touch()
    found = faults(tmp_path, '[[file]]\nsource = "helo.sh"\npath = "usr/x"\n')
    assert found == ("file[0].source: helo.sh matches no file; did you mean hello.sh?",)


def test_a_fault_of_one_key_is_told_once_for_many_files(tmp_path: Path) -> None:
    for name in "abcdef":
        (tmp_path / name).touch()
    found = faults(tmp_path, '[[file]]\nsource = "[a-f]"\npath = "etc/"\nowner = "?"\nmode = "9"\n')
    assert len(found) == 2


def test_a_source_that_becomes_a_pipe_is_a_fault_and_blocks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(Path, "is_file", lambda _path: True)
    found = faults(tmp_path, '[[file]]\nsource = "pipe"\npath = "usr/x"\n')
    assert found == (f"file[0]: {tmp_path / 'pipe'} cannot be read: not a regular file",)


def test_a_path_that_becomes_reserved_by_the_name_of_its_source_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / ".intact").touch()
    found = faults(tmp_path, '[[file]]\nsource = ".intact"\npath = "usr/"\n')
    assert found == ("file[0].path: 'usr/.intact': .intact is reserved for what pkg stages there",)


def test_tables_without_their_keys_name_all_that_is_missing(tmp_path: Path) -> None:
    assert faults(tmp_path, '[[symlink]]\n[[hardlink]]\n[[directory]]\n[[file]]\npath = "x"\n') == (
        "file[0].source: is missing",
        "directory[0].path: is missing",
        "symlink[0].path: is missing",
        "symlink[0].target: is missing",
        "hardlink[0].path: is missing",
        "hardlink[0].target: is missing",
    )


# --- trees -----------------------------------------------------------------------------------------------
@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "t"
    (top / "etc").mkdir(parents=True)
    (top / "empty").mkdir(mode=0o700)
    (top / "etc" / "a.conf").write_bytes(b"a")
    (top / "etc" / "a.conf").chmod(0o600)
    (top / "su").write_bytes(b"s")
    (top / "su").chmod(0o4755)
    (top / "link").symlink_to("etc/a.conf")
    (top / "dangling").symlink_to("/no/where")
    (top / "x.orig").touch()
    return top


def test_a_tree_is_taken_whole(tmp_path: Path, tree: Path) -> None:
    found = read(tmp_path, '[[tree]]\nsource = "t"\npath = "opt/x"\nowner = "1"\ngroup = "adm"\n')
    kinds = {path: type(entry) for path, entry in found.items()}
    assert kinds == {
        "opt/x/dangling": SymlinkEntry,
        "opt/x/empty": DirectoryEntry,
        "opt/x/etc": DirectoryEntry,
        "opt/x/etc/a.conf": FileEntry,
        "opt/x/link": SymlinkEntry,
        "opt/x/su": FileEntry,
        "opt/x/x.orig": FileEntry,
    }
    assert {
        (entry.owner, entry.group) for entry in found.values() if not isinstance(entry, HardlinkEntry)
    } == {("1", "adm")}
    modes = {p: e.mode for p, e in found.items() if isinstance(e, FileEntry | DirectoryEntry)}
    assert modes["opt/x/empty"] == modes["opt/x/su"] == 0o755
    assert modes["opt/x/etc/a.conf"] == 0o644


def test_a_tree_can_keep_its_modes(tmp_path: Path, tree: Path) -> None:
    found = read(tmp_path, '[[tree]]\nsource = "t"\nmodes = "keep"\n')
    modes = {p: e.mode for p, e in found.items() if isinstance(e, FileEntry | DirectoryEntry)}
    assert (modes["empty"], modes["etc/a.conf"], modes["su"]) == (0o700, 0o600, 0o4755)


def test_globs_exclude_and_mark_configuration(tmp_path: Path, tree: Path) -> None:
    text = '[[tree]]\nsource = "t"\npath = "/"\nexclude = ["*.orig", "empty", "d*"]\nconfig = ["etc/*"]\n'
    found = read(tmp_path, text)
    assert sorted(found) == ["etc", "etc/a.conf", "link", "su"]
    assert [path for path, entry in found.items() if isinstance(entry, FileEntry) and entry.config] == [
        "etc/a.conf"
    ]


def test_what_no_bundle_can_hold_is_named(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)  # a socket's name has 108 bytes at most
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
    (tree / "odd").symlink_to(os.fsdecode(b"\xff"))
    (tree / os.fsdecode(b"\xfe")).mkdir()
    found = faults(tmp_path, '[[tree]]\nsource = "t"\n')
    assert len(found) == 4
    assert sum("device, pipe or socket" in one for one in found) == 2
    assert any("the path is not valid UTF-8" in one for one in found)
    assert any(one.startswith("tree[0].source: odd: has the unprintable") for one in found)


def test_a_capability_comes_along_with_kept_modes(tmp_path: Path, tree: Path) -> None:
    try:
        os.setxattr(tree / "su", "security.capability", CAPABILITY)
    except OSError:
        pytest.skip("needs root and a filesystem with file capabilities")
    entry = read(tmp_path, '[[tree]]\nsource = "t"\nmodes = "keep"\n')["su"]
    assert isinstance(entry, FileEntry)
    assert entry.xattrs == (("security.capability", CAPABILITY),)
    plain = read(tmp_path, '[[tree]]\nsource = "t"\n')["su"]
    assert isinstance(plain, FileEntry)
    assert plain.xattrs == ()


def test_what_cannot_be_read_is_a_fault(tmp_path: Path, tree: Path) -> None:
    (tree / "etc").chmod(0)
    (tree / "su").chmod(0)
    text = '[[tree]]\nsource = "t"\n[[file]]\nsource = "t/su"\npath = "usr/x"\n'
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    assert len(faults(tmp_path, text)) >= 2


def test_large_files_are_what_they_are_whoever_reads_them(tmp_path: Path, tree: Path) -> None:
    contents = {f"large{number}": bytes([number]) * ((1 << 20) + number) for number in range(4)}
    for name, content in contents.items():
        (tree / name).write_bytes(content)
        os.utime(tree / name, (1_500_000_000, 1_500_000_000))
    found = built(tmp_path, '[[tree]]\nsource = "t"\n')
    for name, content in contents.items():
        entry = found[name]
        assert isinstance(entry, FileEntry)
        assert (entry.size, entry.mtime) == (len(content), 1_500_000_000)
        assert entry.digest == hashlib.sha256(content).hexdigest()


def test_each_large_file_that_cannot_be_read_is_a_fault(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("big1", "big2"):
        (tree / name).write_bytes(bytes((1 << 20) + 1))
    opened = os.open

    def failing(path: Path, flags: int, *more: int, **named: int) -> int:
        if Path(path).name.startswith("big"):
            raise OSError(5, "Input/output error")
        return opened(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", failing)
    text = faults(tmp_path, '[[tree]]\nsource = "t"\n')
    assert text == tuple(
        f"tree[0]: {tree / name} cannot be read: Input/output error" for name in ("big1", "big2")
    )


def test_a_disk_that_fails_is_a_fault(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(Path, "iterdir", fail)
    assert faults(tmp_path, '[[tree]]\nsource = "t"\n') == (
        f"tree[0].source: {tree} cannot be read: Input/output error",
    )
    monkeypatch.setattr("intact.bundle.source_manifest.look", fail)
    found = faults(tmp_path, '[[file]]\nsource = "t/su"\npath = "usr/x"\n')
    assert found == (f"file[0]: {tree / 'su'} cannot be read: Input/output error",)


def test_a_tree_outside_the_root_is_refused(tmp_path: Path, tree: Path) -> None:
    assert faults(tmp_path, '[[tree]]\nsource = "t"\npath = "a/../.."\n')[0].startswith("tree[0].path")
    assert "tree[0].source: is missing" in faults(tmp_path, "[[tree]]\n")


# --- the manifest itself ---------------------------------------------------------------------------------
def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="ENOENT"):
        read_source_manifest(tmp_path / "missing.toml")


def test_an_endless_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    with path.open("wb") as file:
        file.truncate(DEFAULT_LIMITS.source_manifest + 1)
    with pytest.raises(ManifestInvalid, match="too long"):
        read_source_manifest(path)


@pytest.mark.parametrize("value", ["[1]", "{}", "true", "1.0", '"1"'])
def test_a_format_of_another_type_is_a_fault(tmp_path: Path, value: str) -> None:
    (tmp_path / "m.toml").write_text(f"format = {value}\n")
    with pytest.raises(ManifestInvalid) as caught:
        read_source_manifest(tmp_path / "m.toml")
    assert caught.value.details[0].startswith("format: must be a whole number")


def test_a_newer_format_is_told_first(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text("format = 2\nnonsense = 1\n")
    with pytest.raises(FeatureUnknown):
        read_source_manifest(tmp_path / "m.toml")


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES], ids=["EIO", "EACCES"])
def test_a_capability_that_cannot_be_read_is_a_fault_and_not_left_out(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/tool").write_text("x")
    manifest = tmp_path / "m.toml"
    manifest.write_text(
        'format = 1\n[package]\nname = "a"\nversion = "1"\narchitecture = "all"\n'
        '[[tree]]\nsource = "tree"\nmodes = "keep"\n'
    )

    def fails(*_arguments: object, **_options: object) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "getxattr", fails)
    with pytest.raises(ManifestInvalid, match=r"the capability of .*tool cannot be read"):
        read_source_manifest(manifest)


def test_a_source_that_is_no_file_says_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for source, said in (("tree", "a directory; [[tree]] takes what is in it"), ("pipe", "no regular file")):
        told = faults(tmp_path, f'[[file]]\nsource = "{source}"\npath = "usr/x"')
        assert f"{source} is {said}" in "\n".join(told)


@pytest.mark.parametrize("pattern", ["t/**/*", "t/shut/*", "t/s*t/deep/*"])
def test_a_directory_that_a_pattern_cannot_look_into_is_a_fault(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    (tree / "shut" / "deep").mkdir(parents=True)
    for directory in ("shut", "shut/deep"):
        (tree / directory / "file").write_bytes(b"x")
    scan = os.scandir
    refused = "deep" if "deep" in pattern else "shut"

    def scandir(path: "str | Path") -> object:
        if Path(path).name == refused:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    text = f'[[file]]\nsource = "{pattern}"\npath = "usr/x/"\n'
    if pattern != "t/**/*":  # where two files would have one name
        assert len(read(tmp_path, text)) == 1
    monkeypatch.setattr(os, "scandir", scandir)
    assert f"{refused} cannot be read: Permission denied" in "\n".join(faults(tmp_path, text))
