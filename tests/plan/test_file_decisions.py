"""What of a file's content, mode and owner is new, what is kept, and where does the content come from?"""

import pytest

from intact.model.entries import FileEntry, SymlinkEntry
from intact.model.objects import BundleContent, LiveContent, NewFile, NewSymlink
from intact.model.paths import RelPath
from intact.plan.change import Change
from intact.plan.changes import decide
from intact.plan.situation import Situation, is_as_installed, same_attributes
from support.situations import as_seen, by_location, digest, given, owned_by
from support.workshop import Package, Part, Workshop, directory, file, symlink

AT = "usr/bin/x"
CAPABILITY = ("security.capability", b"\1")


def upgrade(old: Part, there: Part, new: Part) -> Situation:
    return given(wanted={"a": [new]}, leaving={"a": [old]}, there=[there])


def file_of(change: Change) -> NewFile:
    assert isinstance(change.new, NewFile)
    return change.new


def capable(part: Part) -> Part:
    entry = part.entry
    assert isinstance(entry, FileEntry)
    fields = (entry.path, entry.mode, entry.owner, entry.group, entry.mtime, entry.size, entry.digest)
    return Part(FileEntry(*fields, xattrs=(CAPABILITY,)))


def test_new_content_comes_from_the_bundle_that_has_it() -> None:
    situation = given(wanted={"a": [file("opt/a", "a")], "b": [file(AT, "b")]})
    changes = by_location(decide(situation))
    assert file_of(changes["opt/a"]).content == BundleContent(0, RelPath("opt/a"))
    assert file_of(changes[AT]).content == BundleContent(1, RelPath(AT))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(file(AT, "x", 0o755), file(AT, "x", 0o4755), id="mode"),
        pytest.param(file(AT, "x"), file(AT, "x", owner="7"), id="owner"),
        pytest.param(file(AT, "x", 0o755), capable(file(AT, "x", 0o755)), id="capability"),
        pytest.param(capable(file(AT, "x", 0o755)), file(AT, "x", 0o755), id="capability lost"),
    ],
)
def test_content_that_stands_there_is_not_taken_from_the_bundle(old: Part, new: Part) -> None:
    change = by_location(decide(upgrade(old, old, new)))[AT]
    assert file_of(change).content == LiveContent(RelPath(AT))
    assert isinstance(new.entry, FileEntry)
    attributes = file_of(change).attributes
    assert (attributes.mode, str(attributes.uid), attributes.xattrs) == (
        new.entry.mode,
        new.entry.owner,
        new.entry.xattrs,
    )
    assert not change.keep


def test_a_time_alone_is_no_reason_to_replace_a_file() -> None:
    entry = file(AT, "x").entry
    assert isinstance(entry, FileEntry)
    later = Part(FileEntry(entry.path, entry.mode, "0", "0", entry.mtime + 1, entry.size, entry.digest))
    assert decide(upgrade(file(AT, "x"), file(AT, "x"), later)).changes == []


@pytest.mark.parametrize(
    ("there", "mode", "uid"),
    [
        pytest.param(file(AT, "1", 0o700), 0o700, 0, id="mode changed here"),
        pytest.param(file(AT, "1", 0o755, owner="7"), 0o755, 7, id="owner changed here"),
        pytest.param(file(AT, "1", 0o755), 0o711, 0, id="nothing changed here"),
    ],
)
def test_mode_and_owner_that_an_administrator_set_stay_with_new_content(
    there: Part, mode: int, uid: int
) -> None:
    decisions = decide(upgrade(file(AT, "1", 0o755), there, file(AT, "2", 0o711)))
    new = file_of(by_location(decisions)[AT])
    assert (new.attributes.mode, new.attributes.uid, new.digest) == (mode, uid, digest("2"))
    is_told = f"/{AT}: mode or owner was changed here and is kept" in decisions.notes
    assert is_told == ((mode, uid) != (0o711, 0))


def test_a_mode_that_an_administrator_set_is_no_reason_to_stage_the_same_content() -> None:
    decisions = decide(upgrade(file(AT, "1", 0o755), file(AT, "1", 0o700), file(AT, "1", 0o755)))
    assert decisions.changes == []
    assert decisions.notes == [f"/{AT}: mode or owner was changed here and is kept"]


def test_mode_and_content_changed_here_mean_that_the_old_file_is_kept_and_the_mode_stays() -> None:
    decisions = decide(upgrade(file(AT, "1"), file(AT, "mine", 0o600), file(AT, "2")))
    change = by_location(decisions)[AT]
    assert change.keep
    assert file_of(change).attributes.mode == 0o600


@pytest.mark.parametrize("old", [directory(AT), symlink(AT, "z")], ids=["directory", "link"])
def test_the_mode_of_what_is_no_version_of_the_file_does_not_matter(old: Part) -> None:
    """Somebody put a file in the place of a directory; the package's program must be executable all the same."""
    decisions = decide(upgrade(old, file(AT, "mine", 0o600), file(AT, "program", 0o755)))
    change = by_location(decisions)[AT]
    assert file_of(change).attributes.mode == 0o755
    assert change.keep


def test_a_set_id_bit_that_an_administrator_took_away_does_not_come_back() -> None:
    old, there, new = file(AT, "1", 0o4755), file(AT, "1", 0o755), file(AT, "2", 0o4755)
    assert file_of(by_location(decide(upgrade(old, there, new)))[AT]).attributes.mode == 0o755


def test_an_unowned_file_with_the_wanted_content_is_adopted_with_the_wanted_mode() -> None:
    decisions = decide(given(wanted={"a": [file(AT, "x", 0o755)]}, there=[file(AT, "x", 0o600)]))
    change = by_location(decisions)[AT]
    assert file_of(change).content == LiveContent(RelPath(AT))
    assert file_of(change).attributes.mode == 0o755
    assert not change.keep, "nobody's work is lost"


def test_a_link_with_another_owner_is_made_anew() -> None:
    foreign = Part(SymlinkEntry(RelPath("a"), "b", "7", "7"))
    decisions = decide(given(wanted={"a": [symlink("a", "b")]}, there=[foreign]))
    new = by_location(decisions)["a"].new
    assert new == NewSymlink("b", 0, 0)


@pytest.mark.parametrize(
    ("owned", "there", "expected"),
    [
        pytest.param(file("a", "1"), file("a", "1"), True, id="same file"),
        pytest.param(file("a", "1"), file("a", "1", 0o600), True, id="other mode"),
        pytest.param(file("a", "1"), file("a", "2"), False, id="other content"),
        pytest.param(file("a", "1"), symlink("a", "1"), False, id="link for a file"),
        pytest.param(file("a", "1"), directory("a"), False, id="directory for a file"),
        pytest.param(symlink("a", "b"), symlink("a", "b"), True, id="same link"),
        pytest.param(symlink("a", "b"), symlink("a", "c"), False, id="other target"),
        pytest.param(directory("a"), directory("a", 0o700), True, id="directory"),
        pytest.param(directory("a"), symlink("a", "b"), False, id="link for a directory"),
    ],
)
def test_an_object_is_as_installed_if_type_and_content_are(owned: Part, there: Part, expected: bool) -> None:  # noqa: FBT001  a parameter of the test
    (entry,) = owned_by({"a": [owned]})[RelPath("a")]
    assert is_as_installed(entry, as_seen(there)) is expected


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (file("a", "1", 0o640), True),
        (file("a", "other", 0o640), True),
        (file("a", "1", 0o644), False),
        (file("a", "1", 0o640, owner="5"), False),
    ],
)
def test_attributes_are_the_same_if_mode_and_owner_are(there: Part, expected: bool) -> None:  # noqa: FBT001  a parameter of the test
    (entry,) = owned_by({"a": [file("a", "1", 0o640)]})[RelPath("a")]
    assert same_attributes(entry, as_seen(there)) is expected


def test_links_have_no_mode_that_could_differ() -> None:
    (entry,) = owned_by({"a": [symlink("a", "b")]})[RelPath("a")]
    assert same_attributes(entry, as_seen(Part(SymlinkEntry(RelPath("a"), "b", "9", "9"))))


def test_a_configuration_file_follows_its_package_s_new_mode(workshop: Workshop) -> None:
    """The content is the same, so only a comparison of the modes notices."""
    workshop.install(Package("a", "1", file("etc/c", "secret", 0o644, config=True)))
    workshop.install(Package("a", "2", file("etc/c", "secret", 0o600, config=True)))
    assert (workshop.path / "etc/c").stat().st_mode & 0o777 == 0o600


def test_a_configuration_file_keeps_a_mode_that_was_set_here(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("etc/c", "1", 0o644, config=True)))
    (workshop.path / "etc/c").chmod(0o600)
    for version in "12":
        workshop.install(Package("a", f"2.{version}", file("etc/c", version, 0o640, config=True)))
        assert (workshop.path / "etc/c").stat().st_mode & 0o777 == 0o600
        assert workshop.read("etc/c") == version


def test_a_configuration_file_that_an_administrator_links_elsewhere_stays_linked(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("etc/c", "1", config=True)))
    workshop.write("srv/c", "mine")
    (workshop.path / "etc/c").unlink()
    (workshop.path / "etc/c").symlink_to("../srv/c")
    workshop.install(Package("a", "2", file("etc/c", "2", config=True)))
    assert workshop.read("etc/c") == "mine"
    assert workshop.read("etc/c.pkg-new") == "2"
    workshop.remove("a")
    assert workshop.read("etc/c") == "mine"
    assert not (workshop.path / "etc/c.pkg-new").exists()


def test_a_link_that_came_with_the_package_gives_way_to_a_configuration_file() -> None:
    decisions = decide(
        given(
            wanted={"a": [file("etc/c", "2", config=True)]},
            leaving={"a": [symlink("etc/c", "d")]},
            there=[symlink("etc/c", "d")],
        )
    )
    assert file_of(by_location(decisions)["etc/c"]).digest == digest("2")
