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
    own = [*_identity(Path(sys.executable)), *_identity(Path(intact.__file__).parent)]
    is_own: dict[RelPath, bool] = {}
    absent: set[RelPath] = set()  # nothing is below what is not there: a new tree is one question to the disk

    def is_part_of_pkg(location: RelPath) -> bool:
        if location not in is_own:
            above = location != ROOT and is_part_of_pkg(location.parent)
            seen = None if location.parent in absent else root.disk.identity(location)
            if seen is None:
                absent.add(location)
            is_own[location] = above or seen in own
        return is_own[location]

    found = []
    for location in sorted(brought):
        names = {one.package for one in wanted.get(location, ())}
        if location == root.layout.base or location.is_below(root.layout.base):
            found.append(f"/{location}: pkg keeps its own state there; no package may bring anything to it")
        elif any(location.is_below(place) for place in _VOLATILE):
            found.append(
                f"/{location}: what lies there does not outlive a reboot; nothing can be installed there"
            )
        elif is_part_of_pkg(location):
            brought_it = {one.package for one in database.owners([location]).get(location, ())}
            if not names <= {_OWN_NAME, *brought_it}:
                found.append(
                    f"/{location}: is a part of the pkg that is running; only the package {_OWN_NAME} brings it"
                )
    return found


def _identity(path: Path) -> list[Identity]:
    """Tell which object this is; nothing of it where we may not even look, and so cannot write either."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [Identity(status.st_dev, status.st_ino)]
