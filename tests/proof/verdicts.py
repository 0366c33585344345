"""Pure. What a try has shown, and how it is named so that it can be tried again."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Scene", "Tally", "Verdict"]


@dataclass(frozen=True, order=True)
class Scene:
    """One instrument on one story on one filesystem."""

    instrument: str
    filesystem: str
    story: str

    def __str__(self) -> str:
        return f"{self.instrument}/{self.filesystem}/{self.story}"


@dataclass(frozen=True)
class Verdict:
    """What one try has shown.

    Attributes:
        state: the last part of its id; a try of several states has the others in its violations.
        tried: how many states that were.
        outcomes: what they ended in.
        violations: what must not be, one line each, beginning with the rest of the state's id.
    """

    scene: Scene
    state: str
    tried: int
    outcomes: Counter[str]
    violations: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name by which `scripts/prove --state` tries it again."""
        return f"{self.scene}/{self.state}"


@dataclass
class Tally:
    """All verdicts on one scene."""

    tried: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one more."""
        self.tried += verdict.tried
        self.outcomes += verdict.outcomes
        self.violations += [f"{verdict.id}: {one}" for one in verdict.violations]

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> "Tally":
        """Count all."""
        tally = cls()
        for one in verdicts:
            tally.add(one)
        return tally
