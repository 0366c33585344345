"""Pure. A configuration file changed here, there, or on both sides: which version stands afterwards?"""

from enum import Enum

from intact.model.entries import Digest

__all__ = ["ConfigVerdict", "decide_config"]


class ConfigVerdict(Enum):
    """What becomes of a configuration file."""

    PUT = "the new version takes its place"
    KEEP = "the local version stays"
    KEEP_AND_LAY_BESIDE = "the local version stays, the new one lies beside it"


def decide_config(original: Digest | None, local: Digest | None, new: Digest) -> ConfigVerdict:
    """Decide between three versions.

    Args:
        original: what the installed version brought; None if the file comes for the first time.
        local: what stands there; None if there is nothing (or nothing that is a file).
        new: what the incoming version brings.
    """
    if local == new:
        return ConfigVerdict.KEEP
    if original is None:
        return ConfigVerdict.PUT if local is None else ConfigVerdict.KEEP_AND_LAY_BESIDE
    if local is None:  # a person removed it: that is an edit too
        return ConfigVerdict.KEEP
    if local == original:
        return ConfigVerdict.PUT
    return ConfigVerdict.KEEP if new == original else ConfigVerdict.KEEP_AND_LAY_BESIDE
