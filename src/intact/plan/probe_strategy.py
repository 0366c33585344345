"""Pure. Which way does the installer take here, and why?

The way itself is not decided here: it is read off the verbs that the installer's own code has used on scratch files.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from intact.model.probes import Mounted, Outcome, Result, Strategy, Way

__all__ = ["notes_on", "strategy_of", "way_of_placing", "way_of_replacing"]

_REASONS: Final = MappingProxyType(
    {
        Way.EXCHANGE: "old and new change places in one system call: there is no moment without the name, and the old one is kept",
        Way.LINK_AND_RENAME: "no exchange here; the old file gets a second name, then the new one is renamed over it: there is no moment without the name",
        Way.COPY_AND_RENAME: "neither exchange nor hardlinks here; the old file is copied aside and synced, then the new one is renamed over it: slower, but there is no moment without the name",
        Way.MOVE_ASIDE: "it cannot be replaced under its name here; it is renamed aside, then the new one gets the name: for an instant the name is missing",
        Way.NOREPLACE: "the kernel refuses to replace what somebody has made meanwhile",
        Way.LINK_AND_REMOVE: "no NOREPLACE here; a hardlink at the new name fails if the name is taken, then the first name is removed",
        Way.LOOK_AND_RENAME: "neither NOREPLACE nor hardlinks here; it looks whether the name is free, then renames: what is made in between is replaced",
        Way.NONE: "the installer's own code fails with it here; `pkg install` would say so and change nothing",
    }
)
_MEMORY: Final = frozenset({"tmpfs", "ramfs"})


def way_of_replacing(verbs: Sequence[str], *, moved_away: bool) -> Way:
    """Name the way that has replaced an object.

    Args:
        verbs: of the disk, those that succeeded.
        moved_away: the old object was renamed before the new one had its name.
    """
    if "exchange" in verbs:
        return Way.EXCHANGE
    if moved_away:
        return Way.MOVE_ASIDE
    return Way.COPY_AND_RENAME if "copy_file" in verbs else Way.LINK_AND_RENAME


def way_of_placing(verbs: Sequence[str]) -> Way:
    """Name the way in which an object got a free name."""
    if "move_new" in verbs:
        return Way.NOREPLACE
    return Way.LINK_AND_REMOVE if "link" in verbs else Way.LOOK_AND_RENAME


def strategy_of(what: str, outcome: Outcome) -> Strategy | None:
    """Say which way was seen; None where it could not be tried.

    Args:
        outcome: of a trial; its fact is the way if it was done.
    """
    if outcome.result is Result.DONE:
        way = Way(outcome.fact)
        return Strategy(what, way, "", _REASONS[way])
    if outcome.result is Result.UNTRIED:
        return None
    return Strategy(what, Way.NONE, outcome.errno or outcome.fact, _REASONS[Way.NONE])


def notes_on(mounted: Mounted, *, superuser: bool, left: str) -> tuple[str, ...]:
    """Say what the rows do not show.

    Args:
        left: what could not be tidied up; empty for nothing.
    """
    found = []
    if mounted.kind in _MEMORY:
        found.append("this filesystem is in memory: nothing on it outlives the power")
    if mounted.kind == "overlay":
        found.append(
            "overlayfs: a directory of a lower layer cannot be renamed (EXDEV) and is emptied file by file instead"
        )
    if "volatile" in mounted.options:
        found.append(
            "overlayfs mounted with `volatile`: syncs do nothing, and a power cut may leave anything"
        )
    if mounted.noexec:
        found.append("mounted with noexec: no program runs from here")
    if mounted.nosuid:
        found.append("mounted with nosuid: set-user-id bits and capabilities are kept, but have no effect")
    if not superuser:
        found.append("run by a user who is not root: as root some answers may be others")
    if left:
        found.append(left)
    return tuple(found)
