"""Pure. What can one package demand of another, and does a given package meet it?"""

import operator
import re
from collections.abc import Callable
from typing import Final

from intact.model.values import dataclass
from intact.model.versions import Version, VersionFault

__all__ = ["NAME_PATTERN", "Relation", "RelationFault", "Requirement", "parse_relation", "parse_requirement"]

NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9+._-]{0,127}")

_COMPARISONS: Final[dict[str, Callable[[Version, Version], bool]]] = {
    "<<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">>": operator.gt,
}
# Matched after strip(): two blanks in a row that may both be long would cost the square of the length.
_RELATION = re.compile(r"([a-z0-9][a-z0-9+._-]*)(?:\s*\(\s*(<<|<=|=|>=|>>)\s*([^\s()]+)\s*\))?")


class RelationFault(ValueError):
    """The text is not a relation; the message says why."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A package name, perhaps with a bound: ``libc6 (>= 2.36)``.

    Attributes:
        comparison: one of ``<< <= = >= >>``, or None for any version.
    """

    name: str
    comparison: str | None = None
    version: Version | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.comparison} {self.version})" if self.comparison else self.name

    def admits(self, version: Version | None) -> bool:
        """Tell whether a package of that version meets the bound; an unversioned one meets no bound."""
        if self.comparison is None or self.version is None:
            return True
        return version is not None and _COMPARISONS[self.comparison](version, self.version)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One of several relations has to hold: ``mta | exim4 (>= 4.90)``."""

    alternatives: tuple[Relation, ...]

    def __str__(self) -> str:
        return " | ".join(map(str, self.alternatives))


def parse_relation(text: str) -> Relation:
    """Read ``name`` or ``name (>= version)``.

    Raises:
        RelationFault: the text has another form.
    """
    match = _RELATION.fullmatch(text.strip())
    if match is None or not NAME_PATTERN.fullmatch(match[1]):
        raise RelationFault(f"{text!r} is not a relation; write NAME or NAME (>= VERSION)")
    name, comparison, version = match.groups()
    if version is None:
        return Relation(name)
    try:
        return Relation(name, comparison, Version(version))
    except VersionFault as fault:
        raise RelationFault(str(fault)) from fault


def parse_requirement(text: str) -> Requirement:
    """Read one or more relations separated by ``|``.

    Raises:
        RelationFault: one of them has another form.
    """
    return Requirement(tuple(parse_relation(part) for part in text.split("|")))
