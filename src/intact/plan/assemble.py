"""Pure. Which actions, in which order, bring a set of changes about?

- A wholly new directory is one action with everything in it; so is a directory that leaves as a whole.
- Where directories cannot be renamed, one that gives way to a file or link is taken apart first.
- The order keeps the time short in which new and old files that belong together stand side by side:
  attributes of directories, libraries, other files, executables, links and units, removals, directories.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

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
from intact.model.exhaustive import assert_never
from intact.model.objects import Kind, NewDirectory, NewFile, NewObject, NewSymlink, Observed
from intact.model.paths import RelPath
from intact.model.values import dataclass, replace
from intact.plan.change import AttributeChange, Change

__all__ = ["Terrain", "assemble"]

_LIBRARY = re.compile(r"\.so(?:\.[0-9.]+)?$")
_Inside = TypeVar("_Inside", Node, OldNode)
_UNIT = re.compile(r"(?:^|/)(?:systemd/|init\.d/|cron[^/]*/|dbus-1/)")


@dataclass(frozen=True, slots=True)
class Terrain:
    """What decides about the form of actions, apart from the changes themselves.

    Attributes:
        listings: names in each directory that may leave.
        mount_points: locations that no rename can touch.
        whole_trees: a directory may leave by one rename (not so on overlayfs, where a directory of a
            lower layer answers EXDEV, see the kernel's overlayfs documentation).
    """

    listings: Mapping[RelPath, Sequence[str]]
    mount_points: frozenset[RelPath] = frozenset()
    whole_trees: bool = True


def assemble(
    changes: Iterable[Change], attributes: Iterable[AttributeChange], terrain: Terrain
) -> tuple[Action, ...]:
    """Return the actions in the order of the commit, with slots numbered from 0."""
    ordered = sorted(changes, key=lambda change: change.location)
    removals = {change.location: change.old for change in ordered if change.new is None and change.old}
    actions: list[Action] = [SetAttributes(change.location, change.new, change.old) for change in attributes]
    actions += _arrivals(ordered, removals)
    actions += _departures(removals, terrain)
    actions.sort(key=_rank)
    if not terrain.whole_trees:
        actions = [piece for action in actions for piece in _taken_apart(action)]
    return _numbered(actions)


def _taken_apart(action: Action) -> list[Action]:
    """Let a directory that is replaced leave piece by piece, then create what stands there afterwards."""
    if not isinstance(action, Replace) or action.old.kind is not Kind.DIRECTORY:
        return [action]
    inside = [OldNode(action.path, action.old), *action.was_below]
    found: list[Action] = [
        Remove(node.path, 0, node.old) for node in inside if node.old.kind is not Kind.DIRECTORY
    ]
    directories = [node for node in inside if node.old.kind is Kind.DIRECTORY]
    found += [RemoveDirectory(node.path, node.old) for node in reversed(directories)]
    return [*found, Create(action.path, 0, action.new, action.below)]


def _arrivals(ordered: Sequence[Change], removals: dict[RelPath, Observed]) -> list[Action]:
    """Create and Replace actions; what they take along is taken out of `removals`."""
    found: list[tuple[Change, list[Node]]] = []
    trees: dict[RelPath, list[Node]] = {}
    seen: dict[RelPath, list[Node] | None] = {}
    for change in ordered:
        if change.new is None:
            continue
        # Not simply the last one: "d-x" sorts between "d" and "d/x".
        tree = _tree_above(change.location, trees, seen)
        if tree is not None:
            tree.append(Node(change.location, change.new))
            continue
        below: list[Node] = []
        found.append((change, below))
        if isinstance(change.new, NewDirectory):
            trees[change.location] = below
    return [_arrival(change, tuple(below), removals) for change, below in found]


def _tree_above(
    path: RelPath, trees: Mapping[RelPath, list[_Inside]], seen: dict[RelPath, list[_Inside] | None]
) -> list[_Inside] | None:
    """Return what is collected of the tree that holds `path`, if there is one.

    Args:
        trees: what is collected, by the top of each tree; tops are found before what is below them.
        seen: answers so far, by directory.
    """
    above = path.parent
    if above not in seen:
        seen[above] = trees[above] if above in trees else _tree_above(above, trees, seen) if above else None
    return seen[above]


def _arrival(change: Change, below: tuple[Node, ...], removals: dict[RelPath, Observed]) -> Action:
    new = change.new
    if new is None:
        raise AssertionError(change.location)
    if change.old is None:
        return Create(change.location, 0, new, below)
    was_below: tuple[OldNode, ...] = ()
    if change.old.kind is Kind.DIRECTORY:
        inside = [path for path in removals if path.is_below(change.location)]
        was_below = tuple(OldNode(path, removals.pop(path)) for path in sorted(inside))
    return Replace(change.location, 0, new, change.old, below, was_below, keep=change.keep)


def _departures(removals: Mapping[RelPath, Observed], terrain: Terrain) -> list[Action]:
    """Turn removals into actions; a directory that is removed with all it holds is one of them."""
    whole = _whole_directories(removals, terrain)
    actions: list[Action] = []
    trees: dict[RelPath, list[OldNode]] = {path: [] for path in whole if path.parent not in whole}
    seen: dict[RelPath, list[OldNode] | None] = {}
    for path in sorted(removals):
        old = removals[path]
        tree = _tree_above(path, trees, seen)
        if tree is not None:
            tree.append(OldNode(path, old))
        elif path not in trees:
            is_directory = old.kind is Kind.DIRECTORY
            actions.append(RemoveDirectory(path, old) if is_directory else Remove(path, 0, old))
    actions += [Remove(path, 0, removals[path], tuple(below)) for path, below in trees.items()]
    return actions


def _whole_directories(removals: Mapping[RelPath, Observed], terrain: Terrain) -> set[RelPath]:
    """Find the directories, not empty ones, all of whose content is removed too."""
    whole: set[RelPath] = set()
    if not terrain.whole_trees:
        return whole
    for path in sorted(removals, reverse=True):
        if removals[path].kind is not Kind.DIRECTORY or path in terrain.mount_points:
            continue
        names = terrain.listings.get(path)
        if not names:
            continue
        if all(_leaves(path / name, removals, whole, terrain) for name in names):
            whole.add(path)
    return whole


def _leaves(
    path: RelPath, removals: Mapping[RelPath, Observed], whole: set[RelPath], terrain: Terrain
) -> bool:
    old = removals.get(path)
    if old is None or path in terrain.mount_points:
        return False
    return old.kind is not Kind.DIRECTORY or path in whole or not terrain.listings.get(path)


def _rank(action: Action) -> tuple[int, int, str]:
    """Give the place of an action in the commit."""
    match action:
        case SetAttributes():
            return (0, 0, action.path)
        case Create() | Replace():
            return (_arrival_rank(action.path, action.new), 0, action.path)
        case Remove():
            return (6, 0, action.path)
        case RemoveDirectory():
            return (7, -action.path.count("/"), action.path)
        case _:
            assert_never(action)


def _arrival_rank(path: RelPath, new: NewObject) -> int:
    if isinstance(new, NewSymlink):
        return 4
    if _UNIT.search(path):
        return 5
    if _LIBRARY.search(path):
        return 1
    return 3 if isinstance(new, NewFile) and new.attributes.mode & 0o111 else 2


def _numbered(actions: Sequence[Action]) -> tuple[Action, ...]:
    numbered: list[Action] = []
    slot = 0
    for action in actions:
        if isinstance(action, Create | Replace | Remove):
            numbered.append(replace(action, slot=slot))
            slot += 1
        else:
            numbered.append(action)
    return tuple(numbered)
