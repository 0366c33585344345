"""A root in memory: plans as the operations do, carries plans out as strictly as a disk, forgets nothing.

The tree maps locations to what lstat and hashing would say. Every step insists on what the real one insists on: a new
path is free and its directory stands, an old object is the one that was planned with, a directory leaves with exactly
what was named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

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
from intact.model.entries import NEW_SUFFIX, FileEntry
from intact.model.errors import Conflict
from intact.model.exhaustive import assert_never
from intact.model.installed import OwnedEntry
from intact.model.objects import (
    Attributes,
    Backup,
    BundleContent,
    Kind,
    LiveContent,
    NewDirectory,
    NewFile,
    NewHardlink,
    NewObject,
    NewSymlink,
    Observed,
)
from intact.model.paths import RelPath
from intact.operations.rollback import _insist_on_room
from intact.plan.assemble import Terrain, assemble
from intact.plan.changes import Decisions, decide
from intact.plan.reversal import images_of, merge_images, reverse
from intact.plan.situation import Situation
from intact.plan.wanted import Wanted, want, with_implied_directories
from support.situations import NOBODY, Owner, digest
from support.workshop import Part

__all__ = ["ModelRoot", "Planned", "Signature"]

Tree = dict[RelPath, Observed]
Signature = dict[str, tuple[object, ...]]
_Owned = dict[str, tuple[OwnedEntry, ...]]


@dataclass(frozen=True)
class Planned:
    """A decision that has not been carried out.

    Attributes:
        owned: what every package owns afterwards.
        undoes: how many transactions it takes back.
    """

    actions: tuple[Action, ...]
    owned: _Owned
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    situation: Situation | None = None
    undoes: int = 0


@dataclass
class _Done:
    steps: list[tuple[Action, RelPath]]
    owned_before: _Owned


@dataclass
class ModelRoot:
    """The tree, what packages own of it, what was moved out of it, and the way back.

    Attributes:
        slots: what lies in the staging trees of all transactions.
        kept: digests of what was moved out as somebody's work.
        remarks: directories that were to go and stay.
    """

    tree: Tree = field(default_factory=dict)
    owned: _Owned = field(default_factory=dict)
    slots: Tree = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)
    history: list[_Done] = field(default_factory=list)
    _inodes: "count[int]" = field(default_factory=lambda: count(1))
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _incoming: Mapping[str, Sequence[Part]] = field(default_factory=dict)

    # What a person does.

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Put a file there, as an editor does; nothing happens where something else than a file is in the way."""
        location = RelPath(path)
        above = [self.tree.get(directory) for directory in location.ancestors]
        there = self.tree.get(location)
        if any(one is not None and one.kind is not Kind.DIRECTORY for one in above):
            return
        if there is not None and there.kind is Kind.DIRECTORY:
            return
        for directory in location.ancestors:
            self.tree.setdefault(directory, Observed(Kind.DIRECTORY, 0o755, 0, 0, 0, 0, next(self._inodes)))
        self.tree[location] = Observed(
            Kind.FILE, mode, 0, 0, len(text), 0, next(self._inodes), digest=digest(text)
        )

    def link(self, path: str, target: str) -> None:
        """Put a symbolic link in the place of a file or link."""
        there = self.tree.get(RelPath(path))
        if there is not None and there.kind in {Kind.FILE, Kind.SYMLINK}:
            self.tree[RelPath(path)] = Observed(
                Kind.SYMLINK, 0o777, 0, 0, len(target), 0, next(self._inodes), target=target
            )

    def delete(self, path: str) -> None:
        """Remove whatever is there, with all it holds."""
        location = RelPath(path)
        self.tree = {at: one for at, one in self.tree.items() if at != location and not at.is_below(location)}

    def change_mode(self, path: str, mode: int) -> None:
        """Change the mode of a file, by all of its names, or of a directory."""
        there = self.tree.get(RelPath(path))
        if there is not None and there.kind in {Kind.FILE, Kind.DIRECTORY}:
            for at, one in self.tree.items():
                if one.inode == there.inode:
                    self.tree[at] = replace(one, mode=mode)

    # What the operations do.

    def plan(self, incoming: Owner | None = None, removed: Sequence[str] = ()) -> Planned:
        """Plan the installation of packages and the removal of others, as `operations.prepare` does."""
        self._incoming = incoming or {}
        changing = {*self._incoming, *removed}
        wanted = self._wanted()
        leaving: dict[RelPath, list[OwnedEntry]] = {}
        staying: dict[RelPath, list[OwnedEntry]] = {}
        for name, entries in sorted(self.owned.items()):
            for entry in entries:
                (leaving if name in changing else staying).setdefault(entry.location, []).append(entry)
        beside = [
            RelPath(at + NEW_SUFFIX) for at, found in wanted.items() if any(one.is_config for one in found)
        ]
        locations = {*wanted, *leaving, *beside}
        situation = Situation(
            wanted=wanted,
            leaving=leaving,
            staying={at: entries for at, entries in staying.items() if at in locations},
            observed={at: self.observe(at) for at in locations},
            terrain=self._terrain(locations),
        )
        decisions = decide(situation)
        actions = assemble(decisions.changes, decisions.attributes, situation.terrain)
        return Planned(
            actions,
            self._owned_after(decisions, removed),
            tuple(decisions.problems),
            tuple(decisions.notes),
            situation,
        )

    def plan_rollback(self, transactions: int = 1) -> Planned:
        """Plan the way back over the newest transactions, as `operations.rollback` does."""
        undone = self.history[-transactions:]
        images = merge_images(
            [image for action, slot in done.steps for image in images_of(action, slot)] for done in undone
        )
        entries = [entry for owned in self.owned.values() for entry in owned]
        is_config = frozenset(
            entry.location for entry in entries if entry.config and entry.location in images
        )
        beside = [RelPath(at + NEW_SUFFIX) for at in is_config]
        above = [directory for at in images for directory in at.ancestors]
        before = undone[0].owned_before
        directories = {
            entry.location: Attributes(entry.mode, entry.uid, entry.gid)
            for owned in before.values()
            for entry in owned
            if entry.kind is Kind.DIRECTORY
        }
        observed = {at: self.observe(at) for at in [*images, *beside, *above]}
        terrain = self._terrain(images)
        reversal = reverse(images, observed, is_config, directories)
        problems: tuple[str, ...] = ()
        try:
            _insist_on_room(reversal, terrain)
        except Conflict as conflict:
            problems = conflict.details
        actions = assemble(reversal.changes, reversal.attributes, terrain)
        return Planned(actions, before, problems, tuple(reversal.notes), undoes=transactions)

    def observe(self, location: RelPath) -> Observed | None:
        """Say what stands there, with the number of its names."""
        seen = self.tree.get(location)
        if seen is None or seen.kind is Kind.DIRECTORY:
            return seen
        return replace(seen, links=sum(one.inode == seen.inode for one in self.tree.values()))

    def apply(self, planned: Planned) -> None:
        """Carry a plan out, action by action.

        Raises:
            AssertionError: a step could not be carried out on a disk.
        """
        assert not planned.problems
        number = next(self._numbers)
        staged = self._stage(planned.actions)
        steps = []
        for action in planned.actions:
            slot = RelPath(f"slots/{number}/{getattr(action, 'slot', 'none')}")
            self._carry_out(action, slot, staged)
            steps.append((action, slot))
        self.history.append(_Done(steps, self.owned))
        self.owned = planned.owned

    def install(self, incoming: Owner) -> Planned:
        """Plan, and carry out."""
        planned = self.plan(incoming)
        self.apply(planned)
        return planned

    # What can be compared.

    def signature(self) -> Signature:
        """Everything about the tree that a person can tell apart, with the names that share a file."""
        names: dict[int, list[str]] = {}
        for at, one in sorted(self.tree.items()):
            if one.kind is Kind.FILE:
                names.setdefault(one.inode, []).append(at)
        return {
            str(at): (one.kind.value, one.mode, one.uid, one.gid, one.digest, one.target)
            + ((tuple(names[one.inode]),) if one.kind is Kind.FILE else ())
            for at, one in sorted(self.tree.items())
        }

    def _wanted(self) -> dict[RelPath, list[Wanted]]:
        wanted: dict[RelPath, list[Wanted]] = {}
        for number, (name, parts) in enumerate(self._incoming.items()):
            for entry in with_implied_directories(part.entry for part in parts):
                one = want(entry, name, number, NOBODY, lambda path: path)
                wanted.setdefault(one.location, []).append(one)
        return wanted

    def _terrain(self, locations: "set[RelPath] | Mapping[RelPath, object]") -> Terrain:
        listings: dict[RelPath, list[str]] = {
            at: [] for at in locations if at in self.tree and self.tree[at].kind is Kind.DIRECTORY
        }
        for at in self.tree:
            if at.parent in listings:
                listings[at.parent].append(at.name)
        return Terrain(listings)

    def _owned_after(self, decisions: Decisions, removed: Sequence[str]) -> _Owned:
        after = {name: entries for name, entries in self.owned.items() if name not in removed}
        for name, lost in decisions.taken_over.items():
            after[name] = tuple(entry for entry in after[name] if entry.location not in lost)
        after.update({name: tuple(decisions.owned.get(name, ())) for name in self._incoming})
        return after

    def _stage(self, actions: Sequence[Action]) -> Tree:
        """Make every new object; its content has to be where the plan says."""
        objects: list[tuple[RelPath, NewObject]] = []
        for action in actions:
            if isinstance(action, Create | Replace):
                objects += [(action.path, action.new), *((node.path, node.new) for node in action.below)]
        staged = {at: self._new(new) for at, new in objects if not isinstance(new, NewHardlink)}
        assert len({at for at, _ in objects}) == len(objects), "a path occurs twice"
        for at, new in objects:
            if isinstance(new, NewHardlink):
                assert new.target in staged, f"{at} is a further name of {new.target}, which is not staged"
                staged[at] = staged[new.target]
        return staged

    def _new(self, new: NewObject) -> Observed:
        match new:
            case NewFile(attributes, size, content_digest, content):
                inode = next(self._inodes)
                match content:
                    case BundleContent(bundle, path):
                        parts = list(self._incoming.values())[bundle]
                        (entry,) = (part.entry for part in parts if part.entry.path == path)
                        assert isinstance(entry, FileEntry)
                        assert entry.digest == content_digest
                    case LiveContent(location):
                        assert self.tree[location].digest == content_digest
                    case Backup(location):
                        backup = self.slots[location]
                        assert backup.digest == content_digest
                        if (backup.mode, backup.uid, backup.gid) == (
                            attributes.mode,
                            attributes.uid,
                            attributes.gid,
                        ):
                            inode = backup.inode  # an untouched backup is linked, not copied
                    case _:
                        assert_never(content)
                return Observed(
                    Kind.FILE,
                    attributes.mode,
                    attributes.uid,
                    attributes.gid,
                    size,
                    0,
                    inode,
                    digest=content_digest,
                )
            case NewDirectory(attributes):
                return Observed(
                    Kind.DIRECTORY, attributes.mode, attributes.uid, attributes.gid, 0, 0, next(self._inodes)
                )
            case NewSymlink(target, uid, gid):
                return Observed(
                    Kind.SYMLINK, 0o777, uid, gid, len(target), 0, next(self._inodes), target=target
                )
            case NewHardlink():
                raise AssertionError(new)
            case _:
                assert_never(new)

    def _carry_out(self, action: Action, slot: RelPath, staged: Tree) -> None:
        match action:
            case Create(path, _, _, below):
                self._put(path, below, staged)
            case Replace(path, _, _, old, below, was_below, keep):
                self._take(path, slot, old, was_below, keep=keep)
                self._put(path, below, staged)
            case Remove(path, _, old, was_below):
                self._take(path, slot, old, was_below, keep=False)
            case RemoveDirectory(path, _):
                if any(at.parent == path for at in self.tree):
                    self.remarks.append(path)
                else:
                    del self.tree[path]
            case SetAttributes(path, new, _):
                there = self.tree[path]
                assert there.kind is Kind.DIRECTORY
                self.tree[path] = replace(there, mode=new.mode, uid=new.uid, gid=new.gid)
            case _:
                assert_never(action)

    def _put(self, path: RelPath, below: tuple[Node, ...], staged: Tree) -> None:
        for at in (path, *(node.path for node in below)):
            assert at not in self.tree, f"{at} is taken"
            above = self.tree.get(at.parent)
            assert not at.parent or (above is not None and above.kind is Kind.DIRECTORY), (
                f"{at} has no directory"
            )
            self.tree[at] = staged[at]

    def _take(
        self, path: RelPath, slot: RelPath, old: Observed, was_below: tuple[OldNode, ...], *, keep: bool
    ) -> None:
        expected = {path: old, **{node.path: node.old for node in was_below}}
        found = [at for at in self.tree if at == path or at.is_below(path)]
        assert sorted(found) == sorted(expected), f"{path} holds {found}, not {sorted(expected)}"
        for at in found:
            seen = self.tree.pop(at)
            was = expected[at]
            assert (seen.kind, seen.digest, seen.target) == (was.kind, was.digest, was.target), at
            self.slots[RelPath(slot + at[len(path) :])] = seen
            if keep and seen.digest is not None:
                self.kept.add(seen.digest)
