"""Pure. What does an operation tell about what it did?"""

import hashlib

from intact.model.actions import Plan
from intact.model.manifest import PackageChange
from intact.model.paths import RelPath
from intact.model.values import dataclass
from intact.operations.in_use import NOBODY, UsesFound
from intact.transaction.plan_text import Step, TransactionPlan, plan_text
from intact.transaction.recover import Recovered

__all__ = ["Receipt", "plan_digest"]


def plan_digest(plan: Plan) -> str:
    """Return a digest that two equal plans share, whatever transaction they end up in."""
    steps = tuple(Step(action, RelPath(""), 0) for action in plan.actions)
    return hashlib.sha256(
        plan_text(TransactionPlan(0, steps, (), plan.packages, plan.notes, (), plan.commands))
    ).hexdigest()


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
        in_use: processes that still use what was replaced or removed.
    """

    kind: str
    transaction: int | None
    changed: bool
    packages: tuple[PackageChange, ...]
    plan: Plan
    signers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    told: tuple[str, ...] = ()
    recovered: tuple[Recovered, ...] = ()
    in_use: UsesFound = NOBODY
    dry_run: bool = False

    @property
    def plan_digest(self) -> str:
        """What identifies the plan; worked out when somebody asks, because that takes a while for many actions."""
        return plan_digest(self.plan)
