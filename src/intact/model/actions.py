"""Pure. Which single changes of the root exist, and what is a plan made of?

An action is a value: the dry run prints it, the journal stores it, one interpreter carries it out and
undoes it. Each names a *slot*, a numbered name in the staging tree of its mount. Before the action the slot
holds the new object (or nothing), afterwards the old one (or nothing); the slot alone tells whether
the action was done, because nobody but us writes there.

    action            slot before    one atomic step             slot after
    Create            new object     rename(slot, path), NOREPLACE    empty
    Replace           new object     rename(slot, path), EXCHANGE     old object
    Remove            empty          rename(path, slot), NOREPLACE    old object
    RemoveDirectory   (none)         rmdir(path)
    SetAttributes     (none)         chown, chmod, xattrs on a directory
"""

from intact.model.hooks import NO_COMMANDS, Commands
from intact.model.manifest import PackageChange
from intact.model.objects import Attributes, NewObject, Observed
from intact.model.paths import RelPath
from intact.model.values import dataclass

__all__ = [
    "Action",
    "Create",
    "Node",
    "OldNode",
    "Plan",
    "Remove",
    "RemoveDirectory",
    "Replace",
    "SetAttributes",
]


@dataclass(frozen=True, slots=True)
class Node:
    """One object inside a staged directory tree; `path` is its location in the root after the commit."""

    path: RelPath
    new: NewObject


@dataclass(frozen=True, slots=True)
class OldNode:
    """One object inside a directory tree that leaves the root as a whole."""

    path: RelPath
    old: Observed


@dataclass(frozen=True, slots=True)
class Create:
    """Put an object where nothing is. A wholly new directory tree is one action, `below` its content."""

    path: RelPath
    slot: int
    new: NewObject
    below: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Replace:
    """Put an object in the place of another one, whatever the two types are.

    Attributes:
        below: what the new object holds, if it is a directory.
        was_below: what the old object holds, if it is a directory; nothing else may be in it.
        keep: the old object is a person's work; it outlives the history.
    """

    path: RelPath
    slot: int
    new: NewObject
    old: Observed
    below: tuple[Node, ...] = ()
    was_below: tuple[OldNode, ...] = ()
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Move an object out of the root; a directory only with exactly what `was_below` names."""

    path: RelPath
    slot: int
    old: Observed
    was_below: tuple[OldNode, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveDirectory:
    """Remove a directory if it is empty by then; if somebody's files are in it, it stays."""

    path: RelPath
    old: Observed


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Give a directory that stays another mode, owner or extended attributes."""

    path: RelPath
    new: Attributes
    old: Observed


Action = Create | Replace | Remove | RemoveDirectory | SetAttributes


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered actions and the reasons.

    Attributes:
        actions: in the order of the commit.
        packages: what changes, sorted by name.
        notes: decisions that a person should know of (a kept configuration file, …), one line each.
        commands: what is run before and after the actions.
    """

    actions: tuple[Action, ...]
    packages: tuple[PackageChange, ...]
    notes: tuple[str, ...] = ()
    commands: Commands = NO_COMMANDS
