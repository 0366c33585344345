"""Directories are shared, used and kept: who owns one, whose attributes does it have, when does it go?"""

import pytest

from intact.model.objects import Attributes, NewDirectory, NewSymlink
from intact.plan.changes import Decisions, decide
from support.situations import by_location, device, given, owned_of
from support.workshop import Package, Part, Workshop, directory, file, symlink

AT = "opt/d"
INNER = file(f"{AT}/x", "x")


def attributes(decisions: Decisions) -> dict[str, int]:
    """The modes that directories get."""
    return {str(one.location): one.new.mode for one in decisions.attributes}


def test_a_directory_follows_its_package_s_mode() -> None:
    decisions = decide(
        given(wanted={"a": [directory(AT, 0o700)]}, leaving={"a": [directory(AT)]}, there=[directory(AT)])
    )
    (change,) = decisions.attributes
    assert (change.location, change.new) == (AT, Attributes(0o700, 0, 0))
    assert change.old.mode == 0o755
    assert decisions.changes == []


@pytest.mark.parametrize(
    ("was", "there", "new", "noted"),
    [
        pytest.param(0o755, 0o755, 0o755, False, id="nothing changed"),
        pytest.param(0o755, 0o700, 0o755, False, id="changed here only"),
        pytest.param(0o755, 0o700, 0o750, True, id="changed on both sides"),
        pytest.param(0o755, 0o750, 0o750, False, id="changed here to what comes"),
    ],
)
def test_a_mode_that_an_administrator_set_is_kept(was: int, there: int, new: int, noted: bool) -> None:  # noqa: FBT001  a parameter of the test
    decisions = decide(
        given(
            wanted={"a": [directory(AT, new)]},
            leaving={"a": [directory(AT, was)]},
            there=[directory(AT, there)],
        )
    )
    assert (decisions.attributes, decisions.changes) == ([], [])
    assert bool(decisions.notes) is noted


def test_a_directory_that_was_there_first_is_used_not_owned_and_keeps_its_mode() -> None:
    decisions = decide(given(wanted={"a": [directory(AT, 0o700), INNER]}, there=[directory(AT)]))
    assert attributes(decisions) == {}
    assert owned_of(decisions) == [INNER.entry.path]


def test_a_directory_of_another_package_is_owned_together_and_keeps_its_mode() -> None:
    decisions = decide(
        given(
            wanted={"a": [directory(AT, 0o700)]},
            staying={"b": [directory(AT)]},
            there=[directory(AT)],
        )
    )
    assert (decisions.problems, attributes(decisions)) == ([], {})
    assert owned_of(decisions) == [AT]
    assert decisions.taken_over == {}


def test_a_shared_directory_keeps_its_mode_when_one_owner_wants_another() -> None:
    decisions = decide(
        given(
            wanted={"a": [directory(AT, 0o700)]},
            leaving={"a": [directory(AT)]},
            staying={"b": [directory(AT)]},
            there=[directory(AT)],
        )
    )
    assert attributes(decisions) == {}


def test_two_incoming_packages_may_bring_the_same_directory() -> None:
    decisions = decide(given(wanted={"a": [directory(AT)], "b": [directory(AT, 0o700)]}))
    assert decisions.problems == []
    new = by_location(decisions)[AT].new
    assert isinstance(new, NewDirectory)
    assert new.attributes.mode == 0o755, "the first one named decides"
    assert owned_of(decisions, "a") == owned_of(decisions, "b") == [AT]


def test_a_directory_that_was_deleted_comes_back() -> None:
    decisions = decide(given(wanted={"a": [directory(AT)]}, leaving={"a": [directory(AT)]}))
    assert by_location(decisions)[AT].old is None


@pytest.mark.parametrize("new", [file(AT, "now a file"), symlink(AT, "e")], ids=["file", "symlink"])
def test_a_directory_with_only_the_package_s_own_things_may_become_something_else(new: Part) -> None:
    old = [directory(AT), INNER, directory(f"{AT}/e"), symlink(f"{AT}/e/l", "x")]
    decisions = decide(given(wanted={"a": [new]}, leaving={"a": old}, there=old))
    changes = by_location(decisions)
    assert decisions.problems == []
    assert changes[AT].new is not None
    assert {at for at, change in changes.items() if change.new is None} == {
        part.entry.path for part in old[1:]
    }


@pytest.mark.parametrize(
    ("there", "mounts", "place"),
    [
        pytest.param([directory(AT), file(f"{AT}/mine", "m")], [], f"/{AT}/mine in it", id="a person's file"),
        pytest.param([directory(AT), file(f"{AT}/x", "edited")], [], f"/{AT}/x in it", id="an edited file"),
        pytest.param([directory(AT), device(f"{AT}/p")], [], f"/{AT}/p in it", id="a pipe"),
        pytest.param(
            [directory(AT), INNER, directory(f"{AT}/e"), file(f"{AT}/e/deep", "m")],
            [],
            f"/{AT}/e/deep in it",
            id="a person's file, deep inside",
        ),
        pytest.param(
            [directory(AT), INNER, directory(f"{AT}/e")],
            [f"{AT}/e"],
            f"the mount point /{AT}/e",
            id="a mount",
        ),
        pytest.param([directory(AT), INNER], [AT], "is a mount point", id="the directory is a mount"),
    ],
)
def test_otherwise_what_keeps_it_from_going_is_named(
    there: list[Part], mounts: list[str], place: str
) -> None:
    old = [directory(AT), INNER, directory(f"{AT}/e")]
    decisions = decide(
        given(wanted={"a": [file(AT, "now a file")]}, leaving={"a": old}, there=there, mounts=mounts)
    )
    (problem,) = decisions.problems
    assert problem.startswith(f"/{AT}: ")
    assert place in problem
    assert problem.endswith("first")


def test_a_directory_inside_that_another_package_shares_keeps_it_from_going() -> None:
    both = [directory(AT), directory(f"{AT}/e")]
    decisions = decide(
        given(
            wanted={"a": [file(AT, "now a file")]},
            leaving={"a": both},
            staying={"b": both},
            there=both,
            replaces=[("a", "b")],
        )
    )
    (problem,) = decisions.problems
    assert f"/{AT}/e in it is not part of the package" in problem


def test_a_directory_of_nobody_is_never_replaced_even_when_empty_or_given_up() -> None:
    situation = given(wanted={"a": [file(AT, "x")]}, there=[directory(AT)], overwrite=[AT])
    assert decide(situation).problems == [f"/{AT}: is a directory that no package owns; move it away first"]


def test_whose_a_directory_in_the_way_is_is_told() -> None:
    decisions = decide(
        given(
            wanted={"a": [file(AT, "x")]},
            staying={"b": [directory(AT)]},
            there=[directory(AT)],
            replaces=[("a", "b")],
        )
    )
    assert decisions.problems == [f"/{AT}: is a directory of b; move it away first"]


@pytest.mark.parametrize("leaving", [["a"], ["a", "b"]], ids=["one owner leaves", "both leave"])
def test_a_shared_directory_goes_with_its_last_owner(leaving: list[str]) -> None:
    owners = {"a": [directory(AT), file(f"{AT}/a", "a")], "b": [directory(AT), file(f"{AT}/b", "b")]}
    there = [directory(AT), file(f"{AT}/a", "a"), file(f"{AT}/b", "b")]
    decisions = decide(
        given(
            leaving={name: owners[name] for name in leaving},
            staying={name: parts for name, parts in owners.items() if name not in leaving},
            there=there,
        )
    )
    assert (AT in by_location(decisions)) is (leaving == ["a", "b"])
    assert f"{AT}/a" in by_location(decisions)


def test_a_directory_that_an_administrator_moved_elsewhere_and_linked_stays_linked() -> None:
    decisions = decide(given(leaving={"a": [directory(AT)]}, there=[symlink(AT, "/srv/d")]))
    assert (decisions.changes, decisions.notes) == ([], [])


def test_a_mount_point_stays_and_is_told() -> None:
    decisions = decide(given(leaving={"a": [directory(AT)]}, there=[directory(AT)], mounts=[AT]))
    assert decisions.changes == []
    assert decisions.notes == [f"/{AT}: is a mount point; it stays"]


def test_a_link_of_the_package_becomes_a_directory_with_content() -> None:
    decisions = decide(
        given(
            wanted={"a": [directory(AT), INNER]}, leaving={"a": [symlink(AT, "e")]}, there=[symlink(AT, "e")]
        )
    )
    changes = by_location(decisions)
    assert isinstance(changes[AT].new, NewDirectory)
    assert changes[INNER.entry.path].old is None


def test_a_directory_becomes_a_link_of_the_package() -> None:
    old = [directory(AT), INNER]
    decisions = decide(given(wanted={"a": [symlink(AT, "e")]}, leaving={"a": old}, there=old))
    assert by_location(decisions)[AT].new == NewSymlink("e", 0, 0)
    assert by_location(decisions)[AT].keep is False


def test_a_directory_is_removed_only_if_nobody_s_file_is_in_it(workshop: Workshop) -> None:
    workshop.install(Package("a", "1", file("opt/d/x", "x"), file("opt/e/x", "x")))
    workshop.write("opt/d/mine", "mine")
    receipt = workshop.remove("a")
    assert workshop.read("opt/d/mine") == "mine"
    assert not (workshop.path / "opt/d/x").exists()
    assert not (workshop.path / "opt/e").exists()
    assert receipt.told == (
        "/opt/d: stays, because something that no package owns is in it",
        "/opt: stays, because something that no package owns is in it",
    )


def test_a_directory_that_was_there_first_outlives_the_package(workshop: Workshop) -> None:
    (workshop.path / "opt").mkdir(mode=0o711)
    workshop.install(Package("a", "1", directory("opt", 0o755), file("opt/x", "x")))
    workshop.remove("a")
    assert list((workshop.path / "opt").iterdir()) == []
    assert (workshop.path / "opt").stat().st_mode & 0o777 == 0o711
