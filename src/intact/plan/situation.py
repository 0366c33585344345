"""Pure. Everything that the decision about an installation depends on, in one value."""

from collections.abc import Callable, Collection, Mapping, Sequence

from intact.model.installed import OwnedEntry
from intact.model.objects import Kind, Observed
from intact.model.paths import RelPath
from intact.model.values import dataclass, field
from intact.plan.assemble import Terrain
from intact.plan.wanted import Wanted

__all__ = ["Situation", "is_as_installed", "is_beyond_others", "same_attributes"]

_OTHERS_MAY_WRITE = 0o022


@dataclass(frozen=True, slots=True)
class Situation:
    """What is wanted, what is owned, and what was observed, by location.

    Attributes:
        wanted: entries of the incoming packages.
        leaving: entries of the packages that are removed or upgraded.
        staying: entries of all other packages, as far as they touch the locations above.
        observed: what stands at each location above, and at the ``.pkg-new`` name of configuration files;
            digests are known wherever a decision needs them.
        terrain: listings, mount points, and whether directories can be renamed.
        trusted: users whose directories nobody else can change; root, and whoever runs this.
        may_overwrite: files that nobody owns and that the user gave up (``--overwrite``).
        may_take_over: tells whether one package may take files of another (its ``replaces``).
    """

    wanted: Mapping[RelPath, Sequence[Wanted]]
    leaving: Mapping[RelPath, Sequence[OwnedEntry]]
    staying: Mapping[RelPath, Sequence[OwnedEntry]]
    observed: Mapping[RelPath, Observed | None]
    terrain: Terrain
    trusted: frozenset[int] = frozenset({0})
    may_overwrite: Callable[[RelPath], bool] = field(default=lambda _: False)
    may_take_over: Callable[[str, str], bool] = field(default=lambda _taker, _owner: False)


def is_beyond_others(
    observed: Mapping[RelPath, Observed | None], location: RelPath, trusted: Collection[int]
) -> bool:
    """Tell whether nobody but trusted users can have put what stands at a location there.

    Only then are its mode and owner an administrator's wish. Elsewhere the owner of a directory could put a file of
    their own in the place, and would get the next content with the mode and owner of that.
    """
    above = [seen for one in location.ancestors if (seen := observed.get(one)) is not None]
    return all(one.uid in trusted and not one.mode & _OTHERS_MAY_WRITE for one in above)


def is_as_installed(owned: OwnedEntry, seen: Observed) -> bool:
    """Tell whether an object still has the type and content with which it was installed."""
    if owned.kind is not seen.kind:
        return False
    if owned.kind is Kind.FILE:
        return owned.digest == seen.digest
    return owned.kind is not Kind.SYMLINK or owned.target == seen.target


def same_attributes(owned: OwnedEntry, seen: Observed) -> bool:
    """Tell whether mode and ownership are still those with which it was installed."""
    if owned.kind is Kind.SYMLINK:
        return True
    return (owned.mode, owned.uid, owned.gid) == (seen.mode, seen.uid, seen.gid)
