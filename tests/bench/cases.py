"""Pure. What is measured, beside what, and how fast has it to be?"""

from dataclasses import dataclass
from statistics import median

__all__ = ["CASES", "MOST_MEMORY", "OURS", "REFERENCE", "Case", "Sample", "Samples", "Verdict", "judge"]

OURS, REFERENCE = "pkg", "reference"
MOST_MEMORY = 150  # MiB, in every case
_UNPACK = "tar --zstd -xf && sync -f"
_PYTHON = "python3 -c pass"


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        chain: the sequence of commands that it is measured in.
        factor: how many times the reference it may take; None where nothing was promised.
        allowance: seconds that are added to that.
    """

    name: str
    title: str
    chain: str
    reference: str
    factor: float | None
    allowance: float = 0.0

    @property
    def target(self) -> str:
        """The promise, as text."""
        if self.factor is None:
            return ""
        more = f" + {self.allowance:g} s" if self.allowance else ""
        return f"≤ {self.factor:.2f} ×{more}"


@dataclass(frozen=True)
class Sample:
    """One run.

    Attributes:
        seconds: from the start of the process to its end.
        processor: seconds of user and system time.
        memory: peak, in MiB.
        others: seconds of processor time of everything else meanwhile, the kernel's own threads included.
    """

    seconds: float
    processor: float = 0.0
    memory: float = 0.0
    others: float = 0.0


Samples = dict[str, dict[str, list[Sample]]]
"""Runs by case, then by who was measured."""


@dataclass(frozen=True)
class Verdict:
    """What became of a row.

    Attributes:
        ratio: median of the ratios, round by round.
        reached: None where nothing was promised.
    """

    ours: float
    reference: float
    ratio: float
    memory: float
    reached: bool | None


CASES = (
    Case("install-S", "fresh install, S", "S", _UNPACK, 1.0, 0.15),
    Case("install-M", "fresh install, M", "M", _UNPACK, 1.0),
    Case("install-L", "fresh install, L", "L", _UNPACK, 1.0),
    Case("install-R", "fresh install, R", "R", _UNPACK, 1.0),
    Case("upgrade-M", "upgrade, M, 1 % changed", "M", _UNPACK, 0.10),
    Case("upgrade-L", "upgrade, L, one file of eight", "L", _UNPACK, 0.25),
    Case("remove-M", "remove, M", "M", "rm -rf && sync -f", 1.0),
    Case("rollback-M", "rollback of the upgrade, M", "M", "commit phase of the upgrade", 1.2),
    Case("commit-M", "… its own commit phase", "M", "commit phase of the upgrade", None),
    Case("verify-M", "verify, M", "M", "sha256sum on two cores", 1.0),
    Case("verify-L", "verify, L", "L", "sha256sum on two cores", 1.0),
    Case("list", "list, 300 packages", "many", _PYTHON, 2.0, 0.03),
    Case("owner", "owner PATH, 300,000 files", "many", _PYTHON, 2.0, 0.03),
    Case("ps", "ps, 10,000 processes, processor time", "throng", "a second", 1.0),
    Case("again-S", "install what is there, S", "S", _PYTHON, 3.0, 0.06),
    Case("again-M", "install what is there, M", "M", _PYTHON, None),
    Case("build-L", "build, L", "build", "tar | zstd -T2", 1.1),
)


def judge(case: Case, samples: dict[str, list[Sample]], who: str = OURS) -> Verdict:
    """Compare medians with the target; ratios are taken round by round.

    Args:
        samples: of this case; at least one run of each of the two.
    """
    ours, references = samples[who], samples[REFERENCE]
    ratios = [one.seconds / other.seconds for one, other in zip(ours, references, strict=False)]
    mine, reference = median(one.seconds for one in ours), median(one.seconds for one in references)
    reached = None
    if case.factor is not None:
        allowed = case.factor + case.allowance / reference
        reached = median(ratios) <= allowed
    return Verdict(mine, reference, median(ratios), max(one.memory for one in ours), reached)
