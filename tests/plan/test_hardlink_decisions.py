"""Names that share one file come together, stay together, and are judged together."""

import os

import pytest

from intact.model.errors import Conflict
from intact.model.objects import LiveContent, NewFile, NewHardlink
from intact.model.paths import RelPath
from intact.plan.changes import decide
from support.situations import by_location, digest, given, owned_of
from support.workshop import Package, Part, Workshop, file, hardlink, symlink

FIRST, TWIN = "opt/x", "opt/y"
PAIR = [file(FIRST, "1"), hardlink(TWIN, FIRST)]
PAIR_TWO = [file(FIRST, "2"), hardlink(TWIN, FIRST)]
APART = [file(FIRST, "1"), file(TWIN, "1")]


def test_new_names_come_as_a_file_and_a_link_to_it() -> None:
    changes = by_location(decide(given(wanted={"a": PAIR})))
    assert isinstance(changes[FIRST].new, NewFile)
    assert changes[TWIN].new == NewHardlink(RelPath(FIRST))


def test_names_that_stand_as_wanted_are_left_alone() -> None:
    decisions = decide(given(wanted={"a": PAIR}, leaving={"a": PAIR}, there=PAIR))
    assert decisions.changes == []


@pytest.mark.parametrize(
    "there",
    [
        pytest.param([file(FIRST, "1")], id="one name deleted"),
        pytest.param([file(TWIN, "1")], id="the first name deleted"),
        pytest.param([], id="both deleted"),
        pytest.param(APART, id="two files with the same content"),
        pytest.param([file(FIRST, "1"), file(TWIN, "mine")], id="one name edited"),
        pytest.param([file(FIRST, "1"), symlink(TWIN, "x")], id="one name now a link"),
        pytest.param([file(FIRST, "mine"), hardlink(TWIN, FIRST)], id="both edited"),
    ],
)
def test_if_one_name_is_not_as_wanted_all_are_renewed_together(there: list[Part]) -> None:
    changes = by_location(decide(given(wanted={"a": PAIR}, leaving={"a": PAIR}, there=there)))
    first = changes[FIRST].new
    assert isinstance(first, NewFile)
    assert first.digest == digest("1")
    assert changes[TWIN].new == NewHardlink(RelPath(FIRST))


def test_new_content_renews_every_name() -> None:
    changes = by_location(decide(given(wanted={"a": PAIR_TWO}, leaving={"a": PAIR}, there=PAIR)))
    assert set(changes) == {FIRST, TWIN}
    assert not any(change.keep for change in changes.values())


def test_an_intact_first_name_is_copied_from_where_it_stands() -> None:
    changes = by_location(decide(given(wanted={"a": PAIR}, leaving={"a": PAIR}, there=PAIR[:1])))
    first = changes[FIRST].new
    assert isinstance(first, NewFile)
    assert first.content == LiveContent(RelPath(FIRST))


def test_an_edited_name_is_kept_when_all_are_renewed() -> None:
    there = [file(FIRST, "1"), file(TWIN, "mine")]
    changes = by_location(decide(given(wanted={"a": PAIR}, leaving={"a": PAIR}, there=there)))
    assert {at: change.keep for at, change in changes.items()} == {FIRST: False, TWIN: True}


def test_a_mode_that_an_administrator_set_on_all_names_is_no_difference() -> None:
    there = [file(FIRST, "1", 0o600), hardlink(TWIN, FIRST)]
    decisions = decide(given(wanted={"a": PAIR}, leaving={"a": PAIR}, there=there))
    assert decisions.changes == []
    assert f"/{FIRST}: mode or owner was changed here and is kept" in decisions.notes


def test_such_a_mode_stays_when_the_names_are_renewed() -> None:
    there = [file(FIRST, "1", 0o600)]
    changes = by_location(decide(given(wanted={"a": PAIR}, leaving={"a": PAIR}, there=there)))
    first = changes[FIRST].new
    assert isinstance(first, NewFile)
    assert first.attributes.mode == 0o600


def test_a_further_name_of_a_kept_configuration_file_is_left_alone() -> None:
    pair = [file(FIRST, "1", config=True), hardlink(TWIN, FIRST)]
    there = [file(FIRST, "mine"), file(TWIN, "1")]
    decisions = decide(given(wanted={"a": pair}, leaving={"a": pair}, there=there))
    assert decisions.changes == []
    assert decisions.notes == [f"/{TWIN}: a further name of /{FIRST}, which is kept; it stays as it is, too"]
    assert owned_of(decisions) == [FIRST, TWIN]


def test_a_configuration_file_that_was_there_first_gets_its_further_name_if_it_is_the_same() -> None:
    pair = [file(FIRST, "1", config=True), hardlink(TWIN, FIRST)]
    decisions = decide(given(wanted={"a": pair}, there=pair[:1]))
    assert set(by_location(decisions)) == {FIRST, TWIN}


def test_a_further_name_of_an_untouched_configuration_file_comes_back() -> None:
    pair = [file(FIRST, "1", config=True), hardlink(TWIN, FIRST)]
    decisions = decide(given(wanted={"a": pair}, leaving={"a": pair}, there=pair[:1]))
    assert set(by_location(decisions)) == {FIRST, TWIN}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(PAIR, [file(FIRST, "1"), file(TWIN, "2")], id="a name becomes a file of its own"),
        pytest.param([file(FIRST, "1"), file(TWIN, "2")], PAIR, id="a file becomes a further name"),
        pytest.param(PAIR, [file(TWIN, "2"), hardlink(FIRST, TWIN)], id="the other one is the first"),
    ],
)
def test_names_may_change_their_part(old: list[Part], new: list[Part]) -> None:
    decisions = decide(given(wanted={"a": new}, leaving={"a": old}, there=old))
    assert TWIN in by_location(decisions)
    assert decisions.problems == []
    assert decisions.notes == []


def test_a_name_that_is_no_longer_wanted_goes_alone() -> None:
    changes = by_location(decide(given(wanted={"a": PAIR[:1]}, leaving={"a": PAIR}, there=PAIR)))
    assert {at: change.new for at, change in changes.items()} == {TWIN: None}


def test_removing_a_package_removes_every_name() -> None:
    changes = by_location(decide(given(leaving={"a": PAIR}, there=PAIR)))
    assert set(changes) == {FIRST, TWIN}


def test_ownership_says_of_which_file_it_is_a_name() -> None:
    first, twin = decide(given(wanted={"a": PAIR})).owned["a"]
    assert (first.hardlink, twin.hardlink) == (None, FIRST)
    assert (twin.digest, twin.size, twin.mode) == (digest("1"), 1, 0o644)


def test_a_further_name_in_the_way_of_another_package_s_link_is_a_problem_not_a_crash() -> None:
    decisions = decide(given(wanted={"a": [symlink(FIRST, "z")], "b": PAIR}))
    assert decisions.problems == [f"/{FIRST}: a and b bring it; install only one of them"]


def test_a_missing_account_of_a_file_with_two_names_is_told(workshop: Workshop) -> None:
    parts = [file(FIRST, "1", owner="nosuch"), hardlink(TWIN, FIRST), file("opt/z", "z", owner="neither")]
    with pytest.raises(Conflict) as raised:
        workshop.install(Package("a", "1", *parts))
    assert len(raised.value.details) == (2 if os.geteuid() == 0 else 0)


@pytest.mark.parametrize("deleted", [False, True], ids=["both there", "one deleted"])
@pytest.mark.parametrize("version", ["1", "2"])
def test_names_with_a_changed_mode_go_through_an_installation(
    workshop: Workshop,
    deleted: bool,  # noqa: FBT001  a parameter of the test
    version: str,
) -> None:
    """The same version again brings a deleted name back; so does another one, if it has the file otherwise."""
    workshop.install(Package("a", "1", *PAIR))
    (workshop.path / FIRST).chmod(0o600)
    if deleted:
        (workshop.path / TWIN).unlink()
    pair = PAIR if version == "1" else [file(FIRST, "2"), PAIR[1]]
    workshop.install(Package("a", version, *pair))
    first, twin = ((workshop.path / name).stat() for name in (FIRST, TWIN))
    assert (first.st_ino, first.st_mode & 0o777, first.st_nlink) == (twin.st_ino, 0o600, 2)


def test_an_edited_configuration_file_with_two_names_goes_through_an_upgrade(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file(FIRST, "1", config=True), hardlink(TWIN, FIRST)))
    workshop.write(FIRST, "mine")
    workshop.install(Package("a", "2", file(FIRST, "2", config=True), hardlink(TWIN, FIRST)))
    assert (workshop.read(FIRST), workshop.read(TWIN)) == ("mine", "1")
    assert workshop.read(FIRST + ".pkg-new") == "2"
