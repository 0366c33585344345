"""Each kind of entry and field of a Debian package: taken over, or refused with its place."""

import tarfile
from pathlib import Path

import pytest

from intact.bundle.deb import read_deb
from intact.bundle.package import PackageSource
from intact.model.entries import DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.errors import BundleDamaged, ManifestInvalid
from intact.model.manifest import Manifest
from intact.model.paths import RelPath
from support.debian import CONTROL, MTIME, Member, ar, deb, device, directory, file, hardlink, symlink, tar

CAPABILITY = b"\1\0\0\2\x00\x20\0\0" + bytes(11) + b"\xff\n="  # bytes that are neither text nor UTF-8
FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"


@pytest.fixture(autouse=True)
def _in_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def source_of(stored: bytes) -> PackageSource:
    """The manifest and notes of a package; its content can't be read any more."""
    Path("tool.deb").write_bytes(stored)
    with read_deb(Path("tool.deb")) as source:
        return source


def manifest_of(*members: Member, control: str = CONTROL, others: dict[str, bytes] | None = None) -> Manifest:
    return source_of(deb(members, control, others)).manifest


def only(*members: Member) -> Entry:
    (entry,) = manifest_of(*members).entries
    return entry


def faults(*members: Member, control: str = CONTROL) -> tuple[str, ...]:
    with pytest.raises(ManifestInvalid) as caught:
        manifest_of(*members, control=control)
    assert caught.value.path == "tool.deb"
    assert caught.value.remedy
    return caught.value.details


def with_field(line: str) -> Manifest:
    return manifest_of(control=CONTROL + line + "\n")


# --- entries ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", [0o644, 0o4755, 0o2755, 0o1777, 0o6711, 0, 0o7777])
def test_modes_are_kept_with_all_their_bits(mode: int) -> None:
    found = only(file("./x", mode=mode))
    assert isinstance(found, FileEntry)
    assert found.mode == mode
    assert only(directory("./d", mode=mode)) == DirectoryEntry(RelPath("d"), mode, "root", "root")


@pytest.mark.parametrize(
    ("facts", "owner", "group"),
    [
        ({"uname": "daemon", "gname": "Debian-exim"}, "daemon", "Debian-exim"),
        ({"uname": "", "gname": "", "uid": 101, "gid": 0}, "101", "0"),
        ({"uname": "", "gname": "mail", "uid": 8, "gid": 99}, "8", "mail"),
        ({"uname": "_apt", "gname": "systemd-journal"}, "_apt", "systemd-journal"),
    ],
)
def test_owners_are_names_and_numbers_where_there_is_no_name(
    facts: dict[str, object], owner: str, group: str
) -> None:
    for member in (file("./x", b"", **facts), directory("./x", **facts), symlink("./x", "y", **facts)):
        found = only(member)
        assert not isinstance(found, HardlinkEntry)
        assert (found.owner, found.group) == (owner, group)


@pytest.mark.parametrize(("written", "read"), [(MTIME, MTIME), (MTIME + 0.75, MTIME), (0, 0), (-5, 0)])
def test_times_are_whole_seconds_since_1970(written: float, read: int) -> None:
    found = only(file("./x", mtime=written))
    assert isinstance(found, FileEntry)
    assert found.mtime == read


def test_a_time_that_fits_into_no_bundle_is_a_fault_of_its_file() -> None:
    assert faults(file("./x", mtime=8**11), file("./y"), file("./z", mtime=8**11 - 1)) == (
        "/x: the time 8589934592 does not fit: 0 to 8589934591 (in the year 2242)",
    )


def test_a_capability_that_is_longer_than_any_attribute_is_a_fault_of_its_file() -> None:
    def with_capability(length: int) -> Member:
        return file("./x", pax_headers={"SCHILY.xattr.security.capability": "x" * length})

    longest = (64 << 10) - len("security.capability")
    assert manifest_of(with_capability(longest)).entries
    assert faults(with_capability(longest + 1)) == (
        "/x: its security.capability is longer than any attribute of a bundle",
    )


def test_the_bundle_is_as_old_as_its_newest_file() -> None:
    assert manifest_of(file("./a", mtime=5), file("./b", mtime=9), directory("./c", mtime=99)).created == 9
    assert manifest_of(directory("./c", mtime=99)).created == 0


@pytest.mark.parametrize("target", ["y", "/etc/alternatives/x", "../../x", "../é x", "a\\x2db"])
def test_symbolic_links_keep_their_target_wherever_it_leads(target: str) -> None:
    assert only(symlink("./x", target)) == SymlinkEntry(RelPath("x"), target, "root", "root")


@pytest.mark.parametrize(
    "name", ["./a\\x2db.slice", "./Főtanúsítvány.crt", "./a b", "./-", "./xt_CONNMARK.h", "b"]
)
def test_odd_names_of_real_packages_are_kept(name: str) -> None:
    assert only(file(name)).path == name.removeprefix("./")


def test_long_names_and_large_numbers_survive_both_tar_dialects() -> None:
    long = "./" + "/".join(["d" * 200] * 4) + "/x"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        data = tar([file(long, b"1"), symlink("./l", "t" * 300)], form)
        stored = ar(
            [
                ("debian-binary", b"2.0\n"),
                ("control.tar", tar([file("control", CONTROL.encode())])),
                ("data.tar", data),
            ]
        )
        assert [one.path for one in source_of(stored).manifest.entries] == [long[2:], "l"]


def test_entries_are_sorted_by_path_whatever_their_order_was() -> None:
    found = manifest_of(
        file("./z"), directory("./b"), file("./b-a"), file("./b/a"), symlink("./a", "z")
    ).entries
    assert [one.path for one in found] == ["a", "b", "b-a", "b/a", "z"]


def test_parents_that_are_not_listed_are_no_fault() -> None:
    assert only(file("./usr/share/x")).path == "usr/share/x"


def test_a_directory_may_be_listed_twice_if_both_say_the_same() -> None:
    assert only(directory("./d"), directory("./d/")) == DirectoryEntry(RelPath("d"), 0o755, "root", "root")
    assert faults(directory("./d"), directory("./d", mode=0o700)) == ("/d: is in the package twice",)


# --- hard links -------------------------------------------------------------------------------------------
LINKS: dict[str, list[Member]] = {
    "after its file": [file("./m", b"x"), hardlink("./a", "./m"), hardlink("./z", "./m")],
    "before its file": [hardlink("./z", "./m"), hardlink("./a", "./m"), file("./m", b"x")],
    "over another link": [file("./m", b"x"), hardlink("./a", "./m"), hardlink("./z", "./a")],
    "over a link that comes later": [hardlink("./a", "./z"), hardlink("./z", "./m"), file("./m", b"x")],
    "without the dot": [file("./m", b"x"), hardlink("./a", "m"), hardlink("./z", "m")],
}


@pytest.mark.parametrize("name", LINKS)
def test_every_hard_link_leads_to_the_file_itself(name: str) -> None:
    a, m, z = manifest_of(*LINKS[name]).entries
    assert isinstance(m, FileEntry)
    assert (a, z) == (HardlinkEntry(RelPath("a"), m.path), HardlinkEntry(RelPath("z"), m.path))


def test_a_hard_link_to_a_symbolic_link_becomes_the_same_symbolic_link() -> None:
    _, link = manifest_of(symlink("./a", "/target", uname="mail"), hardlink("./b", "./a")).entries
    assert link == SymlinkEntry(RelPath("b"), "/target", "mail", "root")


@pytest.mark.parametrize(
    "members",
    [
        [hardlink("./a", "./nothing")],
        [hardlink("./a", "./a")],
        [hardlink("./a", "./b"), hardlink("./b", "./a")],
        [hardlink("./a", "./d"), directory("./d")],
    ],
    ids=["to nothing", "to itself", "in a circle", "to a directory"],
)
def test_a_hard_link_that_leads_to_no_file_is_a_fault(members: list[Member]) -> None:
    assert all("is not a file of this manifest" in one and one.startswith("/") for one in faults(*members))


@pytest.mark.parametrize("target", ["/etc/passwd", "./../x", "", "./a/../b"])
def test_a_hard_link_cannot_leave_the_package(target: str) -> None:
    assert faults(hardlink("./a", target))[0].startswith("/a: the path")


# --- what is refused --------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_special_files_are_named(kind: bytes) -> None:
    assert faults(device("./opt/odd", kind)) == (
        "/opt/odd: is a device, pipe or socket, which no bundle can hold",
    )


WRONG_NAMES = {
    "/etc/x": "//etc/x: the path is absolute",
    "./../x": "/../x: the path has a component '..'",
    "./a/../b": "/a/../b: the path has a component '..'",
    "./a//b": "/a//b: the path has a component ''",
    "./a\nb": "/'a\\nb': the path has the unprintable character U+000A",
    "./a\u202eb": "the path has the unprintable character U+202E",
    "./a\udcffb": "the path is not valid UTF-8",
    "./e\u0301": "the path is not in Unicode normal form C",
    "./" + "x" * 256: "a component is longer than 255 bytes",
    "./.intact/x": ".intact is reserved",
    "./var/lib/intact/x": "is where pkg keeps its own state",
    "./run/x": "does not outlive a reboot",
}


@pytest.mark.parametrize("name", WRONG_NAMES, ids=ascii)
def test_a_name_that_cannot_be_installed_is_a_fault_with_its_place(name: str) -> None:
    (fault,) = faults(file(name))
    assert WRONG_NAMES[name] in fault
    assert "\n" not in fault


def test_owners_and_targets_that_make_no_sense_are_faults() -> None:
    found = faults(
        file("./a", uname="no such\nuser"),
        directory("./b", gname="", gid=2**31),
        symlink("./c", "a\x1bb"),
        symlink("./d", ""),
    )
    assert [one.partition(":")[0] for one in found] == ["/a", "/b", "/c", "/d"]


def test_entries_in_each_others_way_are_faults() -> None:
    found = faults(file("./a"), file("./a/b"), file("./a"), symlink("./l", "a"), directory("./l/d"))
    assert len(found) == 3
    assert "/a: is in the package twice" in found
    assert sum("which is no directory" in one for one in found) == 2


def test_everything_wrong_is_told_at_once() -> None:
    found = faults(
        device("./null", tarfile.CHRTYPE),
        file("./../up"),
        hardlink("./h", "./nothing"),
        control="Package: Tool\nVersion: ?\nArchitecture: x y\nDepends: a (1), b (>> !)\nDescription: a\x07\n",
    )
    assert sorted(": ".join(one.split(": ")[: 1 + one.startswith("control")]) for one in found) == [
        "/../up",
        "/h.target",
        "/null",
        "control: Architecture",
        "control: Description",
        "control: Package",
        "control: Pre-Depends",
        "control: Pre-Depends",
        "control: Version",
    ]


@pytest.mark.parametrize("control", ["", "Description: only this\n"])
def test_a_control_file_without_the_necessary_fields_is_refused(control: str) -> None:
    assert [one.split(": ")[1] for one in faults(control=control)] == ["Package", "Architecture", "Version"]


def test_a_control_file_that_is_not_text_or_too_large_is_damage() -> None:
    for content in (b"Package: \xff\n", b"x" * (33 << 20)):
        packed = tar([file("./control", content)])
        stored = ar([("debian-binary", b"2.0\n"), ("control.tar", packed), ("data.tar", tar([]))])
        with pytest.raises(BundleDamaged):
            source_of(stored)


# --- control ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "requires"),
    [
        ("Depends: python3:any (>= 3.11~)", ["python3 (>= 3.11~)"]),
        ("Depends: a:amd64 | b:any (= 1), c", ["a | b (= 1)", "c"]),
        ("Depends: a (<1), b (> 2), c (<<3), d(>=4)", ["a (<= 1)", "b (>= 2)", "c (<< 3)", "d (>= 4)"]),
        ("Pre-Depends: p\nDepends: q,\n r,", ["p", "q", "r"]),
        ("Pre-Depends: same\nDepends: same, other", ["same", "other"]),
        ("Recommends: not taken\nSuggests: neither", []),
        ("Depends:", []),
    ],
)
def test_dependencies_are_read_as_debian_writes_them(line: str, requires: list[str]) -> None:
    assert [str(one) for one in with_field(line).relations.requires] == requires


def test_conflicts_provides_and_replaces_are_taken_over() -> None:
    relations = with_field(
        "Conflicts: a\nBreaks: b (<< 2)\nProvides: c, d (= 1:3)\nReplaces: e (<< 4~)"
    ).relations
    assert [str(one) for one in relations.conflicts] == ["a", "b (<< 2)"]
    assert [str(one) for one in relations.provides] == ["c", "d (= 1:3)"]
    assert [str(one) for one in relations.replaces] == ["e (<< 4~)"]


def test_what_is_provided_without_a_definite_version_is_a_fault_like_others() -> None:
    control = CONTROL + "Conflicts: a (= )\nProvides: b (>= 2), c (= 1)\n"
    conflicts, provides = faults(control=control)
    assert conflicts.startswith("control: Conflicts: 'a (= )' is not a relation")
    assert (
        provides
        == "control: Provides: 'b (>= 2)' provides no definite version; write NAME or NAME (= VERSION)"
    )


def test_the_identity_is_debians() -> None:
    control = "Package: g++-12\nVersion: 1:2.0~rc1+dfsg-3+b1\nArchitecture: all\nDescription: short line\n Long text.\n"
    manifest = manifest_of(control=control)
    assert str(manifest.identity) == "g++-12 1:2.0~rc1+dfsg-3+b1 (all)"
    assert manifest.summary == "short line"
    assert manifest_of(control=CONTROL.replace("Description: does things\n", "")).summary == ""


def test_configuration_files_are_those_that_the_package_names() -> None:
    conffiles = b"/etc/tool.conf\n/etc/not-there\nremove-on-upgrade /etc/old.conf\netc/no-slash\n\n"
    members = [file(f"./etc/{name}") for name in ("tool.conf", "old.conf", "no-slash", "else")]
    entries = manifest_of(*members, others={"conffiles": conffiles}).entries
    assert [one.path for one in entries if isinstance(one, FileEntry) and one.config] == ["etc/tool.conf"]


def test_what_was_left_out_is_named() -> None:
    names = ["config", "postinst", "postrm", "preinst", "prerm", "shlibs", "templates", "triggers"]
    others = {**dict.fromkeys(reversed(names), b"x"), "md5sums": b"", "conffiles": b""}
    told = f"maintainer scripts and control files left out, not run: {', '.join(names)}"
    assert source_of(deb((), CONTROL, others)).notes == (told,)
    assert source_of(deb()).notes == ()


def test_capabilities_are_kept_byte_for_byte_and_other_attributes_named() -> None:
    pax = {
        "SCHILY.xattr.security.capability": CAPABILITY.decode("utf-8", "surrogateescape"),
        "SCHILY.xattr.user.origin": "http://example.org",
        "SCHILY.xattr.security.selinux": "label",
        "comment": "nothing",
    }
    source = source_of(deb([file("./usr/bin/ping", b"x", pax_headers=pax), file("./plain")]))
    plain, ping = source.manifest.entries
    assert isinstance(ping, FileEntry)
    assert isinstance(plain, FileEntry)
    assert ping.xattrs == (("security.capability", CAPABILITY),)
    assert plain.xattrs == ()
    assert source.notes == (
        "extended attributes left out: security.selinux of /usr/bin/ping, user.origin of /usr/bin/ping",
    )


@pytest.mark.parametrize(
    ("copyright_text", "name"),
    [
        (FORMAT + "\nFiles: *\nLicense: GPL-3+\n text\n", "GPL-3+"),
        (FORMAT.replace("https", "http") + "\nFiles: a\nLicense: MIT\n\nFiles: b\nLicense: MIT\n", "MIT"),
        (FORMAT + "\nFiles: *\nLicense: GPL-2+\n\nFiles: debian/*\nLicense: MIT\n", ""),
        (FORMAT + "\nFiles: *\nLicense: GPL-2+ or MIT\n", ""),
        (FORMAT + "\nFiles: *\nLicense:\n words\n", ""),
        (FORMAT, ""),
        ("This package is free.\nLicense: MIT\n", ""),
        ("Format: https://example.org/\nLicense: MIT\n", ""),
        (FORMAT + "\nLicense: MIT\n" + "x" * (1 << 20), ""),
        ("", ""),
    ],
)
def test_the_licence_is_taken_over_where_it_is_one_and_written_for_machines(
    copyright_text: str, name: str
) -> None:
    member = file("./usr/share/doc/tool/copyright", copyright_text.encode())
    assert manifest_of(member).license == name


def test_a_copyright_file_that_is_a_link_says_nothing() -> None:
    assert manifest_of(symlink("./usr/share/doc/tool/copyright", "../other/copyright")).license == ""


def test_contents_can_be_read_in_any_order_and_beside_each_other() -> None:
    contents = {f"f{number}": bytes([number]) * (number * 50_000) for number in range(6)}
    Path("tool.deb").write_bytes(deb([file(f"./{name}", content) for name, content in contents.items()]))
    with read_deb(Path("tool.deb")) as source:
        files = [one for one in source.manifest.entries if isinstance(one, FileEntry)]
        opened = [source.open_content(one) for one in reversed(files)]
        pieces: dict[str, bytes] = dict.fromkeys(contents, b"")
        for _ in range(60):
            for entry, stream in zip(reversed(files), opened, strict=True):
                pieces[entry.path] += stream.read(5000)
        for stream in opened:
            stream.close()
    assert pieces == contents
