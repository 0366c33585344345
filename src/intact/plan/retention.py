"""Pure. Which transactions keep their backups, and which are too old or too large?"""

from collections.abc import Sequence

from intact.model.installed import TransactionRecord
from intact.model.values import dataclass

__all__ = ["RetentionPolicy", "choose_pruned"]


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How much history is kept.

    Attributes:
        count: transactions, the one that is about to happen included.
        size: bytes that their backups may occupy together.
    """

    count: int = 10
    size: int = 2 << 30


def choose_pruned(
    retained: Sequence[TransactionRecord], policy: RetentionPolicy, upcoming_size: int
) -> tuple[int, ...]:
    """Return the transactions whose backups go, oldest first.

    The upcoming transaction always stays, whatever its size. Once one goes, all older ones go with it, because a
    rollback walks back through consecutive transactions.

    Args:
        retained: those that still have backups, in any order.
        upcoming_size: bytes of backups that the transaction in preparation will leave.
    """
    count, size = 1, upcoming_size
    pruned: list[int] = []
    for record in sorted(retained, key=lambda one: one.id, reverse=True):
        count += 1
        size += record.size
        if pruned or count > policy.count or size > policy.size:
            pruned.append(record.id)
    return tuple(sorted(pruned))
