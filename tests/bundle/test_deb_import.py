"""A Debian package becomes a bundle: what is taken over, what is left out, what is refused."""

import gzip
import io
import lzma
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from intact.bundle.deb import read_deb
from intact.model.entries import DirectoryEntry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.errors import BundleDamaged, MachineError, ManifestInvalid
from intact.model.paths import RelPath

CONTROL = """Package: tool
Version: 1:2.0-3
Architecture: amd64
Pre-Depends: libc6 (>= 2.36)
Depends: python3:any (>= 3.11~), mta | exim4, old (> 1.0)
Conflicts: other
Breaks: tool-data (<< 2)
Provides: editor, api (= 2)
Replaces: tool-data (<< 2)
Description: does things
 And this is the long text.
"""

Member = tuple[str, bytes, dict[str, object]]


def _tar(members: list[Member]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content, facts in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = 1_600_000_000
            info.uname = info.gname = "root"
            for key, value in facts.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _ar(members: list[tuple[str, bytes]]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, content in members:
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        parts += [header, content, b"\n" * (len(content) % 2)]
    return b"".join(parts)


DATA: list[Member] = [
    ("./", b"", {"type": tarfile.DIRTYPE}),
    ("./usr/", b"", {"type": tarfile.DIRTYPE, "mode": 0o755}),
    ("./usr/bin/", b"", {"type": tarfile.DIRTYPE, "mode": 0o2755, "gname": "staff"}),
    ("./usr/bin/tool", b"program", {"mode": 0o4755, "uname": "daemon"}),
    ("./usr/bin/again", b"", {"type": tarfile.LNKTYPE, "linkname": "./usr/bin/tool"}),
    ("./usr/bin/alias", b"", {"type": tarfile.SYMTYPE, "linkname": "tool"}),
    ("./etc/tool.conf", b"setting", {"mode": 0o644}),
    ("./usr/share/Főtan.crt", b"certificate", {"uname": "", "gname": "", "uid": 7, "gid": 8}),
]


def _deb(place: Path, data: list[Member] | None = None, control: str = CONTROL, how: str = "xz") -> Path:
    packed = _tar(DATA if data is None else data)
    ways: dict[str, Callable[[bytes], bytes]] = {
        "xz": lzma.compress,
        "zst": zstandard.ZstdCompressor().compress,
        "gz": gzip.compress,
        "": bytes,
    }
    compress = ways[how]
    files: list[Member] = [
        ("./control", control.encode(), {}),
        ("./conffiles", b"/etc/tool.conf\n", {}),
        ("./postinst", b"#!/bin/sh\n", {}),
        ("./triggers", b"x\n", {}),
    ]
    suffix = f".{how}" if how else ""
    path = place / "tool.deb"
    path.write_bytes(
        _ar(
            [
                ("debian-binary", b"2.0\n"),
                ("control.tar.gz", gzip.compress(_tar(files))),
                (f"data.tar{suffix}", compress(packed)),
            ]
        )
    )
    return path


@pytest.mark.parametrize("how", ["xz", "zst", "gz", ""])
def test_everything_that_a_bundle_can_hold_is_taken_over(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with read_deb(_deb(tmp_path, how=how)) as source:
        manifest = source.manifest
        found = {str(entry.path): entry for entry in manifest.entries}
        tool = found["usr/bin/tool"]
        assert isinstance(tool, FileEntry)
        assert (tool.mode, tool.owner, tool.size, tool.mtime) == (0o4755, "daemon", 7, 1_600_000_000)
        with source.open_content(tool) as content:
            assert content.read() == b"program"
        with source.open_content(tool) as content:
            assert (content.read(3), content.read(100), content.read()) == (b"pro", b"gram", b"")
    assert found["usr/bin"] == DirectoryEntry(RelPath("usr/bin"), 0o2755, "root", "staff")
    assert found["usr/bin/alias"] == SymlinkEntry(RelPath("usr/bin/alias"), "tool", "root", "root")
    assert found["usr/bin/again"] == HardlinkEntry(RelPath("usr/bin/again"), RelPath("usr/bin/tool"))
    conf, certificate = found["etc/tool.conf"], found["usr/share/Főtan.crt"]
    assert isinstance(conf, FileEntry)
    assert conf.config
    assert isinstance(certificate, FileEntry)
    assert (certificate.owner, certificate.group) == ("7", "8")
    assert [str(entry.path) for entry in manifest.entries] == sorted(found)


def test_the_control_file_becomes_identity_and_relations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with read_deb(_deb(tmp_path)) as source:
        manifest, notes = source.manifest, source.notes
    assert str(manifest.identity) == "tool 1:2.0-3 (amd64)"
    assert manifest.summary == "does things"
    relations = manifest.relations
    assert [str(one) for one in relations.requires] == [
        "libc6 (>= 2.36)",
        "python3 (>= 3.11~)",
        "mta | exim4",
        "old (>= 1.0)",
    ]
    assert [str(one) for one in relations.conflicts] == ["other", "tool-data (<< 2)"]
    assert [str(one) for one in relations.provides] == ["editor", "api (= 2)"]
    assert [str(one) for one in relations.replaces] == ["tool-data (<< 2)"]
    assert notes == ("maintainer scripts and control files left out, not run: postinst, triggers",)


def test_all_that_cannot_be_taken_over_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bad: list[Member] = [
        ("./dev-null", b"", {"type": tarfile.CHRTYPE}),
        ("./pipe", b"", {"type": tarfile.FIFOTYPE}),
        ("./../escape", b"x", {}),
        ("./twice", b"x", {}),
        ("./twice", b"y", {}),
        ("./link", b"", {"type": tarfile.LNKTYPE, "linkname": "./nothing"}),
    ]
    control = CONTROL.replace("1:2.0-3", "-").replace("Package: tool", "Package: Tool")
    with pytest.raises(ManifestInvalid) as caught, read_deb(_deb(tmp_path, bad, control)):
        pass
    told = str(caught.value)
    for place in ("/dev-null", "/pipe", "/../escape", "/twice", "Version", "Package", "nothing"):
        assert place in told


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _deb: b"",
    "another ar archive": lambda _deb: _ar([("a.o", b"x")]),
    "cut off": lambda deb: deb[:-20],
    "cut off in a header": lambda deb: deb[: 8 + 30],
    "damaged data": lambda deb: deb[:-40] + bytes(40),
    "text": lambda _deb: b"hello\n",
    "unknown compression": lambda deb: deb.replace(b"data.tar.xz ", b"data.tar.lz4"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_package_is_refused_with_a_clear_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deb = _deb(tmp_path)
    deb.write_bytes(BROKEN[name](deb.read_bytes()))
    with pytest.raises(BundleDamaged) as caught, read_deb(deb):
        pass
    assert str(deb) in str(caught.value)


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="ENOENT"), read_deb(tmp_path / "nowhere.deb"):
        pass


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_a_package_of_dpkg_deb_has_the_entries_that_it_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: d\n"
    )
    (tree / "opt/deep").mkdir(parents=True)
    (tree / "opt/deep/file").write_text("x" * 100_000)
    (tree / "opt/link").symlink_to("/absolute/target")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, "a.deb"], check=True, capture_output=True)
    with read_deb(tmp_path / "a.deb") as source:
        assert [str(entry.path) for entry in source.manifest.entries] == [
            "opt",
            "opt/deep",
            "opt/deep/file",
            "opt/link",
        ]
