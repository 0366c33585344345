"""Pure. What shall become of one path, before paths are put together into actions?"""

from intact.model.objects import Attributes, NewObject, Observed
from intact.model.paths import RelPath
from intact.model.values import dataclass

__all__ = ["AttributeChange", "Change"]


@dataclass(frozen=True, slots=True)
class Change:
    """One path gets another object, or its first, or none.

    Attributes:
        keep: the old object is a person's work and outlives the history.
    """

    location: RelPath
    new: NewObject | None
    old: Observed | None
    keep: bool = False


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """A directory stays and gets other attributes."""

    location: RelPath
    new: Attributes
    old: Observed
