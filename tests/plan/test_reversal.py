"""What brings a path back to what it was, and what of somebody's later work stays?"""

from dataclasses import replace

import pytest

from intact.model.entries import FileEntry
from intact.model.objects import (
    Attributes,
    Backup,
    NewDirectory,
    NewFile,
    NewHardlink,
    NewObject,
    NewSymlink,
    Observed,
)
from intact.model.paths import RelPath
from intact.plan.change import Change
from intact.plan.reversal import Image, Reversal, merge_images, reverse
from support.situations import as_seen, device, digest, wanted_by
from support.workshop import Part, directory, file, symlink

AT = RelPath("opt/x")
BESIDE = RelPath("opt/x.pkg-new")
SLOT = RelPath("slots/1")
ONE, TWO, MINE = file(AT, "one"), file(AT, "two"), file(AT, "mine")


def put(part: Part) -> NewObject:
    """What a transaction put there."""
    ((wanted,),) = wanted_by({"a": [part]}).values()
    return wanted.new


def image(before: Part | None, after: Part | None, at: RelPath = AT) -> Image:
    return Image(at, None if before is None else as_seen(before), SLOT, None if after is None else put(after))


def undone(before: Part | None, after: Part | None, there: Part | None, *, config: bool = False) -> Reversal:
    """Reverse one step at `AT`, given what stands there now."""
    seen = None if there is None else as_seen(there)
    return reverse({AT: image(before, after)}, {AT: seen}, frozenset({AT} if config else ()))


def only(reversal: Reversal) -> Change:
    (change,) = reversal.changes
    return change


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(ONE, TWO, id="file replaced"),
        pytest.param(ONE, None, id="file removed"),
        pytest.param(ONE, symlink(AT, "z"), id="file became a link"),
        pytest.param(ONE, directory(AT), id="file became a directory"),
    ],
)
@pytest.mark.parametrize("config", [False, True])
def test_a_file_comes_back_from_its_backup(before: Part, after: Part | None, config: bool) -> None:  # noqa: FBT001  a parameter of the test
    reversal = undone(before, after, after, config=config)
    change = only(reversal)
    new = change.new
    assert isinstance(new, NewFile)
    assert (new.digest, new.size, new.content) == (digest("one"), 3, Backup(SLOT))
    assert new.attributes == Attributes(0o644, 0, 0, as_seen(ONE).mtime_ns)
    assert (change.old, change.keep) == (None if after is None else as_seen(after), False)
    assert (reversal.notes, reversal.problems) == ([], [])


def test_rights_come_back_with_the_file() -> None:
    privileged = replace(as_seen(file(AT, "one", 0o4755)), xattrs=(("security.capability", b"\1"),))
    reversal = reverse({AT: Image(AT, privileged, SLOT, put(TWO))}, {AT: as_seen(TWO)}, frozenset())
    new = only(reversal).new
    assert isinstance(new, NewFile)
    assert (new.attributes.mode, new.attributes.xattrs) == (0o4755, privileged.xattrs)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param(symlink(AT, "z"), NewSymlink("z", 0, 0), id="link"),
        pytest.param(directory(AT, 0o711), NewDirectory(Attributes(0o711, 0, 0)), id="directory"),
    ],
)
def test_links_and_directories_need_no_backup(before: Part, expected: NewObject) -> None:
    assert only(undone(before, None, None)).new == expected


@pytest.mark.parametrize("after", [TWO, symlink(AT, "z"), directory(AT)], ids=["file", "link", "directory"])
def test_what_a_transaction_brought_is_taken_away(after: Part) -> None:
    change = only(undone(None, after, after))
    assert (change.new, change.old) == (None, as_seen(after))


@pytest.mark.parametrize(
    ("after", "there"),
    [
        pytest.param(TWO, MINE, id="edited file"),
        pytest.param(TWO, symlink(AT, "mine"), id="link for a file"),
        pytest.param(TWO, directory(AT), id="directory for a file"),
        pytest.param(symlink(AT, "z"), symlink(AT, "mine"), id="link led elsewhere"),
        pytest.param(directory(AT), MINE, id="file for a directory"),
    ],
)
def test_but_not_if_somebody_has_changed_it(after: Part, there: Part) -> None:
    reversal = undone(None, after, there)
    assert reversal.changes == []
    assert reversal.notes == [f"/{AT}: edited since; it stays and belongs to no package now"]


def test_what_was_deleted_since_needs_not_be_taken_away() -> None:
    assert undone(None, TWO, None) == Reversal()


def test_an_edited_file_is_kept() -> None:
    reversal = undone(ONE, TWO, MINE)
    assert reversal.changes == []
    assert reversal.notes == [f"/{AT}: edited since; it is kept"]


@pytest.mark.parametrize(
    "there", [MINE, symlink(AT, "mine"), directory(AT)], ids=["file", "link", "directory"]
)
def test_what_somebody_put_in_the_place_of_a_removed_file_is_kept(there: Part) -> None:
    reversal = undone(ONE, None, there)
    assert reversal.changes == []
    assert len(reversal.notes) == 1


def test_what_somebody_brought_back_already_is_left_alone() -> None:
    assert undone(ONE, TWO, ONE) == Reversal()


def test_what_somebody_brought_back_with_another_mode_is_kept() -> None:
    assert undone(ONE, TWO, file(AT, "one", 0o600)).changes == []


def test_a_file_that_was_deleted_since_comes_back_as_it_was_before() -> None:
    assert only(undone(ONE, TWO, None)).old is None


def test_a_configuration_file_that_was_deleted_since_stays_deleted() -> None:
    reversal = undone(ONE, TWO, None, config=True)
    assert reversal.changes == []
    assert reversal.notes == [f"/{AT}: deleted since; it stays deleted"]


def test_the_old_version_of_an_edited_configuration_file_lies_beside_it() -> None:
    reversal = undone(ONE, TWO, MINE, config=True)
    change = only(reversal)
    assert isinstance(change.new, NewFile)
    assert (change.location, change.new.digest, change.old, change.keep) == (
        BESIDE,
        digest("one"),
        None,
        False,
    )
    assert reversal.notes == [f"/{AT}: edited since; it is kept, the version from before is /{BESIDE}"]


def test_what_a_person_has_at_that_name_is_kept_elsewhere() -> None:
    seen = {AT: as_seen(MINE), BESIDE: as_seen(file(BESIDE, "notes"))}
    change = only(reverse({AT: image(ONE, TWO)}, seen, frozenset({AT})))
    assert (change.location, change.keep) == (BESIDE, True)


@pytest.mark.parametrize(("lying", "keep"), [("three", False), ("merged", True)])
def test_a_version_that_was_laid_beside_makes_room_for_the_older_one(lying: str, keep: bool) -> None:  # noqa: FBT001  a parameter of the test
    """One transaction replaced the file, a later one laid its version beside: both are undone at once."""
    images = {AT: image(ONE, TWO), BESIDE: image(None, file(BESIDE, "three"), BESIDE)}
    seen = {AT: as_seen(MINE), BESIDE: as_seen(file(BESIDE, lying))}
    change = only(reverse(images, seen, frozenset({AT})))
    assert isinstance(change.new, NewFile)
    assert (change.location, change.new.digest, change.keep) == (BESIDE, digest("one"), keep)


@pytest.mark.parametrize(
    ("lying", "what"),
    [(directory(BESIDE), "directory"), (device(BESIDE), "device, pipe or socket")],
    ids=["directory", "pipe"],
)
def test_what_cannot_make_room_for_it_is_a_problem(lying: Part, what: str) -> None:
    seen = {AT: as_seen(MINE), BESIDE: as_seen(lying)}
    reversal = reverse({AT: image(ONE, TWO)}, seen, frozenset({AT}))
    assert reversal.changes == []
    (problem,) = reversal.problems
    assert problem.startswith(f"/{BESIDE}: a {what} is in the way of the version from before of /{AT}, ")
    assert problem.endswith("; move it away first")


@pytest.mark.parametrize(
    ("there", "mode", "uid"),
    [
        pytest.param(file(AT, "two", 0o600), 0o600, 0, id="mode"),
        pytest.param(file(AT, "two", owner="7"), 0o644, 7, id="owner"),
        pytest.param(file(AT, "two"), 0o755, 0, id="neither"),
    ],
)
def test_a_mode_or_owner_that_was_set_since_stays_on_what_comes_back(
    there: Part, mode: int, uid: int
) -> None:
    new = only(undone(file(AT, "one", 0o755), TWO, there)).new
    assert isinstance(new, NewFile)
    assert (new.attributes.mode, new.attributes.uid, new.digest) == (mode, uid, digest("one"))


def shared(text: str, at: str, inode: int, mode: int = 0o644) -> Observed:
    entry = file(at, text, mode)
    assert isinstance(entry.entry, FileEntry)
    return replace(as_seen(entry, inode), links=2)


def removed(*before: tuple[str, Observed]) -> Reversal:
    images = {RelPath(at): Image(RelPath(at), seen, RelPath(f"slots/{at}"), None) for at, seen in before}
    return reverse(images, dict.fromkeys(images), frozenset())


def test_names_of_one_file_are_one_file_again() -> None:
    reversal = removed(*((at, shared("x", at, 5)) for at in ("a", "b", "c")))
    first, *others = (change.new for change in reversal.changes)
    assert isinstance(first, NewFile)
    assert others == [NewHardlink(RelPath("a"))] * 2


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(shared("y", "b", 5), id="other content under the same number, on another filesystem"),
        pytest.param(shared("x", "b", 6), id="same content under another number"),
        pytest.param(shared("x", "b", 5, 0o600), id="other mode"),
    ],
)
def test_different_files_do_not_become_one(other: Observed) -> None:
    reversal = removed(("a", shared("x", "a", 5)), ("b", other))
    assert all(isinstance(change.new, NewFile) for change in reversal.changes)


FIRST, TWIN = RelPath("a"), RelPath("b")


def with_two_names(text: str, *, old: str) -> list[Image]:
    """The images of a transaction that put a file with two names in the place of two files."""
    return [
        Image(TWIN, as_seen(file(TWIN, old)), SLOT, NewHardlink(FIRST)),
        Image(FIRST, as_seen(file(FIRST, old)), SLOT, put(file(FIRST, text))),
    ]


def test_a_further_name_is_judged_by_the_file_s_content() -> None:
    images = merge_images([with_two_names("2", old="1")])
    seen = {FIRST: as_seen(file(FIRST, "2")), TWIN: as_seen(file(TWIN, "edited"))}
    reversal = reverse(images, seen, frozenset())
    assert [change.location for change in reversal.changes] == [FIRST]
    assert reversal.notes == ["/b: edited since; it is kept"]


@pytest.mark.parametrize(("there", "goes"), [("2", True), ("edited", False)])
def test_a_further_name_is_known_even_if_its_file_was_removed_later(there: str, goes: bool) -> None:  # noqa: FBT001  a parameter of the test
    later = [Image(FIRST, as_seen(file(FIRST, "2")), SLOT, None)]
    images = merge_images([with_two_names("2", old="1"), later])
    reversal = reverse(images, {FIRST: None, TWIN: as_seen(file(TWIN, there))}, frozenset())
    assert (TWIN in [change.location for change in reversal.changes]) is goes


def test_a_further_name_that_changed_its_file_is_known_by_its_newest() -> None:
    images = merge_images([with_two_names("2", old="1"), with_two_names("3", old="2")])
    seen = {at: as_seen(file(at, "3")) for at in (FIRST, TWIN)}
    reversal = reverse(images, seen, frozenset())
    assert {change.location for change in reversal.changes} == {FIRST, TWIN}
    assert all(isinstance(c.new, NewFile) and c.new.digest == digest("1") for c in reversal.changes)


def test_a_mode_that_was_set_on_a_further_name_stays() -> None:
    images = merge_images([with_two_names("2", old="1")])
    seen = {at: as_seen(file(at, "2", 0o600)) for at in (FIRST, TWIN)}
    modes = [
        change.new.attributes.mode
        for change in reverse(images, seen, frozenset()).changes
        if isinstance(change.new, NewFile)
    ]
    assert modes == [0o600, 0o600]


@pytest.mark.parametrize(
    ("links_before", "links_now"), [(1, 2), (2, 1), (2, 2)], ids=["joined", "parted", "joined with another"]
)
def test_names_are_parted_and_joined_again_even_if_their_content_is_the_same(
    links_before: int, links_now: int
) -> None:
    before = replace(as_seen(file(AT, "one"), 5), links=links_before)
    seen = replace(as_seen(file(AT, "one"), 6), links=links_now)
    change = only(reverse({AT: Image(AT, before, SLOT, put(ONE))}, {AT: seen}, frozenset()))
    assert isinstance(change.new, NewFile)
    assert change.new.content == Backup(SLOT)
