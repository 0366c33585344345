"""The way back for directories: their attributes, their content, and what somebody did to them since."""

import shutil

import pytest

from intact.model.actions import (
    Action,
    Create,
    Node,
    OldNode,
    Remove,
    RemoveDirectory,
    Replace,
    SetAttributes,
)
from intact.model.errors import Conflict
from intact.model.objects import Attributes, NewDirectory, NewSymlink, Observed
from intact.model.paths import RelPath
from intact.plan.change import AttributeChange
from intact.plan.reversal import Image, images_of, merge_images, reverse
from support.situations import as_seen
from support.workshop import Package, Part, Workshop, directory, file, snapshot, symlink

D, X, SLOT = RelPath("d"), RelPath("d/x"), RelPath("slots/7")
OPEN, CLOSED = Attributes(0o755, 0, 0), Attributes(0o700, 0, 0)
FOLDER, INNER = as_seen(directory("d")), as_seen(file("d/x", "x"))


def folder(mode: int) -> Observed:
    return as_seen(directory("d", mode))


def test_attributes_go_back() -> None:
    images = {D: Image(D, FOLDER, None, NewDirectory(CLOSED))}
    reversal = reverse(images, {D: folder(0o700)}, frozenset())
    assert reversal.attributes == [AttributeChange(D, OPEN, folder(0o700))]
    assert reversal.changes == []


def test_attributes_that_somebody_changed_since_stay() -> None:
    images = {D: Image(D, FOLDER, None, NewDirectory(CLOSED))}
    reversal = reverse(images, {D: folder(0o711)}, frozenset())
    assert reversal.attributes == []
    assert reversal.notes == ["/d: mode or owner was changed since and is kept"]


def test_attributes_that_somebody_took_back_already_are_left_alone() -> None:
    images = {D: Image(D, FOLDER, None, NewDirectory(CLOSED))}
    reversal = reverse(images, {D: FOLDER}, frozenset())
    assert (reversal.attributes, reversal.notes) == ([], [])


def test_a_directory_that_was_removed_and_made_again_gets_its_first_attributes_back() -> None:
    steps: list[Action] = [RemoveDirectory(D, folder(0o700)), Create(D, 0, NewDirectory(OPEN))]
    images = merge_images(images_of(step, SLOT) for step in steps)
    reversal = reverse(images, {D: FOLDER}, frozenset())
    assert [change.new for change in reversal.attributes] == [CLOSED]


def test_of_two_changes_of_attributes_the_first_one_is_gone_back_to() -> None:
    steps: list[Action] = [
        SetAttributes(D, CLOSED, FOLDER),
        SetAttributes(D, Attributes(0o711, 0, 0), folder(0o700)),
    ]
    images = merge_images(images_of(step, SLOT) for step in steps)
    reversal = reverse(images, {D: folder(0o711)}, frozenset())
    assert [change.new for change in reversal.attributes] == [OPEN]


NEW_LINK = NewSymlink("z", 0, 0)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        pytest.param(Create(D, 0, NEW_LINK), [Image(D, None, None, NEW_LINK)], id="created"),
        pytest.param(
            Create(D, 0, NewDirectory(OPEN), (Node(X, NEW_LINK),)),
            [Image(D, None, None, NewDirectory(OPEN)), Image(X, None, None, NEW_LINK)],
            id="created with content",
        ),
        pytest.param(Replace(X, 0, NEW_LINK, INNER), [Image(X, INNER, SLOT, NEW_LINK)], id="replaced"),
        pytest.param(
            Replace(D, 0, NEW_LINK, FOLDER, was_below=(OldNode(X, INNER),)),
            [Image(D, FOLDER, SLOT, NEW_LINK), Image(X, INNER, SLOT / "x", None)],
            id="a directory gave way",
        ),
        pytest.param(
            Replace(D, 0, NewDirectory(OPEN), INNER, (Node(X, NEW_LINK),)),
            [Image(D, INNER, SLOT, NewDirectory(OPEN)), Image(X, None, None, NEW_LINK)],
            id="a file gave way to a directory",
        ),
        pytest.param(
            Replace(D, 0, NewDirectory(CLOSED), FOLDER, (Node(X, NEW_LINK),), (OldNode(X, INNER),)),
            [Image(D, FOLDER, SLOT, NewDirectory(CLOSED)), Image(X, INNER, SLOT / "x", NEW_LINK)],
            id="a directory gave way to another",
        ),
        pytest.param(Remove(X, 0, INNER), [Image(X, INNER, SLOT, None)], id="removed"),
        pytest.param(
            Remove(D, 0, FOLDER, (OldNode(X, INNER),)),
            [Image(D, FOLDER, SLOT, None), Image(X, INNER, SLOT / "x", None)],
            id="removed with content",
        ),
        pytest.param(RemoveDirectory(D, FOLDER), [Image(D, FOLDER, None, None)], id="empty, removed"),
        pytest.param(
            SetAttributes(D, CLOSED, FOLDER), [Image(D, FOLDER, None, NewDirectory(CLOSED))], id="attributes"
        ),
    ],
)
def test_each_action_says_what_it_did_to_each_path(action: Action, expected: list[Image]) -> None:
    assert images_of(action, SLOT) == expected


def test_of_several_transactions_the_first_knows_what_was_and_the_last_what_is() -> None:
    first, last = RelPath("slots/1"), RelPath("slots/2")
    middle = as_seen(file("d/x", "two"))
    steps = [
        (Replace(X, 0, NEW_LINK, INNER), first),
        (Replace(X, 0, NewSymlink("q", 0, 0), middle), last),
    ]
    merged = merge_images(images_of(action, slot) for action, slot in steps)
    assert merged == {X: Image(X, INNER, first, NewSymlink("q", 0, 0))}


def test_what_came_and_went_in_between_leaves_nothing_to_do() -> None:
    steps: list[Action] = [Create(X, 0, NEW_LINK), Remove(X, 0, as_seen(symlink("d/x", "z")))]
    merged = merge_images(images_of(action, SLOT) for action in steps)
    reversal = reverse(merged, {X: None}, frozenset())
    assert (reversal.changes, reversal.notes, reversal.problems) == ([], [], [])


REMOVED = {D: Image(D, FOLDER, SLOT, None), X: Image(X, INNER, SLOT / "x", None)}


@pytest.mark.parametrize(
    ("there", "kind"), [(file("d", "mine"), "file"), (symlink("d", "/srv"), "symlink")], ids=["file", "link"]
)
def test_what_stands_in_the_place_of_a_directory_that_must_come_back_is_named(there: Part, kind: str) -> None:
    reversal = reverse(REMOVED, {D: as_seen(there), X: None}, frozenset())
    assert reversal.problems == [f"/d: was a directory, and now a {kind} is in its place; move it away first"]


def test_the_same_for_a_directory_that_only_holds_what_comes_back() -> None:
    reversal = reverse({X: REMOVED[X]}, {D: as_seen(file("d", "mine")), X: None}, frozenset())
    assert len(reversal.problems) == 1


def test_an_empty_directory_gives_way_to_what_somebody_put_there() -> None:
    reversal = reverse({D: REMOVED[D]}, {D: as_seen(file("d", "mine"))}, frozenset())
    assert (reversal.changes, reversal.problems) == ([], [])
    assert reversal.notes == ["/d: edited since; it is kept"]


def test_a_directory_that_was_deleted_since_is_made_again_for_what_comes_back() -> None:
    reversal = reverse({X: REMOVED[X]}, {D: None, X: None}, frozenset(), {D: CLOSED})
    changes = {change.location: change.new for change in reversal.changes}
    assert changes[D] == NewDirectory(CLOSED)
    assert reversal.problems == []


def test_a_deleted_directory_in_the_place_of_which_a_file_lies_is_told_once() -> None:
    deep = RelPath("d/e/y")
    seen: dict[RelPath, Observed | None] = {D: as_seen(file("d", "mine")), deep.parent: None, deep: None}
    reversal = reverse({deep: Image(deep, INNER, SLOT, None)}, seen, frozenset(), {deep.parent: CLOSED})
    assert len(reversal.problems) == 1


def test_a_deleted_directory_of_which_nothing_is_known_is_a_problem_told_once() -> None:
    deep = RelPath("d/e/y")
    images = {X: REMOVED[X], deep: Image(deep, INNER, SLOT, None)}
    seen: dict[RelPath, Observed | None] = {D: None, X: None, deep.parent: None, deep: None}
    assert reverse(images, seen, frozenset()).problems == ["/d: the directory is gone; make it again first"]


def test_a_rollback_makes_deleted_directories_again(workshop: Workshop) -> None:
    for version in "12":
        workshop.install(Package("a", version, directory("opt/d", 0o750), file("opt/d/e/x", version)))
    shutil.rmtree(workshop.path / "opt/d")
    workshop.roll_back()
    assert workshop.read("opt/d/e/x") == "1"
    assert (workshop.path / "opt/d").stat().st_mode & 0o777 == 0o750


def test_a_rollback_names_what_is_in_the_place_of_a_directory_and_changes_nothing(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/d/x", "x"), file("opt/z", "z")))
    workshop.remove("a")
    workshop.write("opt/d", "mine")
    before = snapshot(workshop)
    with pytest.raises(Conflict, match="/opt/d: was a directory, and now a file") as raised:
        workshop.roll_back()
    assert raised.value.remedy is not None
    assert snapshot(workshop) == before


def test_going_back_over_a_removal_restores_a_directory_s_mode(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", directory("opt/d", 0o700)))
    workshop.remove("a")
    workshop.install(Package("a", "2", directory("opt/d", 0o755)))
    workshop.roll_back(2)
    assert (workshop.path / "opt/d").stat().st_mode & 0o777 == 0o700


def test_a_mode_that_was_set_on_a_file_stays_through_a_rollback(workshop: Workshop) -> None:
    for version in "12":
        workshop.install(Package("a", version, file("opt/x", version)))
    (workshop.path / "opt/x").chmod(0o600)
    workshop.roll_back()
    assert workshop.read("opt/x") == "1"
    assert (workshop.path / "opt/x").stat().st_mode & 0o777 == 0o600
