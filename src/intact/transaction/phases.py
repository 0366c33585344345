"""Pure. Which phases does a transaction go through, and what does a crash in each of them mean?

     OPEN ──► STAGED ──► (PROVISIONAL) ──► COMMITTED ──► RECORDED ──► CLOSED
       │         │             │
       │         └─────────────┴─► ROLLING_BACK ──► ROLLED_BACK ──► CLOSED
       └─► DISCARDED (nothing in the root was touched)

A phase counts from the moment its record is durable. Up to STAGED nothing in the root has changed. From
STAGED on nothing from outside is needed any more. PROVISIONAL is there only where hooks or a health check have the
last word: everything is in place, and what they say decides. COMMITTED is the commit point.
"""

from enum import Enum
from types import MappingProxyType
from typing import Final

__all__ = ["AFTER_CRASH", "FINAL_PHASES", "TRANSITIONS", "Phase", "Verdict"]


class Phase(str, Enum):
    """How far a transaction has come."""

    OPEN = "OPEN"
    DISCARDED = "DISCARDED"
    STAGED = "STAGED"
    PROVISIONAL = "PROVISIONAL"
    COMMITTED = "COMMITTED"
    RECORDED = "RECORDED"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"
    CLOSED = "CLOSED"


class Verdict(Enum):
    """What a recovery does."""

    DISCARD = "remove what was staged; the root was not touched"
    ROLL_FORWARD = "carry out what is left of the plan (or undo it, if asked or if it cannot be finished)"
    UNDO_UNCONFIRMED = (
        "undo it, because its hooks or its health check had not confirmed it (or keep it, if asked)"
    )
    RECORD = "bring the database up to date"
    CLEAN_UP = "remove what is no longer needed"
    ROLL_BACK = "finish undoing"
    NOTHING = "it is complete"


TRANSITIONS: Final = MappingProxyType(
    {
        Phase.OPEN: frozenset({Phase.STAGED, Phase.DISCARDED}),
        Phase.DISCARDED: frozenset[Phase](),
        Phase.STAGED: frozenset({Phase.PROVISIONAL, Phase.COMMITTED, Phase.ROLLING_BACK}),
        Phase.PROVISIONAL: frozenset({Phase.COMMITTED, Phase.ROLLING_BACK}),
        Phase.COMMITTED: frozenset({Phase.RECORDED}),
        Phase.RECORDED: frozenset({Phase.CLOSED}),
        Phase.ROLLING_BACK: frozenset({Phase.ROLLED_BACK}),
        Phase.ROLLED_BACK: frozenset({Phase.CLOSED}),
        Phase.CLOSED: frozenset[Phase](),
    }
)

AFTER_CRASH: Final = MappingProxyType(
    {
        Phase.OPEN: Verdict.DISCARD,
        Phase.DISCARDED: Verdict.CLEAN_UP,
        Phase.STAGED: Verdict.ROLL_FORWARD,
        Phase.PROVISIONAL: Verdict.UNDO_UNCONFIRMED,
        Phase.COMMITTED: Verdict.RECORD,
        Phase.RECORDED: Verdict.CLEAN_UP,
        Phase.ROLLING_BACK: Verdict.ROLL_BACK,
        Phase.ROLLED_BACK: Verdict.CLEAN_UP,
        Phase.CLOSED: Verdict.NOTHING,
    }
)

FINAL_PHASES: Final = frozenset(phase for phase, following in TRANSITIONS.items() if not following)
