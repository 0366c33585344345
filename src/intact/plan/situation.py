"""Pure. Everything that the decision about an installation depends on, in one value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from intact.model.installed import OwnedEntry
from intact.model.objects import Kind, Observed
from intact.model.paths import RelPath
from intact.plan.assemble import Terrain
from intact.plan.wanted import Wanted

__all__ = ["Situation", "is_as_installed", "same_attributes"]


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
        may_overwrite: files that nobody owns and that the user gave up (``--overwrite``).
        may_take_over: tells whether one package may take files of another (its ``replaces``).
    """

    wanted: Mapping[RelPath, Sequence[Wanted]]
    leaving: Mapping[RelPath, Sequence[OwnedEntry]]
    staying: Mapping[RelPath, Sequence[OwnedEntry]]
    observed: Mapping[RelPath, Observed | None]
    terrain: Terrain
    may_overwrite: Callable[[RelPath], bool] = field(default=lambda _: False)
    may_take_over: Callable[[str, str], bool] = field(default=lambda _taker, _owner: False)


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
