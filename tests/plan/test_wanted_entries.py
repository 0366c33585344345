"""What does a package want at which place, with this root's accounts and links?"""

import pytest

from intact.model.entries import DirectoryEntry, Entry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.objects import (
    Attributes,
    BundleContent,
    Kind,
    NewDirectory,
    NewFile,
    NewHardlink,
    NewObject,
    NewSymlink,
)
from intact.model.paths import RelPath
from intact.plan.wanted import Accounts, UnknownAccount, owned_entry, want, with_implied_directories
from support.situations import digest
from support.workshop import Package, Workshop, directory, file, hardlink, snapshot, symlink

ACCOUNTS = Accounts({"root": 0, "www": 33}, {"root": 0, "www": 34, "adm": 4})
MERGED = {RelPath("lib"): RelPath("usr/lib")}
XATTRS = (("security.capability", b"\1"), ("user.note", b"n"))


def located(path: RelPath) -> RelPath:
    """Follow the links of a merged root, for parents and for directories."""
    for link, target in MERGED.items():
        if path == link or path.is_below(link):
            return RelPath(target + path[len(link) :])
    return path


def new_of(entry: Entry, accounts: Accounts = ACCOUNTS) -> NewObject:
    return want(entry, "a", 3, accounts, located).new


def a_file(path: str = "bin/x", *, owner: str = "root", group: str = "root", mode: int = 0o644) -> FileEntry:
    return FileEntry(RelPath(path), mode, owner, group, 7, 1, digest("x"), xattrs=XATTRS)


def test_a_file_is_wanted_with_all_that_the_manifest_says() -> None:
    assert new_of(a_file(owner="www", group="adm", mode=0o6755)) == NewFile(
        Attributes(0o6755, 33, 4, 7_000_000_000, XATTRS), 1, digest("x"), BundleContent(3, RelPath("bin/x"))
    )


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(
            DirectoryEntry(RelPath("d"), 0o2770, "www", "www", XATTRS),
            NewDirectory(Attributes(0o2770, 33, 34, None, XATTRS)),
            id="directory",
        ),
        pytest.param(
            SymlinkEntry(RelPath("l"), "../t", "www", "adm"), NewSymlink("../t", 33, 4), id="symlink"
        ),
        pytest.param(
            HardlinkEntry(RelPath("lib/h"), RelPath("lib/x")),
            NewHardlink(RelPath("usr/lib/x")),
            id="hardlink, its target located too",
        ),
    ],
)
def test_other_things_are_wanted_likewise(entry: Entry, expected: NewObject) -> None:
    assert new_of(entry) == expected


def test_a_path_below_a_link_is_wanted_where_the_link_leads_but_taken_from_the_bundle_by_its_name() -> None:
    wanted = want(a_file("lib/x"), "a", 0, ACCOUNTS, located)
    assert isinstance(wanted.new, NewFile)
    assert (wanted.location, wanted.entry.path) == ("usr/lib/x", "lib/x")
    assert wanted.new.content == BundleContent(0, RelPath("lib/x"))
    owned = owned_entry(wanted, {})
    assert (owned.location, owned.path) == ("usr/lib/x", "lib/x")


@pytest.mark.parametrize(
    ("user", "group", "expected"),
    [
        ("www", "www", (33, 34)),
        ("www", "adm", (33, 4)),
        ("1000", "0", (1000, 0)),
        ("2147483646", "root", (2147483646, 0)),
    ],
)
def test_accounts_are_names_or_numbers(user: str, group: str, expected: tuple[int, int]) -> None:
    assert ACCOUNTS.ids(user, group) == expected


def test_a_name_that_looks_like_a_number_is_a_name_if_the_root_has_it() -> None:
    assert Accounts({"1000": 7}, {"0": 0}).ids("1000", "0") == (7, 0)


@pytest.mark.parametrize(
    ("user", "group", "words"),
    [
        ("nobody", "root", "user nobody"),
        ("root", "nogroup", "group nogroup"),
        ("www", "-1", "group -1"),
        ("٣", "root", "user ٣"),
        ("", "root", "user "),
    ],
)
def test_an_unknown_account_is_named(user: str, group: str, words: str) -> None:
    with pytest.raises(UnknownAccount) as raised:
        ACCOUNTS.ids(user, group)
    assert str(raised.value) == words


MINE = Accounts({}, {}, owner=(1000, 1001))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o4755, 0o755), (0o2755, 0o755), (0o6711, 0o711), (0o1644, 0o1644), (0o400, 0o400)],
)
def test_without_root_files_belong_to_whoever_installs_and_give_nobody_else_s_rights(
    mode: int, expected: int
) -> None:
    new = new_of(a_file(owner="nobody", group="nosuch", mode=mode), MINE)
    assert isinstance(new, NewFile)
    assert new.attributes == Attributes(expected, 1000, 1001, 7_000_000_000, (("user.note", b"n"),))


@pytest.mark.parametrize(("mode", "expected"), [(0o555, 0o755), (0o000, 0o700), (0o2775, 0o2775)])
def test_without_root_directories_stay_writable_for_whoever_installs(mode: int, expected: int) -> None:
    new = new_of(DirectoryEntry(RelPath("d"), mode, "www", "www"), MINE)
    assert new == NewDirectory(Attributes(expected, 1000, 1001))


def test_parents_that_a_manifest_leaves_out_are_directories_of_root() -> None:
    entries: list[Entry] = [
        a_file("a/b/c"),
        DirectoryEntry(RelPath("a"), 0o700, "www", "www"),
        a_file("a/z/y"),
    ]
    assert with_implied_directories(entries) == [
        entries[1],
        DirectoryEntry(RelPath("a/b"), 0o755, "root", "root"),
        entries[0],
        DirectoryEntry(RelPath("a/z"), 0o755, "root", "root"),
        entries[2],
    ]


@pytest.mark.parametrize("entries", [[], [a_file("top")], [DirectoryEntry(RelPath("d"), 0o755, "0", "0")]])
def test_nothing_is_implied_at_the_top(entries: list[Entry]) -> None:
    assert with_implied_directories(entries) == entries


def test_parents_come_before_what_they_hold() -> None:
    found = [
        str(entry.path)
        for entry in with_implied_directories([a_file("d/e/f"), a_file("d-x"), a_file("d.y/z")])
    ]
    for path in found:
        assert all(found.index(above) < found.index(path) for above in RelPath(path).ancestors)


def test_every_sort_of_thing_is_remembered_as_it_was_put_there() -> None:
    first = want(a_file("lib/x", owner="www", mode=0o755), "a", 0, ACCOUNTS, located)
    files = {first.location: first}
    twin = want(HardlinkEntry(RelPath("lib/h"), RelPath("lib/x")), "a", 0, ACCOUNTS, located)
    of_file, of_twin = owned_entry(first, files), owned_entry(twin, files)
    assert (of_file.kind, of_file.mode, of_file.uid, of_file.size) == (Kind.FILE, 0o755, 33, 1)
    assert (of_file.digest, of_file.mtime_ns, of_file.xattrs) == (digest("x"), 7_000_000_000, XATTRS)
    assert (of_twin.location, of_twin.path, of_twin.hardlink) == ("usr/lib/h", "lib/h", "usr/lib/x")
    assert (of_twin.digest, of_twin.mode, of_twin.mtime_ns) == (
        of_file.digest,
        of_file.mode,
        of_file.mtime_ns,
    )
    link = owned_entry(want(SymlinkEntry(RelPath("l"), "t"), "a", 0, ACCOUNTS, located), files)
    assert (link.kind, link.target, link.mode, link.mtime_ns) == (Kind.SYMLINK, "t", 0o777, None)
    folder = owned_entry(
        want(DirectoryEntry(RelPath("d"), 0o711, "www", "adm"), "a", 0, ACCOUNTS, located), files
    )
    assert (folder.kind, folder.mode, folder.uid, folder.gid) == (Kind.DIRECTORY, 0o711, 33, 4)


@pytest.mark.parametrize("config", [False, True])
def test_only_files_can_be_configuration(config: bool) -> None:  # noqa: FBT001  a parameter of the test
    wanted = want(file("c", "x", config=config).entry, "a", 0, ACCOUNTS, located)
    assert wanted.is_config is config
    assert owned_entry(wanted, {}).config is config
    assert not want(directory("d").entry, "a", 0, ACCOUNTS, located).is_config


def test_several_bundles_meet_below_links_of_a_merged_root(workshop: Workshop) -> None:
    (workshop.path / "usr/lib").mkdir(parents=True)
    (workshop.path / "lib").symlink_to("usr/lib")
    workshop.install(
        Package("a", "1", file("lib/foo/a", "a"), hardlink("lib/foo/a2", "lib/foo/a")),
        Package("b", "1", file("usr/lib/foo/b", "b"), directory("lib/foo", 0o755)),
    )
    assert sorted(path.name for path in (workshop.path / "usr/lib/foo").iterdir()) == ["a", "a2", "b"]
    workshop.remove("a")
    assert workshop.read("usr/lib/foo/b") == "b"
    workshop.remove("b")
    assert set(snapshot(workshop)) == {"lib", "usr", "usr/lib"}


def test_a_link_that_comes_with_one_bundle_leads_the_files_of_another(workshop: Workshop) -> None:
    workshop.install(
        Package("base", "1", directory("usr/lib"), symlink("lib", "usr/lib")),
        Package("tool", "1", file("lib/x", "x")),
    )
    assert (workshop.path / "lib").is_symlink()
    assert workshop.read("usr/lib/x") == "x"
