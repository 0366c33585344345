"""Acts. Which places may no package bring anything to, wherever links have led its paths?

A manifest that names such a place is refused before (`bundle/entry_rules`); here it is the location that counts: that a
path leads there through links is known only in the root. The interpreter that runs `pkg` and the modules of `pkg` are
left to the package `intact`, and to the one that brought them.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import intact
from intact.model.objects import Identity
from intact.model.paths import ROOT, RelPath
from intact.operations.root import Root
from intact.plan.wanted import Wanted
from intact.state.database import Database

__all__ = ["reserved_places"]

_OWN_NAME = "intact"
_VOLATILE = (RelPath("proc"), RelPath("sys"), RelPath("dev"), RelPath("run"))


def reserved_places(
    root: Root,
    database: Database,
    wanted: Mapping[RelPath, Sequence[Wanted]],
    brought: Iterable[RelPath],
) -> list[str]:
    """Name the locations that are not for this package, with the reason.

    Args:
        wanted: what the incoming packages say of each location.
        brought: locations that get a new object.
    """
    ground = _Ground(root)
    found = []
    above_base = {ROOT, *root.layout.base.ancestors}
    free: set[RelPath] = set()  # what is not there is a part of nothing, and so is what comes below it
    for location in sorted(brought):
        if location.parent in free:
            free.add(location)
            continue
        problem = _problem(database, ground, wanted.get(location, ()), location)
        if problem is not None:
            found.append(f"/{location}: {problem}")
        elif location not in above_base and ground.is_absent(location):
            free.add(location)
    return found


class _Ground:
    """What is a part of the pkg that is running, and what is not there at all; each is looked at once."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self._own = [*_identity(Path(sys.executable)), *_identity(Path(intact.__file__).parent)]
        self._is_own: dict[RelPath, bool] = {}
        self._absent: set[RelPath] = set()

    def is_part_of_pkg(self, location: RelPath) -> bool:
        """Tell whether it is, or lies below, one of the objects that pkg consists of."""
        if location not in self._is_own:
            above = location != ROOT and self.is_part_of_pkg(location.parent)
            seen = None if location.parent in self._absent else self.root.disk.identity(location)
            if seen is None:
                self._absent.add(location)
            self._is_own[location] = above or seen in self._own
        return self._is_own[location]

    def is_absent(self, location: RelPath) -> bool:
        """Tell whether nothing stands there, and it is no place in a directory of pkg."""
        return not self.is_part_of_pkg(location) and location in self._absent


def _problem(database: Database, ground: _Ground, wanted: Sequence[Wanted], location: RelPath) -> str | None:
    base = ground.root.layout.base
    if location == base or location.is_below(base):
        return "pkg keeps its own state there; no package may bring anything to it"
    if any(location.is_below(place) for place in _VOLATILE):
        return "what lies there does not outlive a reboot; nothing can be installed there"
    if ground.is_part_of_pkg(location):
        names = {one.package for one in wanted}
        brought_it = {one.package for one in database.owners([location]).get(location, ())}
        if not names <= {_OWN_NAME, *brought_it}:
            return f"is a part of the pkg that is running; only the package {_OWN_NAME} brings it"
    return None


def _identity(path: Path) -> list[Identity]:
    """Tell which object this is; nothing of it where we may not even look, and so cannot write either."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [Identity(status.st_dev, status.st_ino)]
