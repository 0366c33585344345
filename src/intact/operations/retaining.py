"""Acts. How much of the way back is kept, and how is it given up to make room?"""

from collections.abc import Callable

from intact.model.errors import UsageError
from intact.model.installed import TransactionRecord
from intact.model.values import replace
from intact.operations.changing import change
from intact.operations.locate import Locator
from intact.operations.root import Environment, Root
from intact.plan.retention import RetentionPolicy
from intact.state.ownership import insist_on_own_file
from intact.state.settings import SETTINGS_PATH, Settings, SettingsInvalid, parse_settings
from intact.transaction.history import forget

__all__ = ["forget_history", "make_room", "read_settings", "retained_history", "retention_policy"]

_SHARE_OF_FILESYSTEM = 10
_LONGEST_SETTINGS = 1 << 16


def read_settings(root: Root) -> Settings:
    """Return what the root's administrator has decided.

    Raises:
        SettingsInvalid: the settings are there, and are not valid.
        RootUnusable: others may write them.
    """
    place = Locator(root.disk).entry(SETTINGS_PATH)
    seen = root.disk.observe(place)
    if seen is None:
        return Settings()
    insist_on_own_file(root.disk, place)
    if seen.size > _LONGEST_SETTINGS:
        raise SettingsInvalid("the settings are a very large file", path=f"/{place}")
    return parse_settings(root.disk.read_file(place).decode("utf-8", "replace"), f"/{place}")


def retention_policy(root: Root) -> RetentionPolicy:
    """Return what the root's settings say, and never more than a tenth of the filesystem.

    Raises:
        SettingsInvalid, RootUnusable: see `read_settings`.
    """
    policy = read_settings(root).history
    largest = root.disk.space(root.layout.mount).total_bytes // _SHARE_OF_FILESYSTEM
    return replace(policy, size=min(policy.size, largest))


def retained_history(root: Root) -> list[TransactionRecord]:
    """Return the transactions that can be undone, oldest first."""
    with root.database() as database:
        return [one for one in reversed(database.history()) if one.retained]


def forget_history(
    root: Root, keep: int, environment: Environment
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Give up the way back for all but the newest `keep` transactions.

    Returns:
        The transactions that cannot be undone any more, and what was kept for people, a line each.

    Raises:
        UsageError: `keep` is negative.
    """
    if keep < 0:
        raise UsageError("the number of transactions to keep cannot be negative")
    with change(root, environment) as recovery:
        retained = retained_history(root)
        gone = tuple(one.id for one in retained[: max(0, len(retained) - keep)])
        told = forget(root.disk, root.layout, gone) if gone else ()
    return gone, (*recovery.told, *told)


def make_room(
    root: Root, shortage: Callable[[], int], needed: tuple[int, ...], *, dry_run: bool
) -> tuple[str, ...]:
    """Give up history, oldest first, while there is not enough space.

    History is what `pkg` itself has put on the disk, so it must not be the reason that nothing fits there.
    Where all of it would not be enough, all of it stays.

    Args:
        shortage: tells how many bytes are missing now.
        needed: transactions whose backups the plan at hand needs.
        dry_run: give nothing up; only tell that it would be.

    Returns:
        What was given up, a line each.
    """
    told: list[str] = []
    while (missing := shortage()) > 0:
        retained = [one for one in retained_history(root) if one.id not in needed]
        if missing > sum(one.size for one in retained):
            break
        largest = next(one.id for one in retained if one.size > 0)
        gone = tuple(one.id for one in retained if one.id <= largest)  # a way back has no gaps
        if dry_run:
            return (f"the disk is full: transactions up to {largest} could not be undone any more",)
        told.append(f"the disk was full: transactions up to {largest} cannot be undone any more")
        told += forget(root.disk, root.layout, gone)
        if shortage() >= missing:  # it lies elsewhere, or cannot be deleted: the rest would not help either
            break
    return tuple(told)
