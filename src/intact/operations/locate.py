"""Acts. Where does a manifest's path really lie, given the links that administrators have made?

A package may say ``lib/x`` where ``/lib`` is a link to ``usr/lib``. A link is followed only if it and the
directory that holds it belong to root (or to the invoking user) and nobody else can replace it; a link of the
package itself, or one that is about to go, is not followed but changed.
"""

import os

from intact.model.errors import Conflict
from intact.model.objects import Kind, Observed
from intact.model.paths import ROOT, PathFault, RelPath
from intact.model.values import dataclass, field
from intact.system.port import Disk

__all__ = ["Locator"]

_MOST_LINKS = 40
_WRITABLE_BY_OTHERS = 0o022
_OTHERS_MAY_WRITE, _STICKY = 0o002, 0o1000


@dataclass(slots=True)
class Locator:
    """Maps manifest paths to locations, and remembers what it has seen on the way.

    Attributes:
        arriving: links of incoming packages, by location; they count as if they were there.
        leaving: locations of links that go; they are not followed.
    """

    disk: Disk
    arriving: dict[RelPath, str] = field(default_factory=dict)
    leaving: frozenset[RelPath] = frozenset()
    _seen: dict[RelPath, Observed | None] = field(default_factory=dict)
    _directories: dict[RelPath, RelPath] = field(default_factory=dict)

    def entry(self, path: RelPath) -> RelPath:
        """Return the location of an entry: its parents' links are followed, it is not."""
        above = path.parent
        found = self.directory(above)
        return path if found == above else found / path.name

    def directory(self, path: RelPath) -> RelPath:
        """Return the location of a directory, its own link followed.

        Raises:
            Conflict: a link on the way may not be trusted, leads in a circle or to an impossible name.
        """
        if not path:
            return ROOT
        found = self._directories.get(path)
        if found is None:
            found = self._follow(self.directory(path.parent) / path.name, _MOST_LINKS)
            self._directories[path] = found
        return found

    def forget_directories(self) -> None:
        """Resolve everything anew, after links have arrived."""
        self._directories.clear()

    def observe(self, location: RelPath) -> Observed | None:
        """Describe what stands at a location; asks the disk once."""
        if location not in self._seen:
            above = location.parent
            is_below_nothing = above in self._seen and self._seen[above] is None
            self._seen[location] = None if is_below_nothing else self.disk.observe(location)
        return self._seen[location]

    def _follow(self, location: RelPath, links_left: int) -> RelPath:
        target = self._target(location)
        if target is None:
            return location
        if links_left == 0:
            raise Conflict("too many links, or a circle of them", path=f"/{location}")
        at = ROOT if target.startswith("/") else location.parent
        for part in target.split("/"):
            if part in {"", "."}:
                continue
            at = at.parent if part == ".." else self._follow(at / part, links_left - 1)
        try:
            return RelPath.parse(at) if at else ROOT
        except PathFault as fault:
            raise Conflict(
                f"the link leads to a name that cannot be used: {fault}", path=f"/{location}"
            ) from fault

    def _target(self, location: RelPath) -> str | None:
        """Return where the link at `location` leads; None if there is none to follow."""
        if location in self.arriving:
            return self.arriving[location]
        if location in self.leaving:
            return None
        seen = self.observe(location)
        if seen is None or seen.kind is not Kind.SYMLINK:
            return None
        self._insist_on_trust(location, seen)
        return seen.target

    def _is_safe_way(self, directory: RelPath, trusted: set[int]) -> bool:
        """Tell whether nobody else can put another directory in the place of one on the way."""
        for above in directory.ancestors:
            seen = self.observe(above)
            is_open = seen is not None and seen.mode & _OTHERS_MAY_WRITE and not seen.mode & _STICKY
            if seen is None or seen.uid not in trusted or is_open:
                return False
        return True

    def _insist_on_trust(self, location: RelPath, link: Observed) -> None:
        holder = self.observe(location.parent)
        trusted = {0, os.geteuid()}
        safe_holder = holder is not None and holder.uid in trusted and not holder.mode & _WRITABLE_BY_OTHERS
        if safe_holder and link.uid in trusted and self._is_safe_way(location.parent, trusted):
            return
        raise Conflict(
            "a link on the way can be changed by other users, so it is not followed",
            path=f"/{location}",
            remedy=f"make /{location.parent} and the link belong to root and unwritable for others, or replace the link",
        )
