"""Whatever packages bring and people do: plans lead to what is wanted, and lose nobody's work."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from intact.model.actions import Action, Create, Remove, RemoveDirectory, Replace, SetAttributes
from intact.model.entries import NEW_SUFFIX, DirectoryEntry, FileEntry, HardlinkEntry, SymlinkEntry
from intact.model.installed import OwnedEntry
from intact.model.objects import Kind, Observed
from intact.model.paths import RelPath
from intact.plan.situation import is_as_installed
from support.situations import digest
from support.tree_model import ModelRoot, Planned
from support.workshop import Part, directory, file, hardlink, symlink

LAWS = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

# Few names, so that they meet; some sort between a directory and what it holds.
NAMES = ["d", "d-x", "e", "f.so", "x"]
PATHS = [*NAMES, *(f"{a}/{b}" for a in NAMES[:3] for b in NAMES), *(f"d/e/{b}" for b in NAMES)]
MODES = [0o644, 0o755, 0o600]
MINE = {digest(f"mine {number}"): number for number in range(40)}


@dataclass(frozen=True)
class Shape:
    """What a package has at a path."""

    kind: str
    text: str
    mode: int
    config: bool


SHAPES = st.builds(
    Shape,
    st.sampled_from(["file", "file", "file", "directory", "symlink", "hardlink"]),
    st.sampled_from(["1", "2", "3"]),
    st.sampled_from(MODES),
    st.booleans(),
)


def parts_of(shapes: dict[str, Shape]) -> list[Part]:
    """Turn a drawing into a sound package: what holds something is a directory, links lead to its files."""
    holders = {above for path in shapes for above in RelPath(path).ancestors}
    parts: dict[str, Part] = {}
    for path, shape in sorted(shapes.items()):
        if path in holders or shape.kind == "directory":
            parts[path] = directory(path, shape.mode | 0o700)
        elif shape.kind == "symlink":
            parts[path] = symlink(path, f"to-{shape.text}")
        else:
            parts[path] = file(path, shape.text, shape.mode, config=shape.config)
    files = [path for path, part in parts.items() if isinstance(part.entry, FileEntry)]
    for path in files[1:]:
        if shapes[path].kind == "hardlink":
            parts[path] = hardlink(path, files[0])
    return list(parts.values())


PACKAGES = st.dictionaries(st.sampled_from(PATHS), SHAPES, max_size=7).map(parts_of)
Edit = Callable[[ModelRoot], None]


def _edit(kind: str, path: str, number: int) -> Edit:
    return {
        "write": lambda root: root.write(path, f"mine {number}", MODES[number % 3]),
        "copy": lambda root: root.write(path, str(number % 3 + 1)),
        "delete": lambda root: root.delete(path),
        "mode": lambda root: root.change_mode(path, 0o700 | number % 8),
        "link": lambda root: root.link(path, f"mine-{number}"),
    }[kind]


EDITS = st.lists(
    st.builds(
        _edit,
        st.sampled_from(["write", "write", "copy", "delete", "mode", "link"]),
        st.sampled_from([*PATHS, *(f"{path}{NEW_SUFFIX}" for path in PATHS[:8])]),
        st.integers(0, 39),
    ),
    max_size=4,
)


def edited(root: ModelRoot, edits: list[Edit]) -> ModelRoot:
    for edit in edits:
        edit(root)
    return root


def paths_of(action: Action) -> list[RelPath]:
    match action:
        case Create(path, _, _, below):
            return [path, *(node.path for node in below)]
        case Replace(path, _, _, _, below, was_below, _):
            return [path, *({node.path for node in below} | {node.path for node in was_below})]
        case Remove(path, _, _, was_below):
            return [path, *(node.path for node in was_below)]
        case RemoveDirectory(path) | SetAttributes(path):
            return [path]


def persons_work(root: ModelRoot) -> dict[RelPath, Observed]:
    return {at: one for at, one in root.tree.items() if one.digest in MINE}


def carried_out(root: ModelRoot, planned: Planned) -> bool:
    """Check what holds for every plan, carry it out if it has no problems, and look for what people wrote."""
    every = [path for action in planned.actions for path in paths_of(action)]
    assert len(every) == len(set(every)), "a path occurs twice"
    kinds = [isinstance(action, Remove | RemoveDirectory) for action in planned.actions]
    assert kinds == sorted(kinds), "something arrives after removals have begun"
    if planned.problems:
        event("refused")
        return False
    work = persons_work(root)
    root.apply(planned)
    standing = {one.digest for one in root.tree.values()}
    for at, one in work.items():
        assert one.digest in standing | root.kept, f"{at} is lost"
    for at in root.tree:
        assert not at.parent or root.tree[at.parent].kind is Kind.DIRECTORY
    return True


def before(planned: Planned, at: RelPath) -> OwnedEntry | None:
    assert planned.situation is not None
    owned = planned.situation.leaving.get(at, ())
    return owned[0] if owned else None


def assert_wanted(root: ModelRoot, planned: Planned, parts: list[Part], was: dict[RelPath, Observed]) -> None:
    """Every entry stands as the manifest says, except where a person's decision about it stands."""
    for part in parts:
        at, entry = part.entry.path, part.entry
        there, old, owned = root.tree.get(at), was.get(at), before(planned, at)
        match entry:
            case DirectoryEntry():
                assert there is not None
                assert there.kind is Kind.DIRECTORY
            case SymlinkEntry(_, target):
                assert there is not None
                assert there.target == target
            case FileEntry() if entry.config and stays(entry, old, owned):
                assert content(there) == content(old)
            case FileEntry(_, mode):
                assert there is not None
                assert there.digest == entry.digest
                assert there.mode == kept_mode(mode, old, owned)
            case HardlinkEntry(_, target):
                first = root.tree.get(target)
                is_kept = (
                    first is not None
                    and first == was.get(target)
                    and first.digest != digest_of(parts, target)
                )
                assert first is None or is_kept or there == first


def content(there: Observed | None) -> tuple[object, ...] | None:
    return None if there is None else (there.kind, there.digest, there.target)


def digest_of(parts: list[Part], path: RelPath) -> str:
    (entry,) = (part.entry for part in parts if part.entry.path == path)
    assert isinstance(entry, FileEntry)
    return entry.digest


def stays(entry: FileEntry, old: Observed | None, owned: OwnedEntry | None) -> bool:
    """Tell whether a configuration file is a person's now, whatever the package brings."""
    if old is None:
        return owned is not None and owned.config
    if old.kind is Kind.SYMLINK:
        return owned is not None and owned.kind is Kind.FILE
    if old.kind is not Kind.FILE:
        return False
    if owned is None or owned.kind is not Kind.FILE:
        return True
    return old.digest not in {owned.digest, entry.digest}


def kept_mode(new: int, old: Observed | None, owned: OwnedEntry | None) -> int:
    if old is None or owned is None or old.kind is not Kind.FILE:
        return new
    return new if (owned.kind is not Kind.FILE or owned.mode == old.mode) else old.mode


@LAWS
@given(PACKAGES, EDITS, PACKAGES)
def test_after_an_upgrade_everything_stands_as_wanted(
    old: list[Part], edits: list[Edit], new: list[Part]
) -> None:
    root = ModelRoot()
    root.install({"a": old})
    edited(root, edits)
    was = dict(root.tree)
    planned = root.plan({"a": new})
    if not carried_out(root, planned):
        return
    assert_wanted(root, planned, new, was)


@LAWS
@given(PACKAGES, EDITS, PACKAGES)
def test_what_is_no_longer_wanted_is_gone_unless_somebody_worked_on_it(
    old: list[Part], edits: list[Edit], new: list[Part]
) -> None:
    root = ModelRoot()
    root.install({"a": old})
    edited(root, edits)
    was = dict(root.tree)
    planned = root.plan({"a": new})
    assume(carried_out(root, planned))
    assert planned.situation is not None
    for at, (owned,) in planned.situation.leaving.items():
        seen = was.get(at)
        if at in planned.situation.wanted or seen is None or at in root.tree.keys() - was.keys():
            continue
        if not is_as_installed(owned, seen):
            assert root.tree.get(at) == seen
        elif owned.kind is Kind.DIRECTORY:
            assert at not in root.tree or any(path.parent == at for path in root.tree)
        else:
            assert at not in root.tree


@LAWS
@given(PACKAGES, EDITS, PACKAGES)
def test_what_belongs_to_nobody_is_not_touched(old: list[Part], edits: list[Edit], new: list[Part]) -> None:
    root = ModelRoot()
    root.install({"a": old})
    edited(root, edits)
    was = dict(root.tree)
    planned = root.plan({"a": new})
    assume(carried_out(root, planned))
    assert planned.situation is not None
    concerned = {*planned.situation.wanted, *planned.situation.leaving}
    concerned |= {RelPath(at + NEW_SUFFIX) for at in concerned}
    for at, seen in was.items():
        if at not in concerned:
            assert root.tree.get(at) == seen
    assert root.tree.keys() - was.keys() <= concerned


@LAWS
@given(PACKAGES, EDITS, PACKAGES)
def test_a_second_plan_is_empty(old: list[Part], edits: list[Edit], new: list[Part]) -> None:
    root = ModelRoot()
    root.install({"a": old})
    edited(root, edits)
    assume(carried_out(root, root.plan({"a": new})))
    again = root.plan({"a": new})
    assert again.problems == ()
    # The version of a configuration file that lies beside it goes with the next installation, as documented.
    assert [action for action in again.actions if not is_beside(action)] == []


def is_beside(action: Action) -> bool:
    return isinstance(action, Remove) and action.path.endswith(NEW_SUFFIX)


@LAWS
@given(PACKAGES, EDITS, PACKAGES)
def test_a_reversal_gives_the_old_tree_back_and_its_reversal_the_new_one(
    old: list[Part], edits: list[Edit], new: list[Part]
) -> None:
    root = ModelRoot()
    root.install({"a": old})
    edited(root, edits)
    was = root.signature()
    assume(carried_out(root, root.plan({"a": new})))
    then = root.signature()
    for expected in (was, then, was):
        planned = root.plan_rollback()
        assert planned.problems == ()
        assert carried_out(root, planned)
        assert root.signature() == expected


@LAWS
@given(PACKAGES, PACKAGES, PACKAGES)
def test_several_transactions_can_be_undone_at_once(
    one: list[Part], two: list[Part], three: list[Part]
) -> None:
    root = ModelRoot()
    states = [root.signature()]
    for parts in (one, two, three):
        assume(carried_out(root, root.plan({"a": parts})))
        states.append(root.signature())
    for transactions in (3, 1, 3):
        target = states[-1 - transactions]
        planned = root.plan_rollback(transactions)
        assert carried_out(root, planned)
        assert root.signature() == target
        states.append(target)


@LAWS
@given(PACKAGES, EDITS, PACKAGES, EDITS)
def test_a_reversal_loses_no_work_that_was_done_since(
    old: list[Part], edits: list[Edit], new: list[Part], later: list[Edit]
) -> None:
    root = ModelRoot()
    root.install({"a": old})
    edited(root, edits)
    assume(carried_out(root, root.plan({"a": new})))
    edited(root, later)
    work = persons_work(root)
    if carried_out(root, root.plan_rollback()):
        for at, one in work.items():
            there = root.tree.get(at)
            assert there is not None
            assert there.digest == one.digest or one.digest in root.kept


@LAWS
@given(PACKAGES, EDITS)
def test_a_removal_leaves_only_what_was_there_before_and_what_somebody_worked_on(
    parts: list[Part], edits: list[Edit]
) -> None:
    root = edited(ModelRoot(), edits)
    was = root.signature()
    assume(carried_out(root, root.plan({"a": parts})))
    assume(not root.kept)
    assert carried_out(root, root.plan(removed=["a"]))
    left = root.signature()
    assert set(left) <= set(was)
    assert root.owned == {}


@LAWS
@given(PACKAGES)
def test_installing_and_removing_in_an_empty_root_leaves_nothing(parts: list[Part]) -> None:
    root = ModelRoot()
    assert carried_out(root, root.plan({"a": parts}))
    assert carried_out(root, root.plan(removed=["a"]))
    assert root.tree == {}


@LAWS
@given(PACKAGES, PACKAGES, PACKAGES, PACKAGES, EDITS)
def test_files_move_between_packages_that_are_upgraded_together(
    a: list[Part], b: list[Part], new_a: list[Part], new_b: list[Part], edits: list[Edit]
) -> None:
    root = ModelRoot()
    assume(carried_out(root, root.plan({"a": a, "b": b})))
    edited(root, edits)
    was = dict(root.tree)
    planned = root.plan({"a": new_a, "b": new_b})
    assume(carried_out(root, planned))
    for parts in (new_a, new_b):
        assert_wanted(root, planned, parts, was)
    again = root.plan({"a": new_a, "b": new_b})
    assert again.problems == ()
    assert [action for action in again.actions if not is_beside(action)] == []


LIVES = st.lists(
    st.one_of(
        EDITS.map(lambda edits: ("edit", edits)),
        st.tuples(st.sampled_from(["a", "b"]), PACKAGES),
        st.sampled_from([("remove", ["a"]), ("remove", ["a", "b"]), ("rollback", 1), ("rollback", 2)]),
    ),
    min_size=3,
    max_size=9,
)


@LAWS
@given(LIVES)
def test_nothing_is_lost_and_every_plan_can_be_carried_out_in_a_long_life(
    life: list[tuple[str, list[Edit]]],
) -> None:
    root = ModelRoot()
    for what, argument in life:
        if what == "edit":
            edited(root, argument)
        elif what == "remove":
            carried_out(root, root.plan(removed=[name for name in argument if name in root.owned]))  # type: ignore[comparison-overlap,misc]
        elif what == "rollback":
            number = min(int(argument), len(root.history))  # type: ignore[call-overload]
            if number:
                carried_out(root, root.plan_rollback(number))
        else:
            carried_out(root, root.plan({what: argument}))  # type: ignore[dict-item]
