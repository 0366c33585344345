"""Pure. What does an operation tell about what it did?"""

from dataclasses import dataclass

from intact.model.actions import Plan
from intact.model.manifest import PackageChange
from intact.transaction.recover import Recovered

__all__ = ["Receipt"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction did, or would do.

    Attributes:
        transaction: its number; None if there was nothing to do, or for a dry run.
        changed: the root is not as it was before.
        plan: the actions, with their decisions.
        signers: fingerprints of the keys that vouched, by package; empty for one let in unsigned.
        told: what turned out on the way, one line each.
        recovered: what was finished or undone first.
    """

    kind: str
    transaction: int | None
    changed: bool
    packages: tuple[PackageChange, ...]
    plan: Plan
    plan_digest: str
    signers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    told: tuple[str, ...] = ()
    recovered: tuple[Recovered, ...] = ()
    dry_run: bool = False
