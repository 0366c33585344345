"""Pure. How are steps written into plan.json, and read back without believing them?

Every path goes through `RelPath.parse` again; a text that does not fit raises, and nothing is guessed.
"""

import base64
import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

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
from intact.model.entries import Digest, Xattrs
from intact.model.errors import JournalDamaged
from intact.model.exhaustive import assert_never
from intact.model.hooks import NO_COMMANDS, Commands, HookCommand, Moment
from intact.model.manifest import PackageChange
from intact.model.objects import (
    Attributes,
    Backup,
    BundleContent,
    Content,
    Kind,
    LiveContent,
    NewDirectory,
    NewFile,
    NewHardlink,
    NewObject,
    NewSymlink,
    Observed,
)
from intact.model.paths import MAX_PATH_BYTES, ROOT, RelPath
from intact.model.values import dataclass
from intact.model.versions import Version

__all__ = ["FORMAT", "Step", "TransactionPlan", "parse_plan", "plan_pieces", "plan_text"]

FORMAT = 2
_MANY = 1000  # objects of a tree, above which they are written as they are made
_PIECE = 1 << 20
_DEPARTURES = frozenset({"replace", "remove"})
_LONGEST_PREFIX = MAX_PATH_BYTES  # a mount point, `.intact`, identity, number and slot

# JSON is untyped at this border; everything behind it is typed again.
_Json = Any


@dataclass(frozen=True, slots=True)
class Step:
    """An action, bound to its transaction.

    Attributes:
        slot: where its slot is, ROOT for actions without one.
        inode: of the staged object, 0 if none is staged.
        digest: of the staged content, if the object is a regular file (hardlinks included), else empty.
    """

    action: Action
    slot: RelPath
    inode: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class TransactionPlan:
    """What plan.json says.

    Attributes:
        mounts: mount points whose filesystems the steps touch.
        packages: what changes.
        notes: decisions a person should know of.
        drops: transactions whose backups go when this one is closed.
        commands: what is run before and after the steps.
        database: SHA-256 of the database that was staged; empty if none was.
    """

    transaction: int
    steps: tuple[Step, ...]
    mounts: tuple[RelPath, ...]
    packages: tuple[PackageChange, ...] = ()
    notes: tuple[str, ...] = ()
    drops: tuple[int, ...] = ()
    commands: Commands = NO_COMMANDS
    database: str = ""


def plan_text(plan: TransactionPlan) -> bytes:
    """Write a plan as JSON."""
    return b"".join(plan_pieces(plan))


def plan_pieces(plan: TransactionPlan) -> Iterator[bytes]:
    """Write a plan as JSON, a large one in several pieces, so that it need never be in memory as a whole."""
    collected: list[str] = []
    size = 0
    for text in _texts(plan):
        collected.append(text)
        size += len(text)
        if size >= _PIECE:
            yield "".join(collected).encode()
            collected, size = [], 0
    yield "".join(collected).encode()


def _texts(plan: TransactionPlan) -> Iterator[str]:
    value = {
        "format": FORMAT,
        "transaction": plan.transaction,
        "mounts": plan.mounts,
        "packages": [
            [one.name, None if one.old is None else str(one.old), None if one.new is None else str(one.new)]
            for one in plan.packages
        ],
        "notes": plan.notes,
        "drops": plan.drops,
        "database": plan.database,
        "commands": [
            _commands(one) for one in (plan.commands.before, plan.commands.after, plan.commands.back)
        ],
    }
    yield _written(value).removesuffix("}") + ',"steps":['
    for number, step in enumerate(plan.steps):
        yield "," if number else ""
        yield from _step_texts(step)
    yield "]}"


def _written(value: _Json) -> str:
    return json.dumps(value, separators=(",", ":"))


def _step_texts(step: Step) -> Iterator[str]:
    head, action = [step.slot, step.inode, step.digest], _action(step.action)
    if not any(isinstance(one, Iterator) for one in action):
        yield _written([*head, action])
        return
    yield _written(head).removesuffix("]") + ","
    for number, one in enumerate(action):
        yield "," if number else "["
        if isinstance(one, Iterator):
            yield from _list_texts(one)
        else:
            yield _written(one)
    yield "]]"


def _list_texts(items: Iterator[_Json]) -> Iterator[str]:
    """Write a list as it is made."""
    border = "["
    while some := list(islice(items, _MANY)):
        yield border + _written(some)[1:-1]
        border = ","
    yield "]"


def parse_plan(text: bytes, place: str, *, departures: bool = False) -> TransactionPlan:
    """Read a plan.

    Args:
        departures: leave out the steps that have taken nothing out of the root; those of a new package are many.

    Raises:
        JournalDamaged: the text is not a plan.
    """
    try:
        value = json.loads(text)
        {FORMAT: None}[value["format"]]
        return TransactionPlan(
            transaction=int(value["transaction"]),
            steps=tuple(
                Step(_parse_action(one), _own_path(slot), int(inode), str(digest))
                for slot, inode, digest, one in value["steps"]
                if not departures or one[0] in _DEPARTURES
            ),
            mounts=tuple(map(_path, value["mounts"])),
            packages=tuple(
                PackageChange(name, old and Version(old), new and Version(new))
                for name, old, new in value["packages"]
            ),
            notes=tuple(map(str, value["notes"])),
            drops=tuple(map(int, value["drops"])),
            commands=Commands(*map(_parse_commands, value["commands"])),
            database=str(value["database"]),
        )
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise JournalDamaged(f"the plan cannot be read ({error})", path=place) from error


def _commands(commands: tuple[HookCommand, ...]) -> _Json:
    return [
        [one.moment.value, one.package, one.version, one.command, one.seconds, one.program]
        for one in commands
    ]


def _parse_commands(value: _Json) -> tuple[HookCommand, ...]:
    return tuple(
        HookCommand(
            Moment(moment),
            str(package),
            str(version),
            tuple(map(str, words)),
            int(seconds),
            _own_path(program),
        )
        for moment, package, version, words, seconds, program in value
    )


def _path(text: str) -> RelPath:
    return RelPath.parse(text) if text else ROOT


def _own_path(text: str) -> RelPath:
    """Read a path of our own state: that of a slot may be longer than any path in a package."""
    if not text:
        return ROOT
    if len(text.encode()) > MAX_PATH_BYTES + _LONGEST_PREFIX:
        raise ValueError("a path of the staging tree is too long")
    for component in text.split("/"):
        RelPath.parse(component)
    return RelPath(text)


def _xattrs(xattrs: Xattrs) -> _Json:
    return [[name, base64.b64encode(value).decode()] for name, value in xattrs]


def _parse_xattrs(value: _Json) -> Xattrs:
    return tuple((str(name), base64.b64decode(text, validate=True)) for name, text in value)


def _attributes(attributes: Attributes) -> _Json:
    return [attributes.mode, attributes.uid, attributes.gid, attributes.mtime_ns, _xattrs(attributes.xattrs)]


def _parse_attributes(value: _Json) -> Attributes:
    mode, uid, gid, mtime_ns, xattrs = value
    return Attributes(mode, uid, gid, mtime_ns, _parse_xattrs(xattrs))


def _observed(seen: Observed) -> _Json:
    return [
        seen.kind.value,
        seen.mode,
        seen.uid,
        seen.gid,
        seen.size,
        seen.mtime_ns,
        seen.inode,
        seen.links,
        seen.target,
        seen.digest,
        _xattrs(seen.xattrs),
    ]


def _parse_observed(value: _Json) -> Observed:
    kind, mode, uid, gid, size, mtime_ns, inode, links, target, digest, xattrs = value
    return Observed(
        Kind(kind), mode, uid, gid, size, mtime_ns, inode, links, target, digest, _parse_xattrs(xattrs)
    )


def _content(content: Content) -> _Json:
    match content:
        case BundleContent(bundle, entry):
            return ["bundle", bundle, entry]
        case Backup(location):
            return ["backup", location]
        case LiveContent(location):
            return ["live", location]
        case _:
            assert_never(content)


def _parse_content(value: _Json) -> Content:
    match value:
        case ["bundle", int(bundle), str(entry)]:
            return BundleContent(bundle, _path(entry))
        case ["backup", str(location)]:
            return Backup(_own_path(location))
        case ["live", str(location)]:
            return LiveContent(_path(location))
        case _:
            raise ValueError(f"unknown content {value!r}")


def _new(new: NewObject) -> _Json:
    match new:
        case NewFile(attributes, size, digest, content):
            return ["file", _attributes(attributes), size, digest, _content(content)]
        case NewDirectory(attributes):
            return ["directory", _attributes(attributes)]
        case NewSymlink(target, uid, gid):
            return ["symlink", target, uid, gid]
        case NewHardlink(target_location):
            return ["hardlink", target_location]
        case _:
            assert_never(new)


def _parse_new(value: _Json) -> NewObject:
    match value:
        case ["file", attributes, int(size), str(digest), content]:
            return NewFile(_parse_attributes(attributes), size, Digest(digest), _parse_content(content))
        case ["directory", attributes]:
            return NewDirectory(_parse_attributes(attributes))
        case ["symlink", str(target), int(uid), int(gid)]:
            return NewSymlink(target, uid, gid)
        case ["hardlink", str(target)]:
            return NewHardlink(_path(target))
        case _:
            raise ValueError(f"unknown object {value!r}")


def _nodes(nodes: tuple[Node, ...]) -> _Json:
    made = ([node.path, _new(node.new)] for node in nodes)
    return made if len(nodes) > _MANY else [*made]


def _old_nodes(nodes: tuple[OldNode, ...]) -> _Json:
    made = ([node.path, _observed(node.old)] for node in nodes)
    return made if len(nodes) > _MANY else [*made]


def _parse_nodes(value: _Json) -> tuple[Node, ...]:
    return tuple(Node(_path(path), _parse_new(new)) for path, new in value)


def _parse_old_nodes(value: _Json) -> tuple[OldNode, ...]:
    return tuple(OldNode(_path(path), _parse_observed(old)) for path, old in value)


def _action(action: Action) -> _Json:
    match action:
        case Create(path, slot, new, below):
            return ["create", path, slot, _new(new), _nodes(below)]
        case Replace(path, slot, new, old, below, was_below, keep):
            return [
                "replace",
                path,
                slot,
                _new(new),
                _observed(old),
                _nodes(below),
                _old_nodes(was_below),
                keep,
            ]
        case Remove(path, slot, old, was_below):
            return ["remove", path, slot, _observed(old), _old_nodes(was_below)]
        case RemoveDirectory(path, old):
            return ["remove-directory", path, _observed(old)]
        case SetAttributes(path, attributes, old):
            return ["set-attributes", path, _attributes(attributes), _observed(old)]
        case _:
            assert_never(action)


def _parse_create(path: str, slot: int, new: _Json, below: _Json) -> Action:
    return Create(_path(path), slot, _parse_new(new), _parse_nodes(below))


def _parse_replace(path: str, slot: int, *rest: _Json) -> Action:
    new, old, below, was_below, keep = rest
    return Replace(
        _path(path),
        slot,
        _parse_new(new),
        _parse_observed(old),
        _parse_nodes(below),
        _parse_old_nodes(was_below),
        bool(keep),
    )


def _parse_remove(path: str, slot: int, old: _Json, was_below: _Json) -> Action:
    return Remove(_path(path), slot, _parse_observed(old), _parse_old_nodes(was_below))


def _parse_remove_directory(path: str, old: _Json) -> Action:
    return RemoveDirectory(_path(path), _parse_observed(old))


def _parse_set_attributes(path: str, attributes: _Json, old: _Json) -> Action:
    return SetAttributes(_path(path), _parse_attributes(attributes), _parse_observed(old))


_PARSERS: dict[str, Callable[..., Action]] = {
    "create": _parse_create,
    "replace": _parse_replace,
    "remove": _parse_remove,
    "remove-directory": _parse_remove_directory,
    "set-attributes": _parse_set_attributes,
}


def _parse_action(value: _Json) -> Action:
    tag, *fields = value
    return _PARSERS[tag](*fields)
