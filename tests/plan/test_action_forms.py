"""Which changes become one action, and what does each action say?"""

import pytest

from intact.model.actions import Create, Node, OldNode, Remove, RemoveDirectory, Replace, SetAttributes
from intact.model.objects import Attributes, NewDirectory, NewFile, NewHardlink, NewObject, NewSymlink
from intact.model.paths import RelPath
from intact.plan.assemble import Terrain, assemble
from intact.plan.change import AttributeChange, Change
from support.situations import as_seen, wanted_by
from support.workshop import Package, Part, Workshop, directory, file, hardlink, symlink

BARE = Terrain({})


def new(part: Part) -> NewObject:
    (wanted,) = next(iter(wanted_by({"a": [part]}).values()))
    return wanted.new


def arrival(part: Part, old: Part | None = None, *, keep: bool = False) -> Change:
    return Change(part.entry.path, new(part), None if old is None else as_seen(old), keep)


def departure(part: Part) -> Change:
    return Change(part.entry.path, None, as_seen(part))


def terrain(*mounts: str, whole_trees: bool = True, **listings: list[str]) -> Terrain:
    """Listings by path, with ``__`` for the slash."""
    named = {RelPath(path.replace("__", "/")): names for path, names in listings.items()}
    return Terrain(named, frozenset(map(RelPath, mounts)), whole_trees)


def old_node(part: Part) -> OldNode:
    return OldNode(part.entry.path, as_seen(part))


def test_no_changes_are_no_actions() -> None:
    assert assemble([], [], BARE) == ()


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(file("a", "x"), id="file"),
        pytest.param(symlink("a", "x"), id="symlink"),
        pytest.param(directory("a"), id="directory"),
        pytest.param(hardlink("a", "b"), id="hardlink"),
    ],
)
def test_a_new_object_is_created(part: Part) -> None:
    assert assemble([arrival(part)], [], BARE) == (Create(part.entry.path, 0, new(part)),)


@pytest.mark.parametrize("old", [file("a", "x"), symlink("a", "x")], ids=["file", "symlink"])
@pytest.mark.parametrize("keep", [False, True])
def test_what_stands_there_is_replaced_in_one_step(old: Part, keep: bool) -> None:  # noqa: FBT001  a parameter of the test
    part = file("a", "y")
    (action,) = assemble([arrival(part, old, keep=keep)], [], BARE)
    assert action == Replace(part.entry.path, 0, new(part), as_seen(old), keep=keep)


def test_a_removed_file_is_moved_out() -> None:
    old = file("a", "x")
    assert assemble([departure(old)], [], BARE) == (Remove(old.entry.path, 0, as_seen(old)),)


def test_a_directory_s_attributes_are_set_in_place() -> None:
    seen = as_seen(directory("d"))
    change = AttributeChange(RelPath("d"), Attributes(0o700, 1, 2), seen)
    assert assemble([], [change], BARE) == (SetAttributes(RelPath("d"), Attributes(0o700, 1, 2), seen),)


def test_a_wholly_new_directory_is_one_action_with_everything_in_it() -> None:
    parts = [directory("d"), directory("d/e"), file("d/e/f", "f"), symlink("d/l", "e"), file("d/z", "z")]
    (action,) = assemble(map(arrival, parts), [], BARE)
    assert action == Create(
        RelPath("d"), 0, new(parts[0]), tuple(Node(part.entry.path, new(part)) for part in parts[1:])
    )


SMALLER_THAN_SLASH = list(" !#$%&'()*+,-.")


@pytest.mark.parametrize("character", SMALLER_THAN_SLASH)
def test_a_neighbour_that_sorts_into_a_new_directory_does_not_split_it(character: str) -> None:
    neighbour = f"d{character}x"
    parts = [directory("d"), file(neighbour, "n"), file("d/lib.so", "l")]
    actions = assemble(map(arrival, parts), [], BARE)
    assert {action.path: len(action.below) for action in actions if isinstance(action, Create)} == {
        "d": 1,
        neighbour: 0,
    }


def test_two_new_directories_whose_names_interleave_stay_apart() -> None:
    parts = [
        directory("python3"),
        file("python3/a.so", "a"),
        directory("python3.11"),
        file("python3.11/b.so", "b"),
    ]
    actions = assemble(map(arrival, parts), [], BARE)
    below = {
        action.path: [node.path for node in action.below] for action in actions if isinstance(action, Create)
    }
    assert below == {"python3": ["python3/a.so"], "python3.11": ["python3.11/b.so"]}


def test_such_neighbours_can_be_installed(workshop: Workshop) -> None:
    (workshop.path / "usr/lib").mkdir(parents=True)
    parts = [file("usr/lib/foo/foo.so", "library"), file("usr/lib/foo-bar", "n")]
    receipt = workshop.install(Package("a", "1", *parts))
    assert len(receipt.plan.actions) == 2
    assert workshop.read("usr/lib/foo/foo.so") == "library"


def test_a_file_that_becomes_a_directory_takes_the_content_along() -> None:
    old, parts = file("d", "was a file"), [directory("d"), file("d-", "n"), file("d/x", "x")]
    actions = assemble([arrival(parts[0], old), *map(arrival, parts[1:])], [], BARE)
    replaced = next(action for action in actions if isinstance(action, Replace))
    assert [node.path for node in replaced.below] == ["d/x"]
    assert replaced.was_below == ()


def test_a_directory_that_becomes_a_file_takes_its_old_content_along() -> None:
    inside = [directory("d/e"), file("d/e/f", "f"), file("d/x", "x")]
    changes = [arrival(file("d", "now a file"), directory("d")), *map(departure, inside)]
    (action,) = assemble(changes, [], terrain(d=["e", "x"], d__e=["f"]))
    assert isinstance(action, Replace)
    assert action.was_below == tuple(map(old_node, inside))


def test_a_neighbour_of_a_directory_that_becomes_a_file_leaves_by_itself() -> None:
    changes = [
        arrival(file("d", "now a file"), directory("d")),
        departure(file("d/x", "x")),
        departure(file("d-x", "x")),
    ]
    actions = assemble(changes, [], terrain(d=["x"]))
    assert [type(action).__name__ for action in actions] == ["Replace", "Remove"]
    assert actions[1].path == "d-x"


def test_a_directory_that_leaves_with_all_it_holds_is_one_action() -> None:
    parts = [directory("d"), directory("d/e"), file("d/e/f", "f"), symlink("d/l", "e")]
    (action,) = assemble(map(departure, parts), [], terrain(d=["e", "l"], d__e=["f"]))
    assert action == Remove(RelPath("d"), 0, as_seen(parts[0]), tuple(map(old_node, parts[1:])))


def test_an_empty_directory_inside_leaves_with_the_tree() -> None:
    parts = [directory("d"), directory("d/empty")]
    (action,) = assemble(map(departure, parts), [], terrain(d=["empty"], d__empty=[]))
    assert isinstance(action, Remove)
    assert [node.path for node in action.was_below] == ["d/empty"]


def test_an_empty_directory_is_removed_without_a_backup() -> None:
    part = directory("d")
    assert assemble([departure(part)], [], terrain(d=[])) == (
        RemoveDirectory(part.entry.path, as_seen(part)),
    )


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(terrain(d=["x", "mine"]), id="somebody's file is in it"),
        pytest.param(terrain("d/x", d=["x"]), id="a mount point is in it"),
        pytest.param(terrain("d", d=["x"]), id="it is a mount point"),
        pytest.param(terrain(d=["x"], whole_trees=False), id="directories cannot be renamed here"),
        pytest.param(terrain(), id="nobody has looked into it"),
    ],
)
def test_otherwise_files_go_one_by_one_and_the_directory_only_if_it_is_empty_then(place: Terrain) -> None:
    actions = assemble([departure(directory("d")), departure(file("d/x", "x"))], [], place)
    assert [type(action).__name__ for action in actions] == ["Remove", "RemoveDirectory"]
    assert [action.path for action in actions] == ["d/x", "d"]


def test_only_the_part_of_a_tree_that_leaves_as_a_whole_is_one_action() -> None:
    parts = [
        directory("d"),
        directory("d/all"),
        file("d/all/x", "x"),
        directory("d/some"),
        file("d/some/y", "y"),
    ]
    place = terrain(d=["all", "some"], d__all=["x"], d__some=["mine", "y"])
    actions = assemble(map(departure, parts), [], place)
    assert [(type(action).__name__, action.path) for action in actions] == [
        ("Remove", "d/all"),
        ("Remove", "d/some/y"),
        ("RemoveDirectory", "d/some"),
        ("RemoveDirectory", "d"),
    ]


def test_a_tree_whose_name_begins_like_another_s_does_not_swallow_it() -> None:
    parts = [directory("d"), file("d/x", "x"), file("d-x", "n")]
    actions = assemble(map(departure, parts), [], terrain(d=["x"]))
    assert sorted(action.path for action in actions) == ["d", "d-x"]


def test_slots_are_numbered_in_the_order_of_the_commit_and_only_where_one_is_needed() -> None:
    changes = [
        arrival(file("z.so", "z")),
        arrival(file("a", "a"), file("a", "b")),
        departure(file("gone", "g")),
        departure(directory("empty")),
    ]
    attributes = [AttributeChange(RelPath("d"), Attributes(0o700, 0, 0), as_seen(directory("d")))]
    actions = assemble(changes, attributes, terrain(empty=[]))
    slots = {action.path: action.slot for action in actions if isinstance(action, Create | Replace | Remove)}
    assert slots == {"z.so": 0, "a": 1, "gone": 2}
    assert isinstance(actions[0], SetAttributes)
    assert isinstance(actions[-1], RemoveDirectory)


def test_the_order_in_which_changes_come_does_not_matter() -> None:
    parts = [directory("d"), file("d-x", "n"), file("d/x", "x"), file("e", "e")]
    changes = [*map(arrival, parts), departure(file("gone", "g"))]
    assert assemble(changes, [], BARE) == assemble(reversed(changes), [], BARE)


def test_objects_are_passed_on_as_they_are() -> None:
    (action,) = assemble([arrival(file("a", "x", 0o4755, owner="7"))], [], BARE)
    assert isinstance(action, Create)
    assert isinstance(action.new, NewFile)
    assert (action.new.attributes.mode, action.new.attributes.uid) == (0o4755, 7)
    for kind, part in (
        (NewDirectory, directory("a")),
        (NewSymlink, symlink("a", "b")),
        (NewHardlink, hardlink("a", "b")),
    ):
        assert isinstance(new(part), kind)
