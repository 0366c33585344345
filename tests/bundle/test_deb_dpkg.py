"""A package that dpkg-deb built: our entries are what dpkg-deb itself lists and unpacks."""

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from intact.bundle.build import build_bundle
from intact.bundle.deb import read_deb
from intact.model.entries import DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")

CONTROL = """Package: odd
Version: 2:1.0~rc1-3
Architecture: all
Maintainer: nobody <nobody@example.org>
Pre-Depends: libc6 (>= 2.36)
Depends: python3:any, mta | exim4
Description: odd things
 in a package
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links, set-id bits, an empty directory, names and sizes of all kinds."""
    tree = tmp_path_factory.mktemp("dpkg") / "tree"
    for name in ("DEBIAN", "usr/bin", "usr/share/empty", "etc/odd", "lib/systemd"):
        (tree / name).mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(CONTROL)
    (tree / "DEBIAN/conffiles").write_text("/etc/odd/odd.conf\n")
    for script in ("preinst", "postrm"):
        (tree / "DEBIAN" / script).write_text("#!/bin/sh\nexit 1\n")
        (tree / "DEBIAN" / script).chmod(0o755)
    (tree / "etc/odd/odd.conf").write_text("a = 1\n")
    (tree / "usr/bin/large").write_bytes(b"0123456789abcdef" * 200_000)
    (tree / "usr/bin/su").write_bytes(b"program")
    (tree / "usr/bin/su").chmod(0o4755)
    os.link(tree / "usr/bin/large", tree / "usr/bin/again")
    os.link(tree / "usr/bin/large", tree / "usr/share/last")
    (tree / "usr/bin/link").symlink_to("/etc/alternatives/link")
    (tree / "usr/share/empty").chmod(0o2775)
    (tree / "usr/share/Főtan\u00fas.crt").write_bytes(b"")
    (tree / "lib/systemd/system-x\\x2dy.slice").write_text("[Unit]\n")
    (tree / ("usr/share/" + "n" * 200)).write_text("long name")
    return tree


@pytest.fixture(scope="module", params=["gzip", "xz", "zstd", "none"])
def package(request: pytest.FixtureRequest, tree: Path) -> Path:
    path = tree.parent / f"{request.param}.deb"
    made = subprocess.run(
        ["dpkg-deb", "--root-owner-group", f"-Z{request.param}", "-b", tree, path],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"this dpkg-deb knows no {request.param}: {made.stderr.decode()}")
    return path


def described(place: Path, relative: str, entry: Entry) -> tuple[object, ...]:
    """What the unpacked tree has where the entry says."""
    found = (place / relative).lstat()
    if stat.S_ISLNK(found.st_mode):
        return "symlink", str((place / relative).readlink())
    if stat.S_ISDIR(found.st_mode):
        return "directory", stat.S_IMODE(found.st_mode)
    if isinstance(entry, HardlinkEntry):
        return "hardlink", (place / entry.target).stat().st_ino == found.st_ino
    digest = hashlib.sha256((place / relative).read_bytes()).hexdigest()
    return "file", stat.S_IMODE(found.st_mode), found.st_size, int(found.st_mtime), digest


def expected(entry: Entry) -> tuple[object, ...]:
    match entry:
        case FileEntry():
            return "file", entry.mode, entry.size, entry.mtime, entry.digest
        case DirectoryEntry():
            return "directory", entry.mode
        case SymlinkEntry():
            return "symlink", entry.target
        case HardlinkEntry():
            return "hardlink", True


@pytest.fixture(autouse=True)
def _in_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_entries_are_what_dpkg_deb_unpacks(package: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    subprocess.run(["dpkg-deb", "-x", package, out], check=True)
    with read_deb(package) as source:
        entries = {str(entry.path): entry for entry in source.manifest.entries}
        for entry in source.manifest.entries:
            if isinstance(entry, FileEntry):
                with source.open_content(entry) as content:
                    assert content.read() == (out / entry.path).read_bytes()
    assert sorted(entries) == sorted(str(one.relative_to(out)) for one in out.rglob("*"))
    assert list(entries) == sorted(entries)
    for path, entry in entries.items():
        assert described(out, path, entry) == expected(entry), path
    assert sum(isinstance(entry, HardlinkEntry) for entry in entries.values()) == 2


def test_owners_are_those_that_dpkg_deb_lists(package: Path) -> None:
    with read_deb(package) as source:
        owners = {
            (entry.owner, entry.group)
            for entry in source.manifest.entries
            if not isinstance(entry, HardlinkEntry)
        }
    assert owners == {("root", "root")}


def test_fields_are_those_that_dpkg_deb_shows(package: Path) -> None:
    with read_deb(package) as source:
        manifest, notes = source.manifest, source.notes
    identity = manifest.identity
    for field, value in (
        ("Package", identity.name),
        ("Version", str(identity.version)),
        ("Architecture", identity.architecture),
    ):
        shown = subprocess.run(["dpkg-deb", "-f", package, field], check=True, capture_output=True).stdout
        assert shown.decode().strip() == value
    assert [str(one) for one in manifest.relations.requires] == ["libc6 (>= 2.36)", "python3", "mta | exim4"]
    assert [entry.path for entry in manifest.entries if isinstance(entry, FileEntry) and entry.config] == [
        "etc/odd/odd.conf"
    ]
    assert notes == ("maintainer scripts and control files left out, not run: postrm, preinst",)


def test_the_scripts_do_not_run_and_nothing_is_left_behind(package: Path, tmp_path: Path) -> None:
    with read_deb(package):
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_the_bundle_of_a_package_is_the_same_every_time(package: Path, tmp_path: Path) -> None:
    built = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with read_deb(package) as source:
            built.append(build_bundle(source, tmp_path / name).path.read_bytes())
    assert built[0] == built[1]
