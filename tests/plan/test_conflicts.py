"""What stands in the way, whose is it, and what may move from one package to another?"""

import pytest

from intact.model.errors import Conflict
from intact.model.objects import NewFile
from intact.plan.changes import decide
from support.situations import by_location, device, digest, given, owned_of
from support.workshop import Package, Part, Workshop, directory, file, hardlink, snapshot, symlink

AT = "usr/bin/x"
OURS, THEIRS, MINE = file(AT, "ours"), file(AT, "theirs"), file(AT, "mine")


@pytest.mark.parametrize(
    ("there", "kind"),
    [(MINE, "file"), (symlink(AT, "mine"), "symlink")],
    ids=["file", "link"],
)
@pytest.mark.parametrize(
    "wanted", [OURS, symlink(AT, "ours"), directory(AT)], ids=["file", "link", "directory"]
)
def test_what_nobody_owns_is_named_with_the_way_out(there: Part, kind: str, wanted: Part) -> None:
    decisions = decide(given(wanted={"a": [wanted]}, there=[there]))
    assert decisions.changes == []
    assert decisions.problems == [
        f"/{AT}: a {kind} that no package owns is in the way; move it away, or allow --overwrite /{AT}"
    ]


@pytest.mark.parametrize("there", [MINE, symlink(AT, "mine")], ids=["file", "link"])
def test_what_the_user_gave_up_is_replaced_and_kept(there: Part) -> None:
    decisions = decide(given(wanted={"a": [OURS]}, there=[there], overwrite=[AT]))
    change = by_location(decisions)[AT]
    assert isinstance(change.new, NewFile)
    assert change.keep
    assert decisions.notes == [f"/{AT}: was here before any package; replaced, the old one is kept"]


def test_giving_up_one_file_does_not_give_up_another() -> None:
    other = file("usr/bin/y", "mine")
    decisions = decide(
        given(wanted={"a": [OURS, file("usr/bin/y", "y")]}, there=[MINE, other], overwrite=[AT])
    )
    assert [problem.split(":")[0] for problem in decisions.problems] == ["/usr/bin/y"]


def test_no_permission_overwrites_a_device_or_a_mount_point() -> None:
    pipe = decide(given(wanted={"a": [OURS]}, there=[device(AT)], overwrite=[AT]))
    assert pipe.problems == [f"/{AT}: a device, pipe or socket is in the way; move it away first"]
    mount = decide(given(wanted={"a": [OURS]}, there=[MINE], overwrite=[AT], mounts=[AT]))
    assert mount.problems == [f"/{AT}: is a mount point, which cannot be replaced; unmount it first"]


def test_no_permission_takes_a_file_from_another_package() -> None:
    decisions = decide(given(wanted={"a": [OURS]}, staying={"b": [THEIRS]}, there=[THEIRS], overwrite=[AT]))
    (problem,) = decisions.problems
    assert problem.startswith(f"/{AT}: belongs to b; ")


@pytest.mark.parametrize(
    "there", [THEIRS, MINE, OURS, None], ids=["untouched", "edited", "the same", "deleted"]
)
def test_a_file_of_another_package_is_in_the_way_whatever_became_of_it(there: Part | None) -> None:
    decisions = decide(given(wanted={"a": [OURS]}, staying={"b": [THEIRS]}, there=[there] if there else []))
    assert decisions.changes == []
    assert decisions.problems == [
        f"/{AT}: belongs to b; remove that package, or install a version of a that replaces it"
    ]


@pytest.mark.parametrize(
    ("wanted", "theirs"),
    [
        pytest.param(directory(AT), THEIRS, id="directory over a file"),
        pytest.param(directory(AT), symlink(AT, "z"), id="directory over a link"),
        pytest.param(OURS, directory(AT), id="file over a directory"),
        pytest.param(symlink(AT, "z"), symlink(AT, "z"), id="the same link"),
        pytest.param(OURS, OURS, id="the same file"),
    ],
)
def test_only_directories_are_shared(wanted: Part, theirs: Part) -> None:
    decisions = decide(given(wanted={"a": [wanted]}, staying={"b": [theirs]}, there=[theirs]))
    assert len(decisions.problems) == 1


@pytest.mark.parametrize(("there", "keep"), [(THEIRS, False), (MINE, True)], ids=["untouched", "edited"])
def test_a_package_that_replaces_another_takes_its_file(there: Part, keep: bool) -> None:  # noqa: FBT001  a parameter of the test
    decisions = decide(
        given(wanted={"a": [OURS]}, staying={"b": [THEIRS]}, there=[there], replaces=[("a", "b")])
    )
    assert decisions.problems == []
    assert by_location(decisions)[AT].keep is keep
    assert decisions.taken_over == {"b": [AT]}
    assert owned_of(decisions, "a") == [AT]
    assert f"/{AT} moves from b to a" in decisions.notes


def test_replacing_works_in_one_direction_only() -> None:
    decisions = decide(
        given(wanted={"a": [OURS]}, staying={"b": [THEIRS]}, there=[THEIRS], replaces=[("b", "a")])
    )
    assert len(decisions.problems) == 1
    assert decisions.taken_over == {}


def test_an_edited_configuration_file_is_kept_when_it_moves_to_another_package() -> None:
    old, new = file(AT, "1", config=True), file(AT, "2", config=True)
    decisions = decide(given(wanted={"a": [new]}, staying={"b": [old]}, there=[MINE], replaces=[("a", "b")]))
    assert set(by_location(decisions)) == {AT + ".pkg-new"}


def test_a_file_moves_between_two_packages_that_are_upgraded_together() -> None:
    decisions = decide(
        given(
            wanted={"a": [file("opt/a", "a")], "b": [file("opt/b", "b"), THEIRS]},
            leaving={"a": [file("opt/a", "a"), OURS], "b": [file("opt/b", "b")]},
            there=[file("opt/a", "a"), file("opt/b", "b"), OURS],
        )
    )
    change = by_location(decisions)[AT]
    assert isinstance(change.new, NewFile)
    assert (change.new.digest, change.keep) == (digest("theirs"), False)
    assert (decisions.problems, decisions.notes) == ([], [])
    assert owned_of(decisions, "b") == ["opt/b", AT]


def test_an_unchanged_file_that_moves_is_not_touched() -> None:
    decisions = decide(given(wanted={"b": [OURS], "a": []}, leaving={"a": [OURS]}, there=[OURS]))
    assert decisions.changes == []
    assert owned_of(decisions, "b") == [AT]


def test_a_file_moves_from_a_package_that_is_removed() -> None:
    decisions = decide(given(wanted={"b": [THEIRS]}, leaving={"a": [OURS]}, there=[OURS]))
    assert by_location(decisions)[AT].new is not None
    assert decisions.problems == []


@pytest.mark.parametrize(
    ("one", "two"),
    [(OURS, THEIRS), (OURS, OURS), (directory(AT), OURS), (symlink(AT, "z"), symlink(AT, "z"))],
    ids=["two files", "the same file", "directory and file", "the same link"],
)
def test_two_incoming_packages_cannot_bring_the_same_thing(one: Part, two: Part) -> None:
    decisions = decide(given(wanted={"b": [one], "a": [two]}))
    assert decisions.problems == [f"/{AT}: a and b bring it; install only one of them"]
    assert decisions.changes == []


def test_two_names_of_one_package_that_a_link_makes_one_are_both_named(workshop: Workshop) -> None:
    (workshop.path / "usr/lib").mkdir(parents=True)
    (workshop.path / "lib").symlink_to("usr/lib")
    parts = [file("lib/foo", "1"), file("usr/lib/foo", "2")]
    with pytest.raises(Conflict, match="/lib/foo and /usr/lib/foo of a are one place here"):
        workshop.install(Package("a", "1", *parts))


def test_all_problems_are_named_at_once_in_the_order_of_paths() -> None:
    decisions = decide(
        given(
            wanted={
                "a": [file(f"opt/{number}", "new") for number in range(1, 7)],
                "b": [file("opt/6", "other")],
            },
            leaving={"a": [directory("opt/5")]},
            staying={"c": [file("opt/2", "c")]},
            there=[
                file("opt/1", "mine"),
                file("opt/2", "c"),
                device("opt/3"),
                directory("opt/4"),
                directory("opt/5"),
                file("opt/5/mine", "mine"),
            ],
        )
    )
    assert [problem.partition(":")[0] for problem in decisions.problems] == [f"/opt/{n}" for n in range(1, 7)]
    assert decisions.changes == []


def test_problems_of_every_sort_are_named_in_one_error(workshop: Workshop) -> None:
    workshop.install(Package("b", "1", file("opt/b", "b")))
    workshop.write("opt/mine", "mine")
    before = snapshot(workshop)
    package = Package(
        "a", "1", file("opt/b", "a"), file("opt/mine", "a"), requires=["nothere (>= 2)"], conflicts=["b"]
    )
    with pytest.raises(Conflict) as raised:
        workshop.install(package)
    told = "\n".join(raised.value.details)
    for words in ("requires nothere (>= 2)", "conflicts with b", "/opt/b: belongs to b", "/opt/mine: a file"):
        assert words in told
    assert len(raised.value.details) == 4
    assert raised.value.exit_code == 5
    assert snapshot(workshop) == before


def test_giving_files_up_works_by_globs(workshop: Workshop) -> None:
    for name in "xy":
        workshop.write(f"usr/bin/{name}", "mine")
    package = Package("a", "1", *(file(f"usr/bin/{name}", "a") for name in "xy"))
    with pytest.raises(Conflict) as raised:
        workshop.install(package, overwrite=("/usr/bin/x",))
    assert len(raised.value.details) == 1
    workshop.install(package, overwrite=("/usr/*",))
    assert workshop.read("usr/bin/y") == "a"
    workshop.roll_back()
    assert workshop.read("usr/bin/y") == "mine"


def test_a_taken_over_file_stays_when_its_former_owner_is_removed(workshop: Workshop) -> None:
    workshop.install(Package("b", "1", file("opt/x", "b"), file("opt/y", "b"), hardlink("opt/z", "opt/y")))
    workshop.install(Package("a", "1", file("opt/x", "a"), replaces=["b"]))
    workshop.remove("b")
    assert workshop.read("opt/x") == "a"
    assert not (workshop.path / "opt/y").exists()


def test_removing_leaves_what_was_edited_and_says_so() -> None:
    decisions = decide(
        given(
            leaving={"a": [OURS, file("etc/c", "1", config=True), file("opt/gone", "g"), file("opt/z", "z")]},
            there=[MINE, file("etc/c", "mine"), file("opt/z", "z")],
        )
    )
    assert set(by_location(decisions)) == {"opt/z"}
    assert decisions.notes == [
        "/etc/c: configuration file edited here; it stays and belongs to no package now",
        f"/{AT}: changed here since it was installed; it stays and belongs to no package now",
    ]
