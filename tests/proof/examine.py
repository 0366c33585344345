"""Acts. Is a root as it has to be: each object whole, everything old or everything new, and nothing left behind?"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from intact.model.errors import IntactError
from intact.operations.recovering import interrupted
from intact.operations.root import Environment
from intact.operations.verify import verify
from support.workshop import Snapshot, Workshop, snapshot, state_files

__all__ = ["Expectation", "Picture", "all_or_nothing", "half_done", "is_at", "take_picture", "without_links"]

_SAME_FOR_ALL = frozenset(
    {"private", "private/id", "private/lock", "private/manifests", "private/transactions", "installed.db"}
)


@dataclass(frozen=True)
class Picture:
    """A root at rest.

    Attributes:
        tree: everything outside the state directory.
        state: names in the state directory.
        packages: what the database says, one line per package.
        history: (kind, outcome, can be rolled back) of the committed transactions, oldest first.
        differences: what `pkg verify` finds.
        kept: digests of people's files that had to make room.
    """

    tree: Snapshot
    state: frozenset[str]
    packages: tuple[str, ...]
    history: tuple[tuple[str, str, bool], ...]
    differences: tuple[str, ...]
    kept: frozenset[str]


def _kept(workshop: Workshop) -> frozenset[str]:
    top = workshop.path / "var/lib/intact/private/kept"
    files = [path for path in top.rglob("*") if path.is_file()] if top.is_dir() else []
    return frozenset(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)


def take_picture(workshop: Workshop) -> Picture:
    """Describe a root that is at rest."""
    with workshop.opened() as root, root.database() as database:
        found = verify(root, [], Environment()).differences
        rows = []
        for package in database.packages():
            entries = database.entries(package.identity.name)
            paths = " ".join(str(entry.location) for entry in entries)
            rows.append(f"{package.identity.name} {package.identity.version} {paths}")
        history = [
            (one.kind, one.outcome.value, one.retained)
            for one in reversed(database.history())
            if one.outcome.value == "committed"
        ]
    return Picture(
        tree=snapshot(workshop),
        # What hooks wrote is kept if that is possible, and nothing depends on it.
        state=frozenset(one for one in state_files(workshop) if not one.endswith("hooks.log"))
        - _SAME_FOR_ALL,
        packages=tuple(rows),
        history=tuple(history),
        differences=tuple(f"{one.location} {one.what}" for one in found),
        kept=_kept(workshop),
    )


@dataclass(frozen=True)
class Expectation:
    """What a story may end in.

    Attributes:
        between: what is there on the way, if a story goes there and back by itself.
        links: count the names of files; an overlay splits those of its lower layer when it copies them up.
    """

    old: Picture
    new: Picture
    between: Picture | None = None
    links: bool = True


def without_links(described: tuple[object, ...] | None) -> tuple[object, ...] | None:
    """Leave the link count out of what a snapshot says about an object."""
    return described[:-1] if described is not None and described[0] == "file" else described


def _unlinked(tree: Snapshot) -> Snapshot:
    return {path: without_links(described) or () for path, described in tree.items()}


def is_at(workshop: Workshop, picture: Picture, expected: Expectation) -> bool:
    """Tell whether the root's own files are those of a picture."""
    now = snapshot(workshop)
    return now == picture.tree if expected.links else _unlinked(now) == _unlinked(picture.tree)


def half_done(workshop: Workshop, expected: Expectation, *, may_blink: bool = False) -> list[str]:
    """Say which paths hold neither their old nor their new object; to be asked before any recovery.

    Args:
        may_blink: where a filesystem cannot exchange, a directory that becomes something else, or the other way
            round, is missing for a moment.
    """
    now = snapshot(workshop, links=False)
    found = []
    trees = [side.tree for side in (expected.old, expected.new, expected.between) if side is not None]
    for path in sorted(now.keys() | {path for tree in trees for path in tree}):
        allowed = [without_links(tree.get(path)) for tree in trees]
        blinks = may_blink and now.get(path) is None and _is_directory_in_one(path, expected)
        if now.get(path) not in allowed and not blinks:
            found.append(f"/{path} is neither old nor new: {_short(now.get(path))}")
    return found


def _is_directory_in_one(path: str, expected: Expectation) -> bool:
    kinds = [side.tree[path][0] for side in (expected.old, expected.new) if path in side.tree]
    return "directory" in kinds and len(set(kinds)) > 1


def _short(described: object) -> str:
    text = repr(described)
    return text if len(text) < 200 else text[:200] + "…"


def all_or_nothing(workshop: Workshop, expected: Expectation) -> tuple[str, list[str]]:
    """Say whether a root at rest is ``old`` or ``new``, and what contradicts that."""
    try:
        with workshop.opened() as root:
            left = interrupted(root)
        now = take_picture(workshop)
    except IntactError as error:
        return "broken", [f"cannot be examined: {error}"]
    found = [f"transaction {one.places.id} is still open ({one.phase})" for one in left]
    outcome, side = ("old", expected.old) if now.packages == expected.old.packages else ("new", expected.new)
    if expected.old.packages == expected.new.packages and now.history != expected.old.history:
        outcome, side = "new", expected.new
    here, there = (one.tree if expected.links else _unlinked(one.tree) for one in (now, side))
    found += _differences("path", here.items(), there.items())
    found += _differences("state", now.state, side.state)
    found += _differences("package", now.packages, side.packages)
    found += _differences("history", now.history, side.history)
    found += _differences("verify", now.differences, side.differences)
    found += [f"lost: a file that somebody wrote ({one[:12]})" for one in side.kept - now.kept]
    return outcome, [f"{one} (compared with all {outcome})" for one in found]


def _differences(what: str, now: Iterable[object], then: Iterable[object]) -> list[str]:
    here, there = list(now), list(then)
    return [f"{what}: {_short(one)} should not be there" for one in here if one not in there] + [
        f"{what}: {_short(one)} is missing" for one in there if one not in here
    ]
